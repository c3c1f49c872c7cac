// What is asked when nothing happens, within what is left of the budget: the checks of passing instances on this node, and what jobs define.
import type { Clock } from '#src/registry/clock.ts'
import type { AllocationReader } from './allocation-reader.ts'
import type { CheckLooks } from './check-looks.ts'
import type { Fleet } from './fleet.ts'
import type { Entry } from './followed-instance.ts'
import type { Gate } from './gate.ts'

export interface RestRoundsOptions {
  readonly gate: Gate
  readonly fleet: Fleet
  readonly looks: CheckLooks
  readonly allocations: AllocationReader
  readonly clock: Clock
  readonly random: () => number
}

/** Between two calls: a quarter of a call a second; lists and services take 0.6 of the one that is allowed. */
const REST_MS = 4000
/** What may not be read is asked for again after this. */
const FORBIDDEN_MS = 60_000

export class RestRounds {
  readonly #options: RestRoundsOptions

  constructor(options: RestRoundsOptions) {
    this.#options = options
  }

  async follow(signal: AbortSignal): Promise<void> {
    const { clock, random, gate, looks, allocations } = this.#options
    while (!signal.aborted) {
      await clock.wait(REST_MS * (0.9 + 0.2 * random()), signal)
      if (signal.aborted) return
      const { entry, defined } = this.#choose()
      if (entry === undefined) continue
      const { registration: { namespace, allocation } } = entry.candidate
      if (!defined) {
        entry.lookedAt = clock.now()
        const result = await allocations.define(allocation, namespace)
        if (!entry.ended.signal.aborted) gate.takeDefinition(entry, result)
        continue
      }
      const look = await looks.look(namespace, allocation, entry.ended.signal)
      for (const each of gate.of(allocation)) gate.takeLook(each, look)
    }
  }

  /** The one that has waited longest beyond its interval, on this node first; then one of which the checks are not known. */
  #choose(): { readonly entry: Entry | undefined; readonly defined: boolean } {
    const { gate, fleet, clock } = this.#options
    const now = clock.now()
    let late: Entry | undefined
    let most = 0
    let unknown: Entry | undefined
    let unknownIsHere = false
    for (const entry of gate.entries) {
      const { candidate: { registration: { node }, host }, rule, facts: { allocation, checks }, state } = entry
      if (rule.policy === 'none' || allocation === undefined || state.health !== 'passing') continue
      const here = fleet.isHere(node, host)
      if (checks === undefined || allocation === 'forbidden') {
        if ((unknown === undefined || (here && !unknownIsHere)) && now - entry.lookedAt > (allocation === 'forbidden' ? FORBIDDEN_MS : REST_MS)) {
          unknown = entry
          unknownIsHere = here
        }
        continue
      }
      if (!here || rule.policy !== 'checks' || checks.length === 0) continue
      const beyond = now - entry.lookedAt - Math.min(...checks.map(({ intervalMs }) => intervalMs))
      if (beyond > most) {
        late = entry
        most = beyond
      }
    }
    // What is on this node and unknown can be looked at only afterwards; in turns with looks, so that neither waits for ever.
    if (unknown !== undefined && (late === undefined || (unknownIsHere && now % 2 < 1))) return { entry: unknown, defined: false }
    return { entry: late, defined: true }
  }
}
