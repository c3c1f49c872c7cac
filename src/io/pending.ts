// Octets that arrived before they can be used: the beginning of a head, or a request behind the one being answered.

const FIRST = 1024
/** Room for framing a chunk around what follows the head (read-buffer.ts). */
const ROOM = 16

/** A small growing buffer with a bound; searching it for the end of a head looks at each octet once. */
export class Pending {
  readonly #limit: number
  #bytes: Buffer
  #from = ROOM
  #end = ROOM
  #searched = ROOM
  #checked = ROOM

  constructor(limit: number) {
    this.#limit = limit
    this.#bytes = Buffer.allocUnsafe(Math.min(FIRST, limit) + 2 * ROOM)
  }

  get bytes(): Buffer {
    return this.#bytes
  }

  get from(): number {
    return this.#from
  }

  get to(): number {
    return this.#end
  }

  get size(): number {
    return this.#end - this.#from
  }

  /** False, with nothing taken, when that would be more than the limit. */
  append(bytes: Buffer, from: number, to: number): boolean {
    const size = this.size + to - from
    if (size > this.#limit) return false
    if (this.#end + to - from + ROOM > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.min(this.#limit, size * 2) + 2 * ROOM)
      this.#bytes.copy(larger, ROOM, this.#from, this.#end)
      this.#searched -= this.#from - ROOM
      this.#checked = ROOM
      this.#end -= this.#from - ROOM
      this.#from = ROOM
      this.#bytes = larger
    }
    bytes.copy(this.#bytes, this.#end, from, to)
    this.#end += to - from
    return true
  }

  /** Octets before `at` are used. */
  consume(at: number): void {
    this.#from = at
    this.#searched = Math.max(this.#searched, at)
    this.#checked = at
  }

  /** Where the empty line of the first head begins, or -1 if it has not come yet. */
  headEnd(): number {
    const found = this.#bytes.subarray(0, this.#end).indexOf('\r\n\r\n', Math.max(this.#from, this.#searched - 3), 'latin1')
    this.#searched = found < 0 ? this.#end : found // another head may follow this one
    return found
  }

  /** A line that ends without CR: no strict reader will ever find the end of such a head. */
  bareLineFeed(): boolean {
    const { bytes, from, to } = this
    for (let at = Math.max(from, this.#checked); (at = bytes.indexOf(0x0a, at)) >= 0 && at < to; at++) {
      if (at === from || bytes[at - 1] !== 0x0d) return true
    }
    this.#checked = to
    return false
  }
}
