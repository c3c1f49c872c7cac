// The entry of a data-plane thread: puts plane and edge together, and speaks with the main thread.
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { Deadlines } from './io/deadlines.ts'
import { ReadBuffers } from './io/read-buffer.ts'
import type { FromWorker, TableMessage, ToWorker, WorkerStart } from './messages.ts'
import { AccessBatch } from './observe/access-batch.ts'
import { workerCell } from './observe/counters.ts'
import { Clock } from './proxy/clock.ts'
import { Edge } from './proxy/edge.ts'
import { Plane } from './proxy/plane.ts'
import type { DataPlaneSettings, SnapshotSlice } from './snapshot.ts'

const TICK_MS = 100
const GAUGE_MS = 1000
const TELL_BOUNDARY_MS = 1000

if (parentPort === null) throw new Error('worker.ts is started by the main thread, not by hand')
const port = parentPort
const start = workerData as WorkerStart
const tell = (message: FromWorker): void => port.postMessage(message)

const counters = new Float64Array(start.counters)
const pages = [...start.pages]
const clock = new Clock()
const deadlines = new Deadlines(clock.now(), TICK_MS)
const buffers = new ReadBuffers((change) => {
  counters[workerCell.body_buffer_bytes]! += change
})
const access = new AccessBatch(counters, new Float64Array(start.accessTaken), (lines, records) => {
  port.postMessage({ kind: 'access', lines, records } satisfies FromWorker, [lines.buffer])
})
let boundaryTold = Number.NEGATIVE_INFINITY
/** Counted each time, but told now and then: out of files, say, there may be thousands a second. */
const boundaryError = (error: unknown): void => {
  counters[workerCell.boundary_errors_total]!++
  if (clock.now() - boundaryTold < TELL_BOUNDARY_MS) return
  boundaryTold = clock.now()
  tell({ kind: 'boundary', error: describe(error) })
}
const describe = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error))

const plane = new Plane(start.settings, {
  clock,
  deadlines,
  buffers,
  random: Math.random,
  counters,
  pages,
  boundaryError,
  ejected: (ejection) => tell({ kind: 'ejected', ejection }),
  nobodyListens: (key) => tell({ kind: 'nobody listens', key }),
  accessLine: (line) => access.add(line),
})
const edge = new Edge({ plane, buffers, counters, boundaryError })

setInterval(() => {
  deadlines.advance(clock.now(), boundaryError)
  access.flush()
}, TICK_MS)
setInterval(() => plane.gauge(), GAUGE_MS)

// One message a turn, so that requests get theirs in between.
let taking = false
let waitingForWhole = false
/** The settings to listen by as soon as there is a table: a worker that comes back must not answer 503 where the others answer. */
let unanswered: DataPlaneSettings[] | undefined = [start.settings]

function takeNext(): void {
  const received = receiveMessageOnPort(start.table) as { readonly message: TableMessage } | undefined
  taking = received !== undefined
  if (received === undefined) return
  setImmediate(takeNext)
  const { message } = received
  if (message.kind === 'page') pages.push(message.page)
  else if (!waitingForWhole || message.slice.from === -1) takeSlice(message.slice)
}

function takeSlice(slice: SnapshotSlice): void {
  waitingForWhole = !plane.apply(slice)
  if (waitingForWhole) tell({ kind: 'behind' })
  else if (slice.last) {
    tell({ kind: 'swapped', revision: slice.to })
    unanswered?.forEach(listen)
    unanswered = undefined
  }
}

port.on('message', (message: ToWorker) => {
  switch (message.kind) {
    case 'table':
      if (!taking) takeNext()
      return
    case 'eject':
      plane.eject(message.ejection)
      return
    case 'settings':
      plane.configure(message.settings)
      if (unanswered === undefined) listen(message.settings)
      else unanswered.push(message.settings)
      return
    case 'drain':
      void edge.drain(message.deadlineMs).then(() => {
        access.flush()
        tell({ kind: 'drained' })
      })
  }
})

function listen(settings: DataPlaneSettings): void {
  edge.listen(settings, start.reusePort).then(
    () => tell({ kind: 'listening' }),
    (error: unknown) => tell({ kind: 'refused', error: error instanceof Error ? error.message : String(error) }),
  )
}
