// How often what waits at the gate is tried again: at first at once, then in proportion to how long it has waited, and less the more wait. Pure.

const CONNECT_LEAST_MS = 40
const CONNECT_MOST_MS = 30_000
/** A backend that comes up is found this share of its waiting time late, at most. */
const CONNECT_SHARE = 1 / 50
/** All that wait together: two hundred connections a second. */
const CONNECT_EACH_MS = 5

const CHECK_LEAST_MS = 500
const CHECK_MOST_MS = 10_000
const CHECK_SHARE = 1 / 20

/** Before the next connection to an instance that has waited for `ageMs`, `waiting` others beside it. */
export function connectRetryMs(ageMs: number, waiting: number, random: () => number): number {
  return jittered(Math.max(CONNECT_EACH_MS * waiting, clamp(ageMs * CONNECT_SHARE, CONNECT_LEAST_MS, CONNECT_MOST_MS)), random)
}

/** Before the next look at the checks of one that waits for them. (The bound for all of them is the gate's.) */
export function checkPollMs(ageMs: number, waiting: number, random: () => number): number {
  return jittered(Math.max(waiting, clamp(ageMs * CHECK_SHARE, CHECK_LEAST_MS, CHECK_MOST_MS)), random)
}

const clamp = (value: number, least: number, most: number): number => Math.min(most, Math.max(least, value))
const jittered = (ms: number, random: () => number): number => ms * (0.75 + 0.5 * random())
