// Finding the end of a message body (RFC 9112 section 6.3), whatever its framing and the pieces it comes in.
import { ChunkedDecoder } from './chunked.ts'

/** Lengths of a body that say how it ends in place of how long it is. */
export const CHUNKED = -1
export const UNTIL_CLOSE = -2

export class BodyReader {
  /** The span of data that the last `read` found. */
  start = 0
  end = 0
  /** First octet that the last `read` did not consume. */
  next = 0
  /** Octets read so far, framing included. */
  passed = 0
  #left: number
  readonly #decoder: ChunkedDecoder | null

  /** `length`: octets, `CHUNKED` or `UNTIL_CLOSE`. */
  constructor(length: number) {
    this.#left = length
    this.#decoder = length === CHUNKED ? new ChunkedDecoder() : null
  }

  /** The body ends with the connection. */
  get untilClose(): boolean {
    return this.#left === UNTIL_CLOSE
  }

  /** Trailer lines, complete once `read` said `done`. */
  get trailers(): string {
    return this.#decoder === null ? '' : this.#decoder.trailers
  }

  /** Why `read` said `bad`. */
  get fault(): string {
    return this.#decoder === null ? '' : this.#decoder.fault
  }

  read(bytes: Buffer, from: number, to: number): 'more' | 'done' | 'bad' {
    this.passed += to - from
    const decoder = this.#decoder
    if (decoder !== null) {
      const result = decoder.decode(bytes, from, to)
      this.start = decoder.start
      this.end = decoder.end
      this.next = decoder.next
      return result
    }
    const size = this.#left === UNTIL_CLOSE ? to - from : Math.min(this.#left, to - from)
    this.start = from
    this.end = from + size
    this.next = this.end
    if (this.#left === UNTIL_CLOSE) return 'more'
    this.#left -= size
    return this.#left === 0 ? 'done' : 'more'
  }
}
