// The memory that sockets of this thread read into: one shared buffer, and a pool of larger ones for long bodies.

/** Octets kept free before and after what was read, so that a chunk, and the last one, can be framed where the data lies. */
const ROOM_BEFORE = 16
const ROOM_AFTER = 8

/** Size of the buffer that all sockets share: what a read brings is dealt with before the next read. */
export const SHARED_BYTES = 64 * 1024
/** Size of the buffer of its own that a long body gets (measured in bench/README.md: larger ones gain nothing). */
export const BODY_BYTES = 256 * 1024
/** A read's worth of body and the head before it. */
const SCRATCH_BYTES = SHARED_BYTES + 8 * 1024
/** Idle body buffers that a thread keeps; above that they are left to the garbage collector. */
const KEPT = 16

export interface ReadBuffer {
  /** All of the memory; positions in it are what `read` callbacks get. */
  readonly raw: Buffer
  /** The part that sockets read into; it begins at `offset` of `raw`. */
  readonly view: Buffer
  readonly offset: number
}

/** A buffer of `size` octets with room around it for the framing of a chunk. */
export function createReadBuffer(size: number): ReadBuffer {
  const raw = Buffer.allocUnsafeSlow(ROOM_BEFORE + size + ROOM_AFTER)
  return { raw, view: raw.subarray(ROOM_BEFORE, ROOM_BEFORE + size), offset: ROOM_BEFORE }
}

/** The read buffers of one thread, and the exact count of octets that bodies hold at the moment. */
export class ReadBuffers {
  readonly shared: ReadBuffer = createReadBuffer(SHARED_BYTES)
  readonly #idle: ReadBuffer[] = []
  readonly #held: (bytes: number) => void

  /** `held` is told by how much the octets in body buffers grow or shrink. */
  constructor(held: (change: number) => void) {
    this.#held = held
  }

  #scratch: Buffer | null = null

  /**
   * Memory for a copy that is written at once, at least `size` octets: the same one each time, as the kernel usually takes all of it
   * (a new one for each copy made the garbage collector work: bench/README.md). When it does not, call `loseScratch`.
   */
  scratch(size: number): Buffer {
    if (this.#scratch === null || this.#scratch.length < size) this.#scratch = Buffer.allocUnsafeSlow(Math.max(size, SCRATCH_BYTES))
    return this.#scratch
  }

  /** The scratch memory is still being written from: the next copy gets another. */
  loseScratch(): void {
    this.#scratch = null
  }

  /** A buffer for one long body; give it back with `give`, or, when a write may still read it, with `drop`. */
  take(): ReadBuffer {
    this.#held(BODY_BYTES)
    return this.#idle.pop() ?? createReadBuffer(BODY_BYTES)
  }

  give(buffer: ReadBuffer): void {
    this.#held(-BODY_BYTES)
    if (this.#idle.length < KEPT) this.#idle.push(buffer)
  }

  drop(): void {
    this.#held(-BODY_BYTES)
  }

  /** Counts body octets that are kept, or wait in a socket (negative: they have gone). */
  count(change: number): void {
    this.#held(change)
  }
}
