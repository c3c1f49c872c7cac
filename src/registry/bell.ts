// Wakes one waiting loop: a ring that comes while it works is not lost, and several are one.
import type { Clock } from './clock.ts'

export class Bell {
  #rung = false
  #wake: AbortController | undefined

  ring(): void {
    this.#rung = true
    this.#wake?.abort()
  }

  /** Until it rings (or has rung since the last wait), so many milliseconds have passed, or the signal aborts. True: it rang. */
  async wait(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
    if (!this.#rung && !signal.aborted) {
      const wake = this.#wake = new AbortController()
      await clock.wait(ms, AbortSignal.any([wake.signal, signal]))
      this.#wake = undefined
    }
    const rang = this.#rung
    this.#rung = false
    return rang
  }
}
