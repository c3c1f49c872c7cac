// Waiting until something has come to rest.
import { until } from './until.ts'

/** Polls a number until it has not changed for 20 polls (about 0.1 s) and is at least `least`; returns it. */
export async function settled(value: () => number | Promise<number>, what: string, { least = 0, deadline = 5000 } = {}): Promise<number> {
  let last = Number.NaN
  let same = 0
  await until(async () => {
    const now = await value()
    same = now === last ? same + 1 : 0
    last = now
    return same >= 20 && now >= least
  }, { deadline, what: `${what} coming to rest` })
  return last
}
