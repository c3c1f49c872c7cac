// A clock that can run faster than the machine's: ten minutes of an outage in seconds.
import type { Clock as RegistryClock } from '#src/development/clock.ts'
import type { Clock } from '#src/registry/clock.ts'

const TICK_MS = 5

export class FastClock implements Clock {
  #speed = 1
  #at = performance.now()
  #now = 0
  readonly #begun = Date.now()

  /** How many milliseconds of this clock pass in one of the machine's; also for what waits already. */
  set speed(speed: number) {
    this.#now = this.now()
    this.#at = performance.now()
    this.#speed = speed
  }

  /** The same time for a development registry. */
  get ofRegistry(): RegistryClock {
    const start = Date.now() - this.now()
    return {
      now: () => start + this.now(),
      after: (ms, run) => {
        const cancel = new AbortController()
        void this.wait(ms, cancel.signal).then(() => { if (!cancel.signal.aborted) run() })
        return () => { cancel.abort() }
      },
    }
  }

  now(): number {
    return this.#now + (performance.now() - this.#at) * this.#speed
  }

  wall(): number {
    return this.#begun + this.now()
  }

  wait(ms: number, signal: AbortSignal): Promise<void> {
    const until = this.now() + ms
    return new Promise((resolve) => {
      if (signal.aborted) return resolve()
      const done = (): void => {
        clearInterval(timer)
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setInterval(() => { if (this.now() >= until) done() }, TICK_MS).unref()
      signal.addEventListener('abort', done, { once: true })
    })
  }
}
