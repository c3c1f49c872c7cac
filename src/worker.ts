// The entry of a data-plane thread: puts plane and edge together, and speaks with the main thread.
import { parentPort, workerData } from 'node:worker_threads'
import { Deadlines } from './io/deadlines.ts'
import { ReadBuffers } from './io/read-buffer.ts'
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts'
import { AccessBatch } from './observe/access-batch.ts'
import { workerCell } from './observe/counters.ts'
import { Clock } from './proxy/clock.ts'
import { Edge } from './proxy/edge.ts'
import { Plane } from './proxy/plane.ts'
import type { SnapshotSlice } from './snapshot.ts'

const TICK_MS = 100
const GAUGE_MS = 1000

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
const access = new AccessBatch(counters, new Float64Array(start.accessTaken), (lines, records, bytes) => tell({ kind: 'access', lines, records, bytes }))
const boundaryError = (error: unknown): void => {
  counters[workerCell.boundary_errors_total]!++
  tell({ kind: 'boundary', error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
}

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

// One slice a turn, so that requests get theirs in between.
const slices: SnapshotSlice[] = []
function applyNext(): void {
  const slice = slices.shift()
  if (slice === undefined) return
  if (!plane.apply(slice)) {
    slices.length = 0
    tell({ kind: 'behind' })
    return
  }
  if (slice.last) tell({ kind: 'swapped', revision: slice.to })
  if (slices.length > 0) setImmediate(applyNext)
}

port.on('message', (message: ToWorker) => {
  switch (message.kind) {
    case 'page':
      pages.push(message.page)
      return
    case 'slice':
      if (slices.push(message.slice) === 1) setImmediate(applyNext)
      return
    case 'eject':
      plane.eject(message.ejection)
      return
    case 'settings':
      plane.configure(message.settings)
      listen(message.settings)
      return
    case 'drain':
      void edge.drain(message.deadlineMs).then(() => {
        access.flush()
        tell({ kind: 'drained' })
      })
  }
})

function listen(settings: WorkerStart['settings']): void {
  edge.listen(settings, start.reusePort).then(
    () => tell({ kind: 'listening' }),
    (error: unknown) => tell({ kind: 'refused', error: error instanceof Error ? error.message : String(error) }),
  )
}
listen(start.settings)
