// The entry of a data-plane thread: puts plane and edge together, and speaks with the main thread.
import { parentPort, workerData } from 'node:worker_threads'
import { Deadlines } from './io/deadlines.ts'
import { Outboxes } from './io/outbox.ts'
import { ReadBuffers } from './io/read-buffer.ts'
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts'
import { AccessBatch } from './observe/access-batch.ts'
import { workerCell } from './observe/counters.ts'
import { Clock } from './proxy/clock.ts'
import { Edge } from './proxy/edge.ts'
import { Plane } from './proxy/plane.ts'
import { TableIntake } from './proxy/table-intake.ts'
import type { DataPlaneSettings } from './snapshot.ts'
import { Contexts } from './tls/contexts.ts'
import { Identities } from './tls/identities.ts'

const TICK_MS = 100
const GAUGE_MS = 1000
const TELL_BOUNDARY_MS = 1000
/** A second; whoever reads them wants a few, and a flood of them must not fill the main thread's queue. */
const MAX_FAILURES_TOLD = 100

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
const access = new AccessBatch(counters, start.accessSlabs, (slab, bytes, records) => tell({ kind: 'access', slab, bytes, records }))
const boundaryError = createBoundary()

const identities = new Identities()
const contexts = new Contexts(start.ticketKeys, start.settings.tls.minVersion)
const plane = new Plane(start.settings, {
  clock,
  deadlines,
  buffers,
  outboxes: new Outboxes(boundaryError),
  random: Math.random,
  identities,
  counters,
  pages,
  boundaryError,
  ejected: (ejection) => tell({ kind: 'ejected', ejection }),
  nobodyListens: (key) => tell({ kind: 'nobody listens', key }),
  accessLine: (line) => access.add(line),
})
const failures = createThrottle(MAX_FAILURES_TOLD)
const edge = new Edge({
  plane, buffers, counters, contexts, boundaryError,
  handshakeFailed: (failure) => {
    if (failures()) tell({ kind: 'handshake failed', failure })
  },
})

setInterval(() => {
  deadlines.advance(clock.now(), boundaryError)
  access.flush()
}, TICK_MS)
setInterval(() => plane.gauge(), GAUGE_MS)

/** Settings to listen by as soon as there is a table: a worker that comes back must not answer 503 where the others answer. */
const waiting: DataPlaneSettings[] = [start.settings]
const table = new TableIntake({
  port: start.table,
  plane,
  pages,
  behind: () => tell({ kind: 'behind' }),
  swapped: (revision) => {
    tell({ kind: 'swapped', revision })
    for (const settings of waiting.splice(0)) listen(settings)
  },
})

port.on('message', (message: ToWorker) => {
  switch (message.kind) {
    case 'table':
      table.wake()
      return
    case 'eject':
      plane.eject(message.ejection)
      return
    case 'certificates':
      identities.change(message.changed, message.removed)
      return
    case 'ticket keys':
      contexts.rotate(message.keys)
      return
    case 'settings':
      plane.configure(message.settings)
      contexts.configure(message.settings.tls.minVersion)
      if (waiting.length === 0) listen(message.settings)
      else waiting.push(message.settings)
      return
    case 'drain':
      void edge.drain(message.deadlineMs).then(() => {
        access.finish()
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

/** What ends a connection by a mistake of ours is counted each time, but told now and then: out of files, say, there may be thousands a second. */
function createBoundary(): (error: unknown) => void {
  let told = Number.NEGATIVE_INFINITY
  return (error) => {
    counters[workerCell.boundary_errors_total]!++
    if (clock.now() - told < TELL_BOUNDARY_MS) return
    told = clock.now()
    tell({ kind: 'boundary', error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  }
}

/** Says yes `most` times a second. */
function createThrottle(most: number): () => boolean {
  let since = Number.NEGATIVE_INFINITY
  let count = 0
  return () => {
    if (clock.now() - since > 1000) {
      since = clock.now()
      count = 0
    }
    return count++ < most
  }
}
