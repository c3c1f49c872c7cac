// What many small writers of one connection have to say, gathered and written once a turn of the event loop.

/** Memory of one outbox, and what a connection may gather before its writers have to wait. */
export const OUTBOX_BYTES = 64 * 1024
/** Idle buffers that a thread keeps. */
const KEPT = 64

const nothing = Buffer.alloc(0)

/**
 * The outboxes of one thread. One write a connection and turn, by setImmediate, costs a quarter less than a write for each response
 * (bench/README.md). An error of one outbox goes to `failed`, the others go on.
 */
export class Outboxes {
  readonly #failed: (error: unknown) => void
  readonly #idle: Buffer[] = []
  #waiting: Outbox[] = []
  readonly #flushAll = (): void => {
    const waiting = this.#waiting
    this.#waiting = []
    for (const outbox of waiting) {
      try {
        outbox.flush()
      } catch (error) {
        this.#failed(error)
      }
    }
  }

  constructor(failed: (error: unknown) => void) {
    this.#failed = failed
  }

  /** At the end of this turn. */
  schedule(outbox: Outbox): void {
    if (this.#waiting.push(outbox) === 1) setImmediate(this.#flushAll)
  }

  take(): Buffer {
    return this.#idle.pop() ?? Buffer.allocUnsafeSlow(OUTBOX_BYTES)
  }

  give(buffer: Buffer): void {
    if (buffer.length === OUTBOX_BYTES && this.#idle.length < KEPT) this.#idle.push(buffer)
  }
}

/** One connection's. It holds memory only from its first octet of a turn until they are written. */
export class Outbox {
  /** What was gathered is `bytes[0, at)`. `reserve` may replace it. */
  bytes: Buffer = nothing
  at = 0
  readonly #all: Outboxes
  readonly #write: (bytes: Buffer) => boolean
  #queued = false
  /** What is being written, while it is. */
  #lent: Buffer | null = null
  #closed = false

  /** `write` says whether all was taken at once; if not, `written` has to be called when it is. */
  constructor(all: Outboxes, write: (bytes: Buffer) => boolean) {
    this.#all = all
    this.#write = write
  }

  /** Something is being written: what is gathered waits for it. */
  get busy(): boolean {
    return this.#lent !== null
  }

  /** All has been written. */
  get empty(): boolean {
    return this.at === 0 && this.#lent === null
  }

  /** Whether `size` more octets may be gathered by who can wait. */
  hasRoom(size: number): boolean {
    if (this.at + size <= OUTBOX_BYTES) return true
    this.flush()
    return this.at + size <= OUTBOX_BYTES
  }

  /** Makes room for `size` octets, whether or not there is; returns where they go: into `bytes`, and the writer moves `at`. */
  reserve(size: number): number {
    if (!this.#queued && !this.#closed) {
      this.#queued = true
      this.#all.schedule(this)
    }
    if (this.bytes.length === 0) this.bytes = this.#all.take()
    if (this.at + size > this.bytes.length) {
      const larger = Buffer.allocUnsafeSlow((this.at + size) * 2)
      this.bytes.copy(larger, 0, 0, this.at)
      this.#all.give(this.bytes)
      this.bytes = larger
    }
    return this.at
  }

  /** Writes what was gathered, unless something is being written. */
  flush(): void {
    this.#queued = false
    if (this.at === 0 || this.#lent !== null || this.#closed) return
    const { bytes, at } = this
    this.#lent = bytes
    this.bytes = nothing
    this.at = 0
    if (this.#write(at === bytes.length ? bytes : bytes.subarray(0, at))) this.#release()
  }

  /** What was being written is: what was gathered meanwhile goes now. */
  written(): void {
    this.#release()
    this.flush()
  }

  /** Nothing is written any more. */
  close(): void {
    this.#closed = true
    this.bytes = nothing // what is lent may still be read by the socket
    this.at = 0
  }

  #release(): void {
    const lent = this.#lent
    if (lent === null) return
    this.#lent = null
    this.#all.give(lent)
  }
}
