// Lines on their way to an outlet: bounded, then dropped and counted, never waited for.
import type { Outlet } from './outlet.ts'

/** Takes whole lines and writes them in their order. */
export interface LineSink {
  /** Unwritten bytes, those being written included. */
  readonly pendingBytes: number
  /** Records that were never written: no room, or the outlet failed. */
  readonly dropped: number
  /**
   * Takes one or more full lines (each with its newline) that hold `records` records; never blocks, never throws. Octets are not
   * copied: they must stay as they are until `used` is called.
   */
  write(batch: string | Uint8Array, records: number, used?: () => void): void
  /** Opens a file anew at the next write (SIGHUP). */
  reopen(): void
  /** Resolves when nothing is pending, or when the deadline has passed. */
  drained(deadlineMs: number): Promise<void>
  /** Takes nothing more, writes what is pending, and gives up (counting it as dropped) at the deadline. */
  close(deadlineMs: number): Promise<void>
}

export interface LineSinkOptions {
  /** What may be pending before whole batches are dropped. */
  readonly maxPendingBytes: number
  /** Told once for each new reason why the outlet does not take what it should. */
  readonly report?: (reason: string) => void
}

/** One write carries at most about this much, so that a slow reader makes room steadily. */
const CHUNK_BYTES = 256 * 1024

interface Batch {
  readonly bytes: Uint8Array
  readonly records: number
  readonly used: (() => void) | undefined
}

/** A sink in front of an outlet, which it owns. */
export function createLineSink(outlet: Outlet, options: LineSinkOptions): LineSink {
  return new BoundedSink(outlet, options)
}

class BoundedSink implements LineSink {
  readonly #outlet: Outlet
  readonly #options: LineSinkOptions
  readonly #queue: Batch[] = []
  #pendingBytes = 0
  #pendingRecords = 0
  #dropped = 0
  #closed = false
  /** close() has given up: what was pending is counted already. */
  #ended = false
  /** The pump while it runs; undefined: nothing is pending. */
  #pumping: Promise<void> | undefined
  #reported = ''

  constructor(outlet: Outlet, options: LineSinkOptions) {
    this.#outlet = outlet
    this.#options = options
  }

  get pendingBytes(): number {
    return this.#pendingBytes
  }

  get dropped(): number {
    return this.#dropped
  }

  write(batch: string | Uint8Array, records: number, used?: () => void): void {
    const bytes = typeof batch === 'string' ? Buffer.from(batch) : batch
    if (this.#closed || this.#pendingBytes + bytes.length > this.#options.maxPendingBytes) {
      this.#dropped += records
      used?.()
      return
    }
    this.#queue.push({ bytes, records, used })
    this.#pendingBytes += bytes.length
    this.#pendingRecords += records
    this.#pumping ??= this.#pump()
  }

  reopen(): void {
    this.#outlet.reopen()
  }

  async drained(deadlineMs: number): Promise<void> {
    const late = Promise.withResolvers<undefined>()
    const timer = setTimeout(late.resolve, deadlineMs, undefined)
    await Promise.race([this.#pumping, late.promise])
    clearTimeout(timer)
  }

  async close(deadlineMs: number): Promise<void> {
    this.#closed = true
    await this.drained(deadlineMs)
    this.#ended = true
    this.#queue.length = 0
    this.#outlet.close()
    this.#dropped += this.#pendingRecords
    this.#pendingRecords = 0
    this.#pendingBytes = 0
  }

  async #pump(): Promise<void> {
    while (this.#queue.length > 0) {
      const batches = this.#takeChunk()
      const records = batches.reduce((total, batch) => total + batch.records, 0)
      const bytes = batches.length === 1 ? batches[0]!.bytes : Buffer.concat(batches.map((batch) => batch.bytes))
      let written = true
      try {
        await this.#outlet.put(bytes)
        this.#reported = ''
      } catch (error) {
        written = false
        this.#report(error)
      }
      for (const { used } of batches) used?.()
      if (this.#ended) break
      this.#pendingBytes -= bytes.length
      this.#pendingRecords -= records
      if (!written) this.#dropped += records
    }
    this.#pumping = undefined
  }

  #takeChunk(): Batch[] {
    let count = 0
    for (let bytes = 0; count < this.#queue.length && bytes < CHUNK_BYTES; count++) bytes += this.#queue[count]!.bytes.length
    return this.#queue.splice(0, count)
  }

  #report(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error)
    if (reason === this.#reported || this.#ended) return
    this.#reported = reason
    this.#options.report?.(reason)
  }
}
