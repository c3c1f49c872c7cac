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
  readonly #buckets: Set<Timed>[] = Array.from({ length: BUCKETS }, () => new Set())
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
    this.#leaveBucket(timed)
    this.#enterBucket(timed, tick)
  }

  /** No deadline for now; the next one is likely to come soon. */
  disarm(timed: Timed): void {
    timed.deadline = 0
  }

  /** No deadline ever again: the wheel forgets it, so that what is closed is not kept in memory until its bucket comes due. */
  remove(timed: Timed): void {
    timed.deadline = 0
    this.#leaveBucket(timed)
  }

  #enterBucket(timed: Timed, tick: number): void {
    timed.bucketTick = tick
    this.#buckets[tick % BUCKETS]!.add(timed)
  }

  #leaveBucket(timed: Timed): void {
    if (timed.bucketTick === 0) return
    this.#buckets[timed.bucketTick % BUCKETS]!.delete(timed)
    timed.bucketTick = 0
  }

  /** Moves the clock; calls what has expired. An error of one goes to `failed`, the others go on. */
  advance(now: number, failed: (error: unknown, timed: Timed) => void): void {
    this.now = now
    this.#tick++
    const bucket = this.#buckets[this.#tick % BUCKETS]!
    if (bucket.size === 0) return
    this.#buckets[this.#tick % BUCKETS] = new Set()
    for (const timed of bucket) {
      if (timed.bucketTick !== this.#tick) continue // moved by one that expired just before it
      timed.bucketTick = 0
      if (timed.deadline === 0) continue
      if (timed.deadline > now) {
        const left = timed.deadline - now
        const tick = this.#tick + Math.min(BUCKETS - 1, Math.max(1, Math.ceil(left / this.#tickMs)))
        this.#enterBucket(timed, tick)
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
