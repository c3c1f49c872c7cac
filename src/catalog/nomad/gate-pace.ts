// How often what is not ready is tried again: at first at once, then in proportion to how long it has waited, and less the more wait. Pure.

const CONNECT_LEAST_MS = 40
const CONNECT_MOST_MS = 30_000
/** A backend that comes up is found this share of its waiting time late, at most. */
const CONNECT_SHARE = 1 / 50
/** All that wait together: two hundred connections a second. */
const CONNECT_EACH_MS = 5

const CHECK_LEAST_MS = 500
const CHECK_MOST_MS = 10_000
const CHECK_SHARE = 1 / 200
/** All nodes but its own together look at one allocation so often in a second. */
const CHECK_FLEET_PER_SECOND = 200
/** Before the time at which a check is expected to run. */
const EARLY_MS = 100

/** Before the next connection to an instance that has waited for `ageMs`, `waiting` others beside it. */
export function connectRetryMs(ageMs: number, waiting: number, random: () => number): number {
  return jittered(Math.max(CONNECT_EACH_MS * waiting, clamp(ageMs * CONNECT_SHARE, CONNECT_LEAST_MS, CONNECT_MOST_MS)), random)
}

export interface CheckPace {
  readonly ageMs: number
  readonly waiting: number
  /** Ingresses that look; the node's own is exempt from sharing with them. */
  readonly fleet: number
  readonly here: boolean
  /** Until the next run of the check, as far as one can tell; 0 or less: it may have run by now. */
  readonly untilRunMs: number
}

/**
 * Before the next look at the checks of one that waits for them: every half second while a run may be over, not while none can be. (The bound for all
 * of them is in `CheckLooks`.)
 */
export function checkPollMs({ ageMs, waiting, fleet, here, untilRunMs }: CheckPace, random: () => number): number {
  const least = Math.max(waiting, here ? 0 : ((fleet - 1) * 1000) / CHECK_FLEET_PER_SECOND, clamp(ageMs * CHECK_SHARE, CHECK_LEAST_MS, CHECK_MOST_MS))
  return jittered(Math.max(least, untilRunMs - EARLY_MS), untilRunMs - EARLY_MS > least ? () => 0.5 : random)
}

const clamp = (value: number, least: number, most: number): number => Math.min(most, Math.max(least, value))
const jittered = (ms: number, random: () => number): number => ms * (0.75 + 0.5 * random())
