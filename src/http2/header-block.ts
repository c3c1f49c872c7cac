// A header block that came in several frames: HEADERS without END_HEADERS, and its CONTINUATIONs (RFC 9113 section 6.10).

/** Frames of one block; an endless row of them, most of all of empty ones, is an attack (CVE-2024-27316). */
const MAX_FRAMES = 32

export class HeaderBlock {
  readonly id: number
  readonly end: boolean
  readonly #limit: number
  readonly #parts: Buffer[] = []
  #size = 0

  /** `limit`: octets of the block as it is sent. */
  constructor(id: number, end: boolean, limit: number) {
    this.id = id
    this.end = end
    this.#limit = limit
  }

  /** Copies `bytes[from, to)`; false when that is more than a block may have. */
  add(bytes: Buffer, from: number, to: number): boolean {
    this.#size += to - from
    if (this.#size > this.#limit || this.#parts.length >= MAX_FRAMES) return false
    this.#parts.push(Buffer.from(bytes.subarray(from, to)))
    return true
  }

  whole(): Buffer {
    return Buffer.concat(this.#parts)
  }
}
