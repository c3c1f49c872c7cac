// One coarse timer wheel per thread: thousands of deadlines for the price of a field write each.

/** Something with at most one deadline; it carries the wheel's bookkeeping itself. */
export interface Timed {
  /** Milliseconds of the wheel's clock; 0: none. Written by `Deadlines` alone. */
  deadline: number
  /** The tick in whose bucket it lies; 0: in none. Written by `Deadlines` alone. */
  bucketTick: number
  /** Called once, at or up to one tick after the deadline. */
  expired(): void
}

const BUCKETS = 512

/**
 * Deadlines are checked lazily: moving one further away only writes its field; its bucket finds out when it comes due.
 * Resolution is one tick, and never early.
 */
export class Deadlines {
  readonly #buckets: Timed[][] = Array.from({ length: BUCKETS }, () => [])
  readonly #tickMs: number
  #tick = 1
  /** The time of the last tick. Coarse: use it for deadlines, not for measuring. */
  now: number

  constructor(now: number, tickMs = 100) {
    this.now = now
    this.#tickMs = tickMs
  }

  /** Sets the deadline `ms` from now, in place of an earlier one. */
  arm(timed: Timed, ms: number): void {
    timed.deadline = this.now + ms + this.#tickMs // `now` may be a tick old: never early
    const tick = this.#tick + Math.min(BUCKETS - 1, Math.max(1, Math.ceil((ms + this.#tickMs) / this.#tickMs)))
    if (timed.bucketTick !== 0 && timed.bucketTick <= tick) return
    timed.bucketTick = tick
    this.#buckets[tick % BUCKETS]!.push(timed)
  }

  disarm(timed: Timed): void {
    timed.deadline = 0
  }

  /** Moves the clock; calls what has expired. An error of one goes to `failed`, the others go on. */
  advance(now: number, failed: (error: unknown, timed: Timed) => void): void {
    this.now = now
    this.#tick++
    const bucket = this.#buckets[this.#tick % BUCKETS]!
    if (bucket.length === 0) return
    this.#buckets[this.#tick % BUCKETS] = []
    for (const timed of bucket) {
      if (timed.bucketTick !== this.#tick) continue // it lies in an earlier or later bucket as well
      timed.bucketTick = 0
      if (timed.deadline === 0) continue
      if (timed.deadline > now) {
        const left = timed.deadline - now
        const tick = this.#tick + Math.min(BUCKETS - 1, Math.max(1, Math.ceil(left / this.#tickMs)))
        timed.bucketTick = tick
        this.#buckets[tick % BUCKETS]!.push(timed)
        continue
      }
      timed.deadline = 0
      try {
        timed.expired()
      } catch (error) {
        failed(error, timed)
      }
    }
  }
}
