// Follows the health of every instance: brings new ones to readiness, and those that fail back to it; each at the pace that the rules and the budget allow.
import type { HealthKeys, HealthPolicy, InstanceHealth, ProbeSpec } from '#src/catalog/catalog.ts'
import type { Clock } from '#src/registry/clock.ts'
import type { AllocationReader, AllocationResult } from './allocation-reader.ts'
import { mayHaveRestarted } from './allocation-status.ts'
import type { AllocationStatus } from './allocation-status.ts'
import { checksOf } from './check-definition.ts'
import type { CheckLooks, Look } from './check-looks.ts'
import type { Candidate, Entry, InstanceState } from './followed-instance.ts'
import { versionOf } from './followed-instance.ts'
import type { Fleet } from './fleet.ts'
import { checkPollMs, connectRetryMs } from './gate-pace.ts'
import { afterChecks, afterRenewal, afterStatus, judgeHealth, unknownFacts } from './health-rule.ts'
import type { HealthRule, InstanceFacts, NextStep } from './health-rule.ts'
import { afterProbe, deriveProbe, plainProbe } from './probe-rule.ts'
import type { Registration } from './registration.ts'
import { runOf } from './run-forecast.ts'

export interface GateOptions {
  readonly allocations: AllocationReader
  readonly looks: CheckLooks
  readonly fleet: Fleet
  readonly clock: Clock
  readonly random: () => number
  readonly signal: AbortSignal
  /** What decides where tags say nothing. */
  readonly policy: HealthPolicy
  keysOf(tags: readonly string[]): HealthKeys
  /** Tries to connect once; '' when it succeeded, else why not. */
  connect(host: string, port: number): Promise<string>
  /** Probes once; '' when it passes, else why not. */
  probe(spec: ProbeSpec, host: string, port: number): Promise<string>
  /** Everything was looked at once. */
  onSettled(): void
  /** The state of an instance has changed. */
  onChange(registration: Registration): void
}

const CONNECTS_AT_ONCE = 64
/** Where allocations may not be read, they are asked for again after this long. */
const FORBIDDEN_MS = 60_000
const FAILED_MS = 1000
const TELL_MS = 200

export class Gate {
  readonly #options: GateOptions
  readonly #entries = new Map<string, Entry>()
  readonly #byAllocation = new Map<string, Set<Entry>>()
  /** Namespaces in which allocations or checks may not be read, and until when that is taken for granted. */
  readonly #forbidden = new Map<string, { readonly until: number; readonly reason: string }>()
  #waiting = 0
  #untried = 0
  #connecting = 0
  readonly #connectQueue: (() => void)[] = []
  /** Told of every instance that begins to be probed. */
  onProbed: (entry: Entry) => void = () => undefined

  constructor(options: GateOptions) {
    this.#options = options
  }

  get entries(): Iterable<Entry> {
    return this.#entries.values()
  }

  /** Namespaces where one connection decides for all, since the token may read no checks there, with what was answered. */
  get forbidden(): ReadonlyMap<string, { readonly reason: string }> {
    return this.#forbidden
  }

  /** Every instance was looked at once. */
  get settled(): boolean {
    return this.#untried === 0
  }

  /** Instances that are being brought to readiness. */
  get waiting(): number {
    return this.#waiting
  }

  /** The state of an instance that was registered before, at the same place; a new one begins to be brought up. */
  follow(candidate: Candidate): InstanceState {
    const { registration } = candidate
    const known = this.#entries.get(registration.id)
    if (known !== undefined && known.candidate.host === candidate.host && known.candidate.port === candidate.port && known.candidate.registration.allocation === registration.allocation) {
      const before = known.candidate.registration
      known.candidate = candidate
      if (before === registration) return known.state
      known.rule = this.#ruleOf(registration)
      this.#chooseProbe(known)
      if (before.createIndex !== registration.createIndex) this.#learn(known, afterRenewal(known.facts), false)
      else this.#learn(known, known.facts, false)
      return known.state
    }
    if (known !== undefined) this.forget(registration.id)
    return this.#add(candidate).state
  }

  #add(candidate: Candidate): Entry {
    const { clock } = this.#options
    const { registration } = candidate
    const rule = this.#ruleOf(registration)
    // What another service of the same allocation has found out is known of this one too.
    const [sibling] = this.#byAllocation.get(registration.allocation) ?? []
    const facts = { ...unknownFacts, status: sibling?.facts.status }
    const { health, why } = judgeHealth(facts, rule)
    const entry: Entry = {
      candidate, rule, facts, version: '', probe: undefined, inRounds: false, state: { health, why, since: clock.wall() }, since: clock.now(), lookedAt: clock.now(), run: undefined,
      running: false, nap: undefined, tried: false, telling: false, ended: new AbortController(),
    }
    this.#entries.set(registration.id, entry)
    const siblings = this.#byAllocation.get(registration.allocation)
    if (siblings === undefined) this.#byAllocation.set(registration.allocation, new Set([entry]))
    else siblings.add(entry)
    this.#untried++
    this.#chooseProbe(entry)
    this.#wake(entry)
    return entry
  }

  /** It is registered no more. */
  forget(id: string): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    this.#entries.delete(id)
    const { allocation } = entry.candidate.registration
    const siblings = this.#byAllocation.get(allocation)
    siblings?.delete(entry)
    if (siblings?.size === 0) this.#byAllocation.delete(allocation)
    entry.ended.abort()
    this.#tried(entry)
  }

  /** The instances of an allocation. */
  of(allocation: string): Iterable<Entry> {
    return this.#byAllocation.get(allocation) ?? []
  }

  /** Whether the program follows instances of this allocation. */
  has(allocation: string): boolean {
    return this.#byAllocation.has(allocation)
  }

  /** The servers say something of an allocation. */
  note(status: AllocationStatus): void {
    for (const entry of this.#byAllocation.get(status.id) ?? []) {
      const before = entry.facts.status
      const facts = afterStatus(entry.facts, status)
      if (facts.status !== status) continue
      this.#learn(entry, mayHaveRestarted(before, status) ? { ...facts, suspect: true } : facts)
    }
  }

  /** Indexes begin anew: the registry was restored from an older snapshot. */
  forgetIndexes(): void {
    for (const entry of this.#entries.values()) if (entry.facts.status !== undefined) entry.facts = { ...entry.facts, status: { ...entry.facts.status, index: 0 } }
  }

  /** Somebody was refused a connection: whether one can be made is found out, and nothing changes until then. */
  suspect(host: string, port: number): void {
    for (const entry of this.#entries.values()) {
      const { candidate, state, facts } = entry
      if (candidate.port === port && candidate.host === host && state.health === 'passing') this.#learn(entry, { ...facts, suspect: true })
    }
  }

  /** Results of its checks, asked for by a round. */
  takeLook(entry: Entry, look: Look): void {
    const { clock } = this.#options
    const { registration: { service, namespace } } = entry.candidate
    entry.run = runOf(entry, look, clock.now())
    entry.lookedAt = clock.now()
    if (look.ok) this.#learn(entry, afterChecks(entry.facts, service, look.results))
    else if (look.kind === 'forbidden') {
      this.#forbid(namespace, look.reason)
      this.#learn(entry, { ...entry.facts, allocation: 'forbidden' })
    } else this.#learn(entry, { ...entry.facts, checksFailure: look.reason })
  }

  /** The outcome of a probe. */
  takeProbe(entry: Entry, why: string): void {
    const { probe, facts } = entry
    if (probe !== undefined) this.#learn(entry, { ...facts, probe: afterProbe(facts.probe, probe.spec, probe.derived, why) })
  }

  /** What its job defines, read by a round: it is known of all of the same version then. */
  takeDefinition(entry: Entry, result: AllocationResult): void {
    if (!result.ok || result.definition === undefined) return
    const { definition, allocation } = result
    this.#forbidden.delete(allocation.namespace)
    entry.version = versionOf(allocation)
    for (const each of this.#entries.values()) {
      if (each !== entry && (each.version !== entry.version || each.facts.checks !== undefined)) continue
      // What was admitted while its checks could not be read stays so until one fails.
      const admitted = each.facts.judgedHealthy || each.facts.allocation === 'forbidden'
      this.#learn(each, { ...each.facts, allocation: 'known', judgedHealthy: admitted, checks: checksOf(definition, allocation.group, each.candidate.registration.service) })
      this.#chooseProbe(each)
    }
  }

  #ruleOf({ tags }: Registration): HealthRule {
    const { health, probe } = this.#options.keysOf(tags)
    return { policy: health ?? this.#options.policy, probe }
  }

  /** Its tags', or what stands for its job's check. */
  #chooseProbe(entry: Entry): void {
    const { rule, facts } = entry
    const derived = rule.policy === 'none' || rule.probe !== undefined || facts.checks === undefined ? undefined : (deriveProbe(facts.checks) ?? (rule.policy === 'probe' ? plainProbe : undefined))
    const spec = rule.policy === 'none' ? undefined : (rule.probe ?? derived ?? (rule.policy === 'probe' && facts.allocation === 'forbidden' ? plainProbe : undefined))
    entry.probe = spec === undefined ? undefined : { spec, derived: rule.policy === 'checks' && rule.probe === undefined }
    if (entry.probe !== undefined && !entry.inRounds) this.onProbed(entry)
  }

  /** Takes what was found out, tells what has changed by it, and goes on finding out what is missing. */
  #learn(entry: Entry, facts: InstanceFacts, tell = true): void {
    entry.facts = facts
    const { health, why, next } = judgeHealth(facts, entry.rule)
    this.#settle(entry, health, why, tell)
    if (next !== 'nothing') this.#wake(entry)
  }

  #wake(entry: Entry): void {
    entry.nap?.abort()
    if (entry.running) return
    entry.running = true
    entry.since = this.#options.clock.now()
    this.#waiting++
    void this.#bring(entry).finally(() => {
      entry.running = false
      this.#waiting--
    })
  }

  async #bring(entry: Entry): Promise<void> {
    const { clock, signal } = this.#options
    while (!signal.aborted && !entry.ended.signal.aborted) {
      const before = judgeHealth(entry.facts, entry.rule)
      this.#settle(entry, before.health, before.why)
      if (before.next === 'nothing') break
      const waitMs = await this.#step(entry, before.next)
      const after = judgeHealth(entry.facts, entry.rule)
      this.#settle(entry, after.health, after.why)
      if (after.next !== before.next) continue
      this.#tried(entry)
      if (waitMs > 0) {
        entry.nap = new AbortController()
        await clock.wait(waitMs, AbortSignal.any([entry.nap.signal, entry.ended.signal]))
        entry.nap = undefined
      }
    }
    this.#tried(entry)
  }

  #settle(entry: Entry, health: InstanceHealth, why: string, tell = true): void {
    const { state, ended, candidate } = entry
    if (ended.signal.aborted || (state.health === health && state.why === why)) return
    if (health === 'passing' && !entry.facts.wasReady) entry.facts = { ...entry.facts, wasReady: true }
    entry.state = { health, why, since: state.health === health ? state.since : this.#options.clock.wall() }
    if (health === 'passing') this.#tried(entry)
    if (!tell) return
    if (state.health !== health) this.#options.onChange(candidate.registration)
    else this.#tellLater(entry)
  }

  /** Why something is not ready yet is for people: most is ready before they could read it, and each telling costs a table. */
  #tellLater(entry: Entry): void {
    if (entry.telling) return
    entry.telling = true
    void this.#options.clock.wait(TELL_MS, entry.ended.signal).then(() => {
      entry.telling = false
      if (!entry.ended.signal.aborted && entry.state.health !== 'passing') this.#options.onChange(entry.candidate.registration)
    })
  }

  #tried(entry: Entry): void {
    if (entry.tried) return
    entry.tried = true
    if (--this.#untried === 0) this.#options.onSettled()
  }

  /** Finds out one thing; returns how long to wait before the same is asked again. */
  async #step(entry: Entry, next: NextStep): Promise<number> {
    const { clock, random, looks, fleet } = this.#options
    const { registration: { namespace, allocation, node }, host, port } = entry.candidate
    switch (next) {
      case 'allocation': return await this.#readAllocation(entry)
      case 'checks': {
        this.takeLook(entry, await looks.look(namespace, allocation, entry.ended.signal))
        const now = clock.now()
        const untilRunMs = entry.run === undefined ? 0 : entry.run.after + Math.min(...(entry.facts.checks ?? []).map(({ intervalMs }) => intervalMs), Infinity) - now
        return checkPollMs({ ageMs: now - entry.since, waiting: this.#waiting, fleet: fleet.size, here: fleet.isHere(node, host), untilRunMs: Number.isFinite(untilRunMs) ? untilRunMs : 0 }, random)
      }
      case 'connect': {
        const failure = await this.#connect(entry)
        if (!entry.ended.signal.aborted) this.#learn(entry, { ...entry.facts, connected: failure === '', connectFailure: failure, suspect: false })
        return connectRetryMs(clock.now() - entry.since, this.#waiting, random)
      }
      case 'probe': {
        this.takeProbe(entry, await this.#options.probe(entry.probe?.spec ?? plainProbe, host, entry.probe === undefined || entry.probe.spec.port === 0 ? port : entry.probe.spec.port))
        return connectRetryMs(Math.max(25_000, clock.now() - entry.since), this.#waiting, random) // from half a second on
      }
      case 'nothing': return 0
    }
  }

  async #readAllocation(entry: Entry): Promise<number> {
    const { registration: { namespace, allocation: id, service } } = entry.candidate
    if (this.#isForbidden(namespace)) return this.#doWithout(entry)
    const renewed = entry.facts.wasReady
    const result = await (renewed || entry.rule.policy === 'probe' ? this.#options.allocations.define(id, namespace) : this.#options.allocations.find(id, namespace))
    if (entry.ended.signal.aborted) return 0
    if (result.ok) {
      this.#forbidden.delete(namespace)
      const { allocation, definition } = result
      const { status, group } = allocation
      entry.version = versionOf(allocation)
      const judgedHealthy = entry.facts.judgedHealthy || (!renewed && status.healthy === true)
      this.#learn(entry, { ...afterStatus(entry.facts, status), allocation: 'known', judgedHealthy, ...(definition === undefined ? {} : { checks: checksOf(definition, group, service) }) })
      this.#chooseProbe(entry)
      return 0
    }
    if (result.kind === 'forbidden') {
      this.#forbid(namespace, result.reason)
      return this.#doWithout(entry)
    }
    return FAILED_MS * (0.5 + this.#options.random())
  }

  #doWithout(entry: Entry): 0 {
    this.#learn(entry, { ...entry.facts, allocation: 'forbidden' })
    this.#chooseProbe(entry)
    return 0
  }

  /** One loud problem for the namespace, and no instance that waits for ever. */
  #forbid(namespace: string, reason: string): void {
    const fresh = !this.#forbidden.has(namespace)
    this.#forbidden.set(namespace, { until: this.#options.clock.now() + FORBIDDEN_MS, reason })
    const [first] = this.#entries.values()
    if (fresh && first !== undefined) this.#options.onChange(first.candidate.registration)
  }

  #isForbidden(namespace: string): boolean {
    const known = this.#forbidden.get(namespace)
    return known !== undefined && this.#options.clock.now() < known.until
  }

  async #connect({ candidate: { host, port }, ended }: Entry): Promise<string> {
    if (this.#connecting >= CONNECTS_AT_ONCE) await new Promise<void>((resolve) => { this.#connectQueue.push(resolve) })
    if (ended.signal.aborted) {
      this.#connectQueue.shift()?.()
      return 'given up'
    }
    this.#connecting++
    try {
      return await this.#options.connect(host, port)
    } finally {
      this.#connecting--
      this.#connectQueue.shift()?.()
    }
  }
}
