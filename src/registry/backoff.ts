// How long to wait before trying again: exponential, with full jitter, so that a fleet does not come back in step. Pure.

export interface BackoffRange {
  /** Most after the first failure, milliseconds. */
  readonly firstMs: number
  /** Most after any number of failures. */
  readonly mostMs: number
}

/** The wait after `failures` failures in a row (1 or more): anything from a tenth of the range's bound up to it. `random` as Math.random. */
export function backoffMs(failures: number, { firstMs, mostMs }: BackoffRange, random: () => number): number {
  const bound = Math.min(mostMs, firstMs * 2 ** Math.min(failures - 1, 20))
  return bound * (0.1 + 0.9 * random())
}
