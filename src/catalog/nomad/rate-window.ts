// A bound on how often something is done: so many times in any second. Pure, but for what it remembers.

const WINDOW_MS = 1000

export class RateWindow {
  readonly #most: number
  readonly #at: number[] = []

  constructor(most: number) {
    this.#most = most
  }

  /** How long until it may be done once more, `most` times a second; 0: now. */
  waitMs(now: number, most: number = this.#most): number {
    while (this.#at[0] !== undefined && this.#at[0] + WINDOW_MS <= now) this.#at.shift()
    const oldest = this.#at[this.#at.length - most]
    return oldest === undefined ? 0 : oldest + WINDOW_MS - now
  }

  /** It is being done. */
  note(now: number): void {
    this.#at.push(now)
  }

  /** How often it was done in the second before. */
  count(now: number): number {
    this.waitMs(now)
    return this.#at.length
  }
}
