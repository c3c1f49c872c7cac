// The slow round over all services that finds what nobody told of: DESIGN section 6.4's pace. Pure.

/** A round takes at least this long. */
const ROUND_MS = 60_000
/** Between two reads at rest: half a call a second, however many services there are. */
const REST_MS = 2000
/** When something may have been missed: ten a second, and above so many services a round of fifteen minutes. */
const HURRY_MS = 100
const MANY = 500
const LONG_ROUND_MS = 15 * 60_000

/** How long until the next service of the round is read. `hurried`: events may have been missed. Jittered, so that a fleet spreads. */
export function sweepWaitMs(services: number, hurried: boolean, random: () => number): number {
  const count = Math.max(1, services)
  const pace = hurried ? (count <= MANY ? HURRY_MS : Math.max(HURRY_MS, LONG_ROUND_MS / count)) : Math.max(REST_MS, ROUND_MS / count)
  return pace * (0.5 + random())
}

/** In an order of its own on each node, so that a fleet spreads. */
export function shuffled<T>(items: T[], random: () => number): T[] {
  for (let at = items.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1))
    const [a, b] = [items[at]!, items[other]!]
    items[at] = b
    items[other] = a
  }
  return items
}
