// How many attempts may be repeats: a share of a service's requests, with a floor, so that repeats never become a storm.

/** Repeats that can be saved up beyond the floor of one second. */
const SAVED = 100

export class RetryBudget {
  readonly #ratio: number
  readonly #floorPerSecond: number
  #tokens: number
  #at: number

  /** `ratio`: repeats per request; `floorPerSecond`: always allowed; `now`: milliseconds. */
  constructor(ratio: number, floorPerSecond: number, now: number) {
    this.#ratio = ratio
    this.#floorPerSecond = floorPerSecond
    this.#tokens = floorPerSecond
    this.#at = now
  }

  /** A request came: it pays for a part of a repeat. */
  deposit(): void {
    const tokens = this.#tokens + this.#ratio
    this.#tokens = Math.min(tokens, this.#floorPerSecond + SAVED)
  }

  /** Whether one more repeat is affordable; if so, it is taken. */
  withdraw(now: number): boolean {
    const refill = ((now - this.#at) / 1000) * this.#floorPerSecond
    this.#at = now
    if (this.#tokens < this.#floorPerSecond) this.#tokens = Math.min(this.#floorPerSecond, this.#tokens + refill)
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}
