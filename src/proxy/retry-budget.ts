// How many attempts may be repeats: a share of a service's requests, with a floor, so that repeats never become a storm.

/** What was not used is saved up for this long: a backend that dies fails all that is on its way to it at once. Seconds. */
const WINDOW = 10
/** Repeats that requests can save up beyond the floor's. */
const SAVED = 100

export class RetryBudget {
  readonly #ratio: number
  readonly #floorPerSecond: number
  /** What the floor alone fills up to; at least one, however many workers share it. */
  readonly #floor: number
  #tokens: number
  #at: number

  /** `ratio`: repeats per request; `floorPerSecond`: always allowed; `now`: milliseconds. */
  constructor(ratio: number, floorPerSecond: number, now: number) {
    this.#ratio = ratio
    this.#floorPerSecond = floorPerSecond
    this.#floor = Math.max(1, floorPerSecond * WINDOW)
    this.#tokens = this.#floor
    this.#at = now
  }

  /** A request came: it pays for a part of a repeat. */
  deposit(): void {
    this.#tokens = Math.min(this.#tokens + this.#ratio, this.#floor + SAVED)
  }

  /** Whether one more repeat is affordable; if so, it is taken. */
  withdraw(now: number): boolean {
    const refill = ((now - this.#at) / 1000) * this.#floorPerSecond
    this.#at = now
    if (this.#tokens < this.#floor) this.#tokens = Math.min(this.#floor, this.#tokens + refill)
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}
