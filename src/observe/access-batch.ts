// Access-log lines of one worker on their way to the main thread: in batches, bounded, never waiting.
import { workerCell } from './counters.ts'

/** Lines that may be on their way to the main thread; beyond that they are dropped and counted. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024
/** A batch goes when it is this long; `flush` sends shorter ones. */
const BATCH_BYTES = 64 * 1024

export class AccessBatch {
  readonly #counters: Float64Array
  readonly #taken: Float64Array
  readonly #send: (lines: string, records: number, bytes: number) => void
  #lines = ''
  #records = 0

  /** `taken` is written by the main thread: octets that it has taken over so far. */
  constructor(counters: Float64Array, taken: Float64Array, send: (lines: string, records: number, bytes: number) => void) {
    this.#counters = counters
    this.#taken = taken
    this.#send = send
  }

  add(line: string): void {
    this.#lines += line
    this.#records++
    if (this.#lines.length >= BATCH_BYTES) this.flush()
  }

  flush(): void {
    if (this.#records === 0) return
    const bytes = this.#lines.length
    if (this.#counters[workerCell.access_bytes_sent]! - this.#taken[0]! + bytes > MAX_WAITING_BYTES) {
      this.#counters[workerCell.access_records_dropped_total]! += this.#records
    } else {
      this.#counters[workerCell.access_bytes_sent]! += bytes
      this.#send(this.#lines, this.#records, bytes)
    }
    this.#lines = ''
    this.#records = 0
  }
}
