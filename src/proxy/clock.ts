// The time of a worker: cheap to ask for, in the forms that the data plane needs.
import { performance } from 'node:perf_hooks'

export class Clock {
  #second = 0
  #isoSecond = ''
  #date = ''
  #wall = 0
  #iso = ''

  /** Milliseconds that never run backwards; for durations and deadlines. */
  now(): number {
    return performance.now()
  }

  /** ISO 8601 with milliseconds; what does not change within a second, or a millisecond, is kept. */
  time(): string {
    const wall = Date.now()
    if (wall !== this.#wall) {
      this.#enter(Math.floor(wall / 1000))
      this.#wall = wall
      this.#iso = `${this.#isoSecond}${String(wall % 1000).padStart(3, '0')}Z`
    }
    return this.#iso
  }

  /** The line `Date: …` for responses that have none (RFC 9110 6.6.1). */
  dateField(): string {
    this.#enter(Math.floor(Date.now() / 1000))
    return this.#date
  }

  #enter(second: number): void {
    if (second === this.#second) return
    this.#second = second
    const date = new Date(second * 1000)
    this.#isoSecond = date.toISOString().slice(0, 20)
    this.#date = `Date: ${date.toUTCString()}\r\n`
  }
}
