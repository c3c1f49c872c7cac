// Access-log lines of one worker on their way to the main thread: through slabs of shared memory, bounded, never waiting.
import { workerCell } from './counters.ts'

/** Octets of one slab: what goes to the main thread at once. Each batch wakes two threads: smaller ones cost 2 to 4 % more CPU a request. */
export const SLAB_BYTES = 256 * 1024
/** Slabs of a worker: 4 MiB of lines that may wait for the main thread; beyond that they are dropped and counted. */
export const SLABS = 16

/** Memory of one worker's slabs, and behind it a flag for each: 1 while its lines are the main thread's. The system gives pages as they are used. */
export const createSlabs = (): SharedArrayBuffer => new SharedArrayBuffer(SLABS * SLAB_BYTES + SLABS * Int32Array.BYTES_PER_ELEMENT)

/** The flags in `createSlabs`' memory. */
export const slabFlags = (memory: SharedArrayBuffer): Int32Array<SharedArrayBuffer> => new Int32Array(memory, SLABS * SLAB_BYTES, SLABS)

/** The lines that a worker sent: `bytes` octets of a slab. Its flag is to be set to 0 when they have been used. */
export const slabLines = (memory: SharedArrayBuffer, slab: number, bytes: number): Uint8Array => new Uint8Array(memory, slab * SLAB_BYTES, bytes)

/** Hands the first `bytes` octets of a slab over. */
export type SendBatch = (slab: number, bytes: number, records: number) => void

/** One slab is filled while others are read: no line is cloned, encoded, or allocated for by either thread (bench/README.md). */
export class AccessBatch {
  readonly #counters: Float64Array
  readonly #flags: Int32Array<SharedArrayBuffer>
  readonly #memory: Buffer
  readonly #send: SendBatch
  /** The slab that is being filled; -1 when none was free. */
  #slab = 0
  #from = 0
  #end = 0
  #records = 0

  constructor(counters: Float64Array, memory: SharedArrayBuffer, send: SendBatch) {
    this.#counters = counters
    this.#flags = slabFlags(memory)
    this.#memory = Buffer.from(memory, 0, SLABS * SLAB_BYTES)
    this.#send = send
  }

  /** `line` is ASCII, with its newline; one that is longer than a slab is dropped. */
  add(line: string): void {
    if (this.#end + line.length > this.#from + SLAB_BYTES || this.#slab < 0) {
      this.#hand()
      if (this.#slab < 0 || line.length > SLAB_BYTES) {
        this.#counters[workerCell.access_records_dropped_total]!++
        return
      }
    }
    this.#end += this.#memory.latin1Write(line, this.#end, line.length)
    this.#records++
  }

  /**
   * Sends what there is, unless the main thread has not even used what it got before: then lines gather, so that what may wait is
   * measured in octets, not in batches.
   */
  flush(): void {
    if (this.#records > 0 && this.#flags.every((flag) => flag === 0)) this.#hand()
  }

  /** Sends what there is, whatever the main thread does. */
  finish(): void {
    if (this.#records > 0) this.#hand()
  }

  #hand(): void {
    if (this.#records > 0) {
      Atomics.store(this.#flags, this.#slab, 1)
      this.#send(this.#slab, this.#end - this.#from, this.#records)
      this.#records = 0
    }
    // The first that is free: at a low rate the same few are used over and over, and the others never become memory.
    this.#slab = this.#flags.indexOf(0)
    this.#from = this.#end = this.#slab * SLAB_BYTES
  }
}
