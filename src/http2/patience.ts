// How much a peer may ask for that costs us and moves nothing: a bucket that fills with time and with work that is useful.

export class Patience {
  readonly #burst: number
  readonly #perSecond: number
  readonly #now: () => number
  #left: number
  #at: number

  /** `now` in milliseconds; coarse will do. */
  constructor(burst: number, perSecond: number, now: () => number) {
    this.#burst = burst
    this.#perSecond = perSecond
    this.#now = now
    this.#left = burst
    this.#at = now()
  }

  /** Takes `cost`; false when there is not as much left. */
  spend(cost: number): boolean {
    if (this.#left < cost) {
      const now = this.#now()
      this.#left = Math.min(this.#burst, this.#left + ((now - this.#at) / 1000) * this.#perSecond)
      this.#at = now
    }
    this.#left -= cost
    return this.#left >= 0
  }

  /** Something useful was done. */
  earn(gain: number): void {
    if (this.#left < this.#burst) this.#left += gain
  }
}

/** With frames that move nothing (SETTINGS, PING, empty DATA, windows opened by an octet). */
export const withFrames = (now: () => number): Patience => new Patience(2000, 200, now)

/** With streams that come to nothing: those that a peer resets (rapid reset, CVE-2023-44487), or makes us reset (CVE-2025-8671). */
export const withResets = (now: () => number): Patience => new Patience(250, 25, now)

/** With DATA that is more frame than payload: typing and empty messages of gRPC are that too, so it takes many. */
export const withTinyData = (now: () => number): Patience => new Patience(100_000, 20_000, now)

/** Of services with the streams that we reset: well below what the strictest of the usual servers bears of a connection (Netty: 200 in 30 s). */
export const ofServices = (now: () => number): Patience => new Patience(60, 1, now)
