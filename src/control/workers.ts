// The data-plane threads: started together, kept at the newest snapshot, restarted with back-off when one ends.
import type { DataPlaneSettings, SnapshotSlice } from '#src/snapshot.ts'
import type { Certificate, Ejection, FromWorker, HandshakeFailure, ToWorker } from '#src/messages.ts'
import { NO_SERVICE_SLOT } from '#src/observe/counters.ts'
import { WorkerHandle } from './worker-handle.ts'

export interface WorkersOptions {
  readonly count: number
  /** What the heap of each may grow to. */
  readonly heapMb: number
  /** Of the workers to be started; asked anew at each start. */
  settings(): DataPlaneSettings
  /** The certificates and the keys of session tickets that there are now, for a worker that starts. */
  certificates(): readonly Certificate[]
  ticketKeys(): Uint8Array
  handshakeFailed(failure: HandshakeFailure): void
  /** The whole snapshot, for a worker that starts or missed something. */
  whole(): readonly SnapshotSlice[]
  /** `used` is to be called when the octets are needed no more. */
  access(lines: Uint8Array, records: number, used: () => void): void
  ejected(ejection: Ejection): void
  /** A connection to `scheme://address` was refused. */
  nobodyListens(key: string): void
  /** A worker is no more: its counts are to be kept. */
  retired(worker: WorkerHandle): void
  swapped(): void
  log: { warn(fields: object, message: string): void; error(fields: object, message: string): void; info(fields: object, message: string): void }
}

const FIRST_RESTART_MS = 50
const LONGEST_RESTART_MS = 10_000
/** A worker that ran this long has earned a quick restart. */
const STEADY_MS = 30_000

export interface WorkerView {
  readonly id: number
  readonly state: 'starting' | 'running' | 'restarting'
  readonly restarts: number
  readonly handle: WorkerHandle | undefined
}

interface Place {
  readonly id: number
  handle: WorkerHandle | undefined
  restarts: number
  quickRestarts: number
  startedAt: number
}

/** How a worker's start came out. */
interface Outcome {
  listening(): void
  refused(reason: string): void
  /** It ended before it listened. */
  ended(reason: string): void
}

export class Workers {
  readonly #options: WorkersOptions
  readonly #places: Place[]
  readonly #timers = new Set<NodeJS.Timeout>()
  #slotsEnd = NO_SERVICE_SLOT + 1
  #stopping = false
  /** Workers that have not drained yet, and whom to tell when none is left. */
  readonly #draining = new Set<WorkerHandle>()
  #drained: (() => void) | null = null

  constructor(options: WorkersOptions) {
    this.#options = options
    this.#places = Array.from({ length: options.count }, (_, id) => ({ id, handle: undefined, restarts: 0, quickRestarts: 0, startedAt: 0 }))
  }

  /** Starts all; resolves when they listen, rejects with the first reason why one does not. */
  async start(): Promise<void> {
    await Promise.all(this.#places.map((place) => new Promise<void>((resolve, reject) => {
      const fail = (reason: string): void => reject(new Error(`worker ${place.id} cannot start: ${reason}`))
      this.#start(place, { listening: resolve, refused: fail, ended: fail })
    })))
  }

  get views(): readonly WorkerView[] {
    return this.#places.map(({ id, handle, restarts }) => ({ id, restarts, handle, state: handle === undefined ? 'restarting' : handle.listening ? 'running' : 'starting' }))
  }

  get live(): readonly WorkerHandle[] {
    return this.#places.flatMap(({ handle }) => handle ?? [])
  }

  get restarts(): number {
    return this.#places.reduce((sum, { restarts }) => sum + restarts, 0)
  }

  get count(): number {
    return this.#places.length
  }

  /** The settings have changed. Resolves with the reasons why workers could not listen as they now say. */
  async configure(): Promise<string[]> {
    const settings = this.#options.settings()
    const refusals = await Promise.all(this.live.map((worker) => worker.configure(settings)))
    return [...new Set(refusals.filter((refusal) => refusal !== ''))]
  }

  /** Slices of a change, and the slots that are in use from now on: all below `slotsEnd`. */
  publish(slices: readonly SnapshotSlice[], slotsEnd: number): void {
    this.#slotsEnd = slotsEnd
    for (const worker of this.live) worker.publish(slices, slotsEnd)
  }

  /** Says something to all of them. */
  tell(message: ToWorker): void {
    for (const worker of this.live) worker.tell(message)
  }

  /** Takes nothing new and resolves when all exchanges are over, or, a little later, when the deadline has passed. */
  async drain(deadlineMs: number): Promise<void> {
    this.#stop()
    for (const worker of this.live) this.#draining.add(worker)
    if (this.#draining.size === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, deadlineMs + 1000)
      this.#drained = () => {
        clearTimeout(timer)
        resolve()
      }
      for (const worker of this.#draining) worker.tell({ kind: 'drain', deadlineMs })
    })
  }

  async terminate(): Promise<void> {
    this.#stop()
    await Promise.all(this.live.map((worker) => worker.terminate()))
  }

  #stop(): void {
    this.#stopping = true
    for (const timer of this.#timers) clearTimeout(timer)
  }

  #start(place: Place, outcome: Outcome): void {
    const worker = new WorkerHandle({
      id: place.id,
      settings: this.#options.settings(),
      reusePort: this.#options.count > 1,
      heapMb: this.#options.heapMb,
      ticketKeys: this.#options.ticketKeys(),
      slotsEnd: this.#slotsEnd,
      heard: (_, message) => {
        if (worker.listening || (message.kind !== 'listening' && message.kind !== 'refused')) this.#heard(worker, message)
        else if (message.kind === 'refused') outcome.refused(message.error)
        else {
          worker.listening = true
          outcome.listening()
        }
      },
      ended: (_, error) => {
        if (!worker.listening) outcome.ended(error)
        this.#ended(place, worker, error)
      },
    })
    place.startedAt = performance.now()
    place.handle = worker
    worker.tell({ kind: 'certificates', changed: this.#options.certificates(), removed: [] }) // before the table, with which it begins to listen
    worker.publish(this.#options.whole(), this.#slotsEnd)
  }

  #heard(worker: WorkerHandle, message: FromWorker): void {
    const { log } = this.#options
    switch (message.kind) {
      case 'swapped':
        worker.revision = message.revision
        this.#options.swapped()
        return
      case 'behind':
        worker.publish(this.#options.whole(), this.#slotsEnd)
        return
      case 'ejected':
        for (const other of this.live) if (other !== worker) other.tell({ kind: 'eject', ejection: message.ejection })
        this.#options.ejected(message.ejection)
        return
      case 'handshake failed':
        this.#options.handshakeFailed(message.failure)
        return
      case 'nobody listens':
        this.#options.nobodyListens(message.key)
        return
      case 'access':
        this.#options.access(worker.accessLines(message.slab, message.bytes), message.records, () => worker.accessUsed(message.slab))
        return
      case 'boundary':
        log.error({ worker: worker.id, error: message.error }, 'a mistake of ours ended one connection, or kept one service from changing; please report it')
        return
      case 'drained':
        this.#hasDrained(worker)
        return
      case 'listening':
      case 'refused': // the answer to new settings, for whoever asked
    }
  }

  #hasDrained(worker: WorkerHandle): void {
    if (this.#draining.delete(worker) && this.#draining.size === 0) this.#drained?.()
  }

  #ended(place: Place, worker: WorkerHandle, error: string): void {
    if (place.handle !== worker) return
    place.handle = undefined
    this.#options.retired(worker)
    if (this.#stopping) {
      this.#hasDrained(worker)
      return
    }
    place.quickRestarts = performance.now() - place.startedAt > STEADY_MS ? 0 : place.quickRestarts + 1
    place.restarts++
    const waitMs = Math.min(LONGEST_RESTART_MS, FIRST_RESTART_MS * 2 ** Math.max(0, place.quickRestarts - 1))
    this.#options.log.error({ worker: place.id, error, restartInMs: waitMs }, 'a worker ended; it is started again')
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      this.#start(place, {
        listening: () => this.#options.log.info({ worker: place.id }, 'the worker serves again'),
        refused: (reason) => {
          this.#options.log.error({ worker: place.id, reason }, 'the worker cannot listen')
          void place.handle?.terminate()
        },
        ended: () => undefined, // told already, and started again
      })
    }, waitMs)
    this.#timers.add(timer)
  }
}
