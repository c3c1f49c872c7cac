// The data-plane threads: started together, kept at the newest snapshot, restarted with back-off when one ends.
import type { DataPlaneSettings, SnapshotSlice } from '#src/snapshot.ts'
import type { Ejection, FromWorker } from '#src/messages.ts'
import { PAGE_BYTES, PAGE_SERVICES } from '#src/observe/counters.ts'
import { WorkerHandle } from './worker-handle.ts'

export interface WorkersOptions {
  readonly count: number
  /** Of the workers to be started; asked anew at each start. */
  settings(): DataPlaneSettings
  /** The whole snapshot, for a worker that starts or missed something. */
  whole(): readonly SnapshotSlice[]
  access(lines: string, records: number): void
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

export class Workers {
  readonly #options: WorkersOptions
  readonly #places: Place[]
  readonly #pages: SharedArrayBuffer[] = []
  readonly #timers = new Set<NodeJS.Timeout>()
  #stopping = false
  #drained: (() => void) | null = null
  #drainedWorkers = 0

  constructor(options: WorkersOptions) {
    this.#options = options
    this.#places = Array.from({ length: options.count }, (_, id) => ({ id, handle: undefined, restarts: 0, quickRestarts: 0, startedAt: 0 }))
    this.#pages.push(new SharedArrayBuffer(PAGE_BYTES))
  }

  /** Starts all; resolves when they listen, rejects with the first reason why one does not. */
  async start(): Promise<void> {
    await Promise.all(this.#places.map((place) => new Promise<void>((resolve, reject) => this.#start(place, resolve, reject))))
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

  /** Every worker listens. */
  get accepting(): boolean {
    return this.#places.every(({ handle }) => handle?.listening === true)
  }

  /** Makes sure that there is memory for slots below `end`. */
  reserve(end: number): void {
    while (this.#pages.length * PAGE_SERVICES < end) {
      const page = new SharedArrayBuffer(PAGE_BYTES)
      this.#pages.push(page)
      for (const worker of this.live) worker.addPage(page)
    }
  }

  get count(): number {
    return this.#places.length
  }

  /** The settings have changed. */
  configure(): void {
    const settings = this.#options.settings()
    for (const worker of this.live) worker.tell({ kind: 'settings', settings })
  }

  publish(slices: readonly SnapshotSlice[]): void {
    for (const worker of this.live) for (const slice of slices) worker.tell({ kind: 'slice', slice })
  }

  /** Takes nothing new and resolves when all exchanges are over, or, a little later, when the deadline has passed. */
  async drain(deadlineMs: number): Promise<void> {
    this.#stopping = true
    for (const timer of this.#timers) clearTimeout(timer)
    const workers = this.live
    if (workers.length === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, deadlineMs + 1000)
      this.#drained = () => {
        if (++this.#drainedWorkers < workers.length) return
        clearTimeout(timer)
        resolve()
      }
      for (const worker of workers) worker.tell({ kind: 'drain', deadlineMs })
    })
  }

  async terminate(): Promise<void> {
    this.#stopping = true
    for (const timer of this.#timers) clearTimeout(timer)
    await Promise.all(this.live.map((worker) => worker.terminate()))
  }

  #start(place: Place, listening: () => void, refused: (reason: Error) => void): void {
    const heard = (worker: WorkerHandle, message: FromWorker): void => {
      if (!worker.listening && message.kind === 'listening') {
        worker.listening = true
        listening()
      } else if (!worker.listening && message.kind === 'refused') refused(new Error(message.error))
      else this.#heard(worker, message)
    }
    const reusePort = this.#options.count > 1
    place.startedAt = performance.now()
    place.handle = new WorkerHandle(place.id, this.#options.settings(), reusePort, this.#pages, heard, (worker, error) => this.#ended(place, worker, error))
    for (const slice of this.#options.whole()) place.handle.tell({ kind: 'slice', slice })
  }

  #heard(worker: WorkerHandle, message: FromWorker): void {
    const { log } = this.#options
    switch (message.kind) {
      case 'swapped':
        worker.revision = message.revision
        this.#options.swapped()
        return
      case 'behind':
        for (const slice of this.#options.whole()) worker.tell({ kind: 'slice', slice })
        return
      case 'ejected':
        for (const other of this.live) if (other !== worker) other.tell({ kind: 'eject', ejection: message.ejection })
        this.#options.ejected(message.ejection)
        return
      case 'nobody listens':
        this.#options.nobodyListens(message.key)
        return
      case 'access':
        worker.accessTaken(message.bytes)
        this.#options.access(message.lines, message.records)
        return
      case 'boundary':
        log.error({ worker: worker.id, error: message.error }, 'a mistake in the data plane ended one connection')
        return
      case 'drained':
        this.#drained?.()
        return
      case 'listening':
        return
      case 'refused':
        log.error({ worker: worker.id, error: message.error }, 'a worker cannot listen')
    }
  }

  #ended(place: Place, worker: WorkerHandle, error: string): void {
    if (place.handle !== worker) return
    place.handle = undefined
    this.#options.retired(worker)
    if (this.#stopping) {
      this.#drained?.()
      return
    }
    place.quickRestarts = performance.now() - place.startedAt > STEADY_MS ? 0 : place.quickRestarts + 1
    place.restarts++
    const waitMs = Math.min(LONGEST_RESTART_MS, FIRST_RESTART_MS * 2 ** Math.max(0, place.quickRestarts - 1))
    this.#options.log.error({ worker: place.id, error, restartInMs: waitMs }, 'a worker ended; it is started again')
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      this.#start(place, () => this.#options.log.info({ worker: place.id }, 'the worker serves again'), (reason) => {
        this.#options.log.error({ worker: place.id, error: reason.message }, 'the worker cannot listen')
        void place.handle?.terminate()
      })
    }, waitMs)
    this.#timers.add(timer)
  }
}
