// One worker thread as the main thread sees it: started, told of changes, watched.
import { Worker } from 'node:worker_threads'
import type { DataPlaneSettings } from '#src/snapshot.ts'
import type { FromWorker, ToWorker, WorkerStart } from '#src/messages.ts'
import { WORKER_CELLS, workerCell, workerCounters, MAX_LISTENERS, type WorkerCounter } from '#src/observe/counters.ts'

/** What a worker may hold; beyond it V8 ends the worker, not the process. */
const HEAP_MB = 1024

export class WorkerHandle {
  readonly id: number
  readonly cells: Float64Array
  readonly pages: SharedArrayBuffer[]
  /** The snapshot that it serves. */
  revision = 0
  listening = false
  readonly #worker: Worker
  readonly #taken: Float64Array

  /** `heard` gets its messages, `ended` is called once, with the error if there was one. */
  constructor(
    id: number, settings: DataPlaneSettings, reusePort: boolean, pages: readonly SharedArrayBuffer[],
    heard: (worker: WorkerHandle, message: FromWorker) => void, ended: (worker: WorkerHandle, error: string) => void,
  ) {
    this.id = id
    this.pages = [...pages]
    const counters = new SharedArrayBuffer(WORKER_CELLS * 8)
    const accessTaken = new SharedArrayBuffer(8)
    this.cells = new Float64Array(counters)
    this.#taken = new Float64Array(accessTaken)
    const start: WorkerStart = { settings, reusePort, counters, pages: this.pages, accessTaken }
    this.#worker = new Worker(new URL('../worker.ts', import.meta.url), { workerData: start, resourceLimits: { maxOldGenerationSizeMb: HEAP_MB } })
    let error = ''
    this.#worker.on('error', (thrown: Error) => {
      error = thrown.stack ?? thrown.message
    })
    this.#worker.on('exit', (code) => ended(this, error === '' ? `exit code ${code}` : error))
    this.#worker.on('message', (message: FromWorker) => heard(this, message))
  }

  tell(message: ToWorker): void {
    this.#worker.postMessage(message)
  }

  addPage(page: SharedArrayBuffer): void {
    this.pages.push(page)
    this.tell({ kind: 'page', page })
  }

  /** Its access-log lines have been handed on. */
  accessTaken(bytes: number): void {
    this.#taken[0]! += bytes
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
