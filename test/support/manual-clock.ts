// A clock that stands still until a test moves it; for the development registry and for the loops of the control plane.
import type { Clock as DevelopmentClock } from '#src/development/clock.ts'
import type { Clock } from '#src/registry/clock.ts'

interface Due {
  readonly at: number
  readonly run: () => void
}

export class ManualClock implements Clock, DevelopmentClock {
  #now: number
  readonly #due = new Set<Due>()

  constructor(now = Date.UTC(2026, 10, 26)) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  wall(): number {
    return this.#now
  }

  /** How many are waiting for time to pass. */
  get waiting(): number {
    return this.#due.size
  }

  after(ms: number, run: () => void): () => void {
    const due = { at: this.#now + ms, run }
    this.#due.add(due)
    return () => { this.#due.delete(due) }
  }

  wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve()
      const done = (): void => {
        cancel()
        signal.removeEventListener('abort', done)
        resolve()
      }
      const cancel = this.after(ms, done)
      signal.addEventListener('abort', done, { once: true })
    })
  }

  /** Lets time pass, in order: whatever comes due runs at its time, and what follows from it by promises comes before the next. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    await turn()
    for (;;) {
      const next = [...this.#due].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#due.delete(next)
      this.#now = Math.max(this.#now, next.at)
      next.run()
      await turn()
    }
    this.#now = end
    await turn()
  }
}

/** All promises that can be settled without time or input. */
const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve) })
