// One coarse timer wheel per thread: thousands of deadlines for the price of a field write each.

/** Something with at most one deadline; it carries the wheel's bookkeeping itself. */
export interface Timed {
  /** Milliseconds of the wheel's clock; 0: none. Written by `Deadlines` alone. */
  deadline: number
  /** The tick in whose bucket it lies; 0: in none. Written by `Deadlines` alone. */
  bucketTick: number
  /** Its place there. Written by `Deadlines` alone. */
  bucketPlace: number
  /** Called once, at or up to two ticks after the deadline. */
  expired(): void
}

const BUCKETS = 512

/**
 * Deadlines are checked lazily: moving one further away only writes its field; its bucket finds out when it comes due.
 * Resolution is one tick, and never early.
 */
export class Deadlines {
  /** Arrays that are left by their places: sets would keep what has left them (io/roster.ts). */
  readonly #buckets: Timed[][] = Array.from({ length: BUCKETS }, () => [])
  readonly #tickMs: number
  readonly #startedAt: number
  #tick = 1
  /** The time of the last tick. Coarse: use it for deadlines, not for measuring. */
  now: number

  constructor(now: number, tickMs = 100) {
    this.now = now
    this.#startedAt = now
    this.#tickMs = tickMs
  }

  /** Sets the deadline `ms` from now, in place of an earlier one. */
  arm(timed: Timed, ms: number): void {
    timed.deadline = this.now + ms + this.#tickMs // `now` may be a tick old: never early
    const tick = this.#tickIn(ms + this.#tickMs)
    if (timed.bucketTick !== 0) {
      if (timed.bucketTick <= tick) return
      this.#leave(timed)
    }
    this.#enter(timed, tick)
  }

  /** No deadline for now; the next one is likely to come soon. */
  disarm(timed: Timed): void {
    timed.deadline = 0
  }

  /** No deadline ever again: the wheel forgets it, so that what is closed is not kept in memory until its bucket comes due. */
  remove(timed: Timed): void {
    timed.deadline = 0
    if (timed.bucketTick === 0) return
    this.#leave(timed)
  }

  /** Moves the clock, however far; calls what has expired. An error of one goes to `failed`, the others go on. */
  advance(now: number, failed: (error: unknown, timed: Timed) => void): void {
    this.now = now
    const last = 1 + Math.floor((now - this.#startedAt) / this.#tickMs)
    if (last - this.#tick > BUCKETS) this.#tick = last - BUCKETS // asleep for longer than the wheel is round: each bucket once
    while (this.#tick < last) {
      this.#tick++
      const bucket = this.#bucket(this.#tick)
      for (let timed; (timed = bucket.pop()) !== undefined;) { // nothing enters the bucket that is due
        timed.bucketTick = 0
        this.#turn(timed, failed)
      }
    }
  }

  /** Its bucket has come due: it expires, waits on, or had no deadline any more. */
  #turn(timed: Timed, failed: (error: unknown, timed: Timed) => void): void {
    if (timed.deadline === 0) return
    if (timed.deadline > this.now) {
      this.#enter(timed, this.#tickIn(timed.deadline - this.now))
      return
    }
    timed.deadline = 0
    try {
      timed.expired()
    } catch (error) {
      failed(error, timed)
    }
  }

  #enter(timed: Timed, tick: number): void {
    const bucket = this.#bucket(tick)
    timed.bucketTick = tick
    timed.bucketPlace = bucket.length
    bucket.push(timed)
  }

  #leave(timed: Timed): void {
    const bucket = this.#bucket(timed.bucketTick)
    const last = bucket.pop()!
    timed.bucketTick = 0
    if (last === timed) return
    bucket[timed.bucketPlace] = last
    last.bucketPlace = timed.bucketPlace
  }

  #tickIn(ms: number): number {
    return this.#tick + Math.min(BUCKETS - 1, Math.max(1, Math.ceil(ms / this.#tickMs)))
  }

  #bucket(tick: number): Timed[] {
    return this.#buckets[tick % BUCKETS]!
  }
}
