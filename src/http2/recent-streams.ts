// The streams that ended last, and how: what still comes on them is late, or against the rules (RFC 9113 section 5.1, "closed").

const SIZE = 128

export class RecentStreams {
  readonly #ids = new Int32Array(SIZE)
  #at = 0

  add(id: number): void {
    this.#ids[this.#at++ & (SIZE - 1)] = id
  }

  has(id: number): boolean {
    return this.#ids.includes(id)
  }
}
