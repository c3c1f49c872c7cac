// Probes the instances that are to be probed and were ready once, each at its interval, as far as the fleet and their number allow.
import type { Clock } from '#src/registry/clock.ts'
import { Bell } from '#src/registry/bell.ts'
import type { ProbeSpec } from '#src/catalog/catalog.ts'
import type { CheckLooks } from './check-looks.ts'
import { DueQueue } from './due-queue.ts'
import type { Fleet } from './fleet.ts'
import type { Entry } from './followed-instance.ts'
import type { Gate } from './gate.ts'
import { probeIntervalMs } from './probe-rule.ts'

export interface ProbeRoundsOptions {
  readonly gate: Gate
  readonly looks: CheckLooks
  readonly fleet: Fleet
  readonly clock: Clock
  readonly random: () => number
  probe(spec: ProbeSpec, host: string, port: number): Promise<string>
}

/** In a row. */
const MOST_DOUBTS = 20
const FOREVER_MS = 2_000_000_000

export class ProbeRounds {
  readonly #options: ProbeRoundsOptions
  readonly #due = new DueQueue<Entry>()
  readonly #bell = new Bell()

  constructor(options: ProbeRoundsOptions) {
    this.#options = options
    options.gate.onProbed = (entry) => { this.#add(entry) }
  }

  /** Probes made so far. */
  made = 0

  async follow(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    while (!signal.aborted) {
      const now = clock.now()
      for (let entry; (entry = this.#due.take(now)) !== undefined;) this.#turn(entry)
      await this.#bell.wait(clock, this.#due.next === undefined ? FOREVER_MS : Math.max(1, this.#due.next - clock.now()), signal)
    }
  }

  /** In its first interval somewhere: what is deployed together is not probed together. */
  #add(entry: Entry): void {
    const { clock, random } = this.#options
    entry.inRounds = true
    this.#due.add(entry, clock.now() + this.#intervalMs(entry) * random())
    this.#bell.ring()
  }

  /** A probe that stands for a check and fails on the instance's own node: its client knows, and is asked. One that never passes from here does not go on asking. */
  async #doubt(entry: Entry): Promise<void> {
    const { gate, fleet, looks } = this.#options
    const { probe, rule, facts, state, ended, candidate: { host, registration: { namespace, allocation, node } } } = entry
    if (probe?.derived !== true || rule.policy !== 'checks' || facts.allocation !== 'known' || state.health !== 'passing' || facts.probe.failures > MOST_DOUBTS || !fleet.isHere(node, host)) return
    const look = await looks.look(namespace, allocation, ended.signal)
    for (const each of gate.of(allocation)) gate.takeLook(each, look)
  }

  #intervalMs(entry: Entry): number {
    const { fleet, random } = this.#options
    const { candidate: { registration: { node }, host }, facts: { probe: { failures, failing } } } = entry
    return entry.probe === undefined ? 0 : probeIntervalMs(entry.probe.spec, { fleet: fleet.size, here: fleet.isHere(node, host), probed: this.#due.size + 1, doubtful: failures === 1 && !failing }, random)
  }

  #turn(entry: Entry): void {
    const { clock, gate } = this.#options
    const { probe, candidate: { host, port }, state: { health }, ended } = entry
    if (ended.signal.aborted || probe === undefined) {
      entry.inRounds = false
      return
    }
    const again = (): void => {
      if (ended.signal.aborted) return
      this.#due.add(entry, clock.now() + this.#intervalMs(entry))
      this.#bell.ring()
    }
    // What waits for its first pass is probed by the gate, and what leaves by nobody.
    if (health !== 'passing' && health !== 'unhealthy') return again()
    this.made++
    void this.#options.probe(probe.spec, host, probe.spec.port === 0 ? port : probe.spec.port).then((why) => {
      if (ended.signal.aborted) return
      gate.takeProbe(entry, why)
      if (why !== '') void this.#doubt(entry)
      again()
    })
  }
}
