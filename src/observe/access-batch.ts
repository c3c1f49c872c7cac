// Access-log lines of one worker on their way to the main thread: in batches, bounded, never waiting.
import { workerCell } from './counters.ts'

/** Lines that may be on their way to the main thread; beyond that they are dropped and counted. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024
/** A batch goes when it is full; `flush` sends what there is. Each one wakes two threads: smaller ones cost 2 to 4 % more CPU a request. */
const BATCH_BYTES = 256 * 1024

/** Takes over the octets: they are the receiver's alone. */
export type SendBatch = (lines: Uint8Array<ArrayBuffer>, records: number) => void

export class AccessBatch {
  readonly #counters: Float64Array
  readonly #taken: Float64Array
  readonly #send: SendBatch
  // Written here and handed over without a copy: neither thread has to flatten or clone a string (bench/README.md). Unless it is half
  // empty: who counts octets that wait would not see what they really hold.
  #bytes = Buffer.allocUnsafeSlow(BATCH_BYTES)
  #end = 0
  #records = 0

  /** `taken` is written by the main thread: octets that it has taken over so far. */
  constructor(counters: Float64Array, taken: Float64Array, send: SendBatch) {
    this.#counters = counters
    this.#taken = taken
    this.#send = send
  }

  /** `line` is ASCII, with its newline. */
  add(line: string): void {
    if (this.#end + line.length > this.#bytes.length) this.flush()
    if (line.length > this.#bytes.length) this.#bytes = Buffer.allocUnsafeSlow(line.length)
    this.#end += this.#bytes.latin1Write(line, this.#end, line.length)
    this.#records++
  }

  flush(): void {
    if (this.#records === 0) return
    const bytes = this.#end
    if (this.#counters[workerCell.access_bytes_sent]! - this.#taken[0]! + bytes > MAX_WAITING_BYTES) {
      this.#counters[workerCell.access_records_dropped_total]! += this.#records
    } else {
      this.#counters[workerCell.access_bytes_sent]! += bytes
      if (bytes * 2 < this.#bytes.length) this.#send(new Uint8Array(this.#bytes.subarray(0, bytes)), this.#records)
      else {
        this.#send(this.#bytes.subarray(0, bytes), this.#records)
        this.#bytes = Buffer.allocUnsafeSlow(BATCH_BYTES)
      }
    }
    this.#end = 0
    this.#records = 0
  }
}
