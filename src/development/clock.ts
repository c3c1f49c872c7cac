// The time that the development registry lives in: passed in, so that tests can move it.

/** Takes a timer back; harmless after it has run. */
export type Cancel = () => void

export interface Clock {
  /** Wall clock, milliseconds. */
  now(): number
  /** Runs once, `ms` milliseconds from now. */
  after(ms: number, run: () => void): Cancel
}

/** Real time. Its timers do not keep the process alive: what listens does. */
export const systemClock: Clock = {
  now: Date.now,
  after(ms, run) {
    const timer = setTimeout(run, ms).unref()
    return () => { clearTimeout(timer) }
  },
}

/** Milliseconds as Nomad writes points in time: nanoseconds since 1970 (exact to about 100 ns, as a JSON number is). */
export const toNanoseconds = (ms: number): number => ms * 1e6

/** Milliseconds as Go writes a time. */
export const toTimestamp = (ms: number): string => new Date(ms).toISOString()

/** Go's zero time. */
export const NO_TIME = '0001-01-01T00:00:00Z'
