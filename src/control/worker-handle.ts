// One worker thread as the main thread sees it: started, told of changes, watched.
import { getCompileCacheDir } from 'node:module'
import { dirname } from 'node:path'
import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads'
import type { DataPlaneSettings, SnapshotSlice } from '#src/snapshot.ts'
import type { FromWorker, TableMessage, ToWorker, WorkerStart } from '#src/messages.ts'
import { createSlabs, slabFlags, slabLines } from '#src/observe/access-batch.ts'
import { MAX_LISTENERS, PAGE_BYTES, PAGE_SERVICES, WORKER_CELLS, workerCell, workerCounters, type WorkerCounter } from '#src/observe/counters.ts'

/** The compile cache is for a thread to switch on, and without it each worker loads the compiler that strips types: 9 MB. */
function workerEnvironment(): NodeJS.ProcessEnv {
  const cache = getCompileCacheDir()
  return cache === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: dirname(cache) }
}

export interface WorkerHandleOptions {
  readonly id: number
  readonly settings: DataPlaneSettings
  readonly reusePort: boolean
  /** What its heap may grow to; beyond it V8 ends the worker, not the process. */
  readonly heapMb: number
  readonly ticketKeys: Uint8Array
  /** There is memory for the counters of slots below this. */
  readonly slotsEnd: number
  heard(worker: WorkerHandle, message: FromWorker): void
  /** Called once, with what ended it. */
  ended(worker: WorkerHandle, error: string): void
}

export class WorkerHandle {
  readonly id: number
  readonly cells: Float64Array
  /** Written by this worker alone: two writers would lose counts. */
  readonly pages: SharedArrayBuffer[] = []
  /** The snapshot that it serves. */
  revision = 0
  listening = false
  readonly #worker: Worker
  readonly #table: MessagePort
  readonly #slabs: SharedArrayBuffer
  readonly #slabFlags: Int32Array<SharedArrayBuffer>
  /** Who waits for its answers to settings, in their order; nobody for those that it was started with. */
  readonly #asking: ((refusal: string) => void)[] = [() => undefined]

  constructor({ id, settings, reusePort, heapMb, ticketKeys, slotsEnd, heard, ended }: WorkerHandleOptions) {
    this.id = id
    const counters = new SharedArrayBuffer(WORKER_CELLS * 8)
    this.cells = new Float64Array(counters)
    this.#slabs = createSlabs()
    this.#slabFlags = slabFlags(this.#slabs)
    const { port1, port2 } = new MessageChannel()
    this.#table = port1
    for (const page of this.#missingPages(slotsEnd)) this.pages.push(page)
    const start: WorkerStart = { settings, reusePort, ticketKeys, counters, pages: this.pages, table: port2, accessSlabs: this.#slabs }
    this.#worker = new Worker(new URL('../worker.ts', import.meta.url), {
      workerData: start, transferList: [port2], resourceLimits: { maxOldGenerationSizeMb: heapMb }, env: workerEnvironment(),
    })
    let error = ''
    this.#worker.on('error', (thrown: unknown) => {
      error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
    })
    this.#worker.on('exit', (code) => {
      this.#table.close()
      for (const answer of this.#asking.splice(0)) answer('')
      ended(this, error === '' ? `exit code ${code}` : error)
    })
    this.#worker.on('message', (message: FromWorker) => {
      if (message.kind === 'listening' || message.kind === 'refused') this.#asking.shift()?.(message.kind === 'refused' ? message.error : '')
      heard(this, message)
    })
  }

  tell(message: ToWorker): void {
    this.#worker.postMessage(message)
  }

  /** New settings; resolves with '' or with why it could not listen as they say. */
  configure(settings: DataPlaneSettings): Promise<string> {
    this.tell({ kind: 'settings', settings })
    return new Promise((resolve) => this.#asking.push(resolve))
  }

  /** Slices, in their order; slots below `slotsEnd` are in use. */
  publish(slices: readonly SnapshotSlice[], slotsEnd: number): void {
    for (const page of this.#missingPages(slotsEnd)) {
      this.pages.push(page)
      this.#table.postMessage({ kind: 'page', page } satisfies TableMessage)
    }
    for (const slice of slices) this.#table.postMessage({ kind: 'slice', slice } satisfies TableMessage)
    this.tell({ kind: 'table' })
  }

  #missingPages(slotsEnd: number): SharedArrayBuffer[] {
    const missing = Math.ceil(slotsEnd / PAGE_SERVICES) - this.pages.length
    return Array.from({ length: Math.max(0, missing) }, () => new SharedArrayBuffer(PAGE_BYTES))
  }

  /** Access-log lines that it left in a slab, to be used before `accessUsed` is called. */
  accessLines(slab: number, bytes: number): Uint8Array {
    return slabLines(this.#slabs, slab, bytes)
  }

  /** The worker may fill the slab again. */
  accessUsed(slab: number): void {
    Atomics.store(this.#slabFlags, slab, 0)
  }

  counter(name: WorkerCounter): number {
    return this.cells[workerCell[name]]!
  }

  get connections(): number {
    let open = 0
    for (let listener = 0; listener < MAX_LISTENERS; listener++) open += this.cells[workerCounters.length + listener]!
    return open
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate()
  }
}
