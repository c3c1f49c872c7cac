// How a small piece of code is timed: as the lowest of many batches in one warm process.

export interface Case {
  readonly name: string
  /** Does it `times` times; returns something that depends on the results, so that none of it is left out. */
  run(times: number): unknown
  /** What one time stands for, such as 5 services; default 1. */
  readonly per?: number
}

const BATCHES = 60
const BATCH_MS = 5

/** Nanoseconds for one. */
export function measure({ run, per = 1 }: Case): number {
  let times = 1
  let took = 0
  // Warm up, and find out how many make a batch that a clock can tell.
  for (let rounds = 0; took < BATCH_MS || rounds < 8; rounds++) {
    if (took < BATCH_MS) times *= 2
    took = timed(run, times)
  }
  let lowest = took
  for (let batch = 0; batch < BATCHES; batch++) lowest = Math.min(lowest, timed(run, times))
  return (lowest * 1e6) / times / per
}

function timed(run: Case['run'], times: number): number {
  const begin = performance.now()
  const kept = run(times)
  const took = performance.now() - begin
  if (kept === neverReturned) throw new Error('a case may not return this')
  return took
}

const neverReturned = Symbol('never returned')
