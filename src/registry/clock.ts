// Time as the control plane's loops see it: passed in, so that a test may own it.

export interface Clock {
  /** Milliseconds that never run backwards. */
  now(): number
  /** Wall clock, milliseconds. */
  wall(): number
  /** Resolves after so many milliseconds, or as soon as the signal aborts. */
  wait(ms: number, signal: AbortSignal): Promise<void>
}

/** The machine's own. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  wait: (ms, signal) => new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
  }),
}
