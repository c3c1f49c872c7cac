// Brings new instances to readiness: allocation, checks, one connection; each at the pace that readiness.ts and the budget allow.
import type { InstanceHealth } from '#src/catalog/catalog.ts'
import type { Clock } from '#src/registry/clock.ts'
import type { NomadClient } from '#src/registry/nomad-client.ts'
import type { AllocationReader } from './allocation-reader.ts'
import { checksOf, readChecks } from './check-definition.ts'
import { checkPollMs, connectRetryMs } from './gate-pace.ts'
import { RateWindow } from './rate-window.ts'
import { afterChecks, judgeReadiness, unknownFacts } from './readiness.ts'
import type { InstanceFacts } from './readiness.ts'
import type { Registration } from './registration.ts'

/** A registered instance and where it is reached. */
export interface Candidate {
  readonly registration: Registration
  readonly host: string
  readonly port: number
}

export interface GateOptions {
  readonly client: NomadClient
  readonly allocations: AllocationReader
  readonly clock: Clock
  readonly random: () => number
  readonly signal: AbortSignal
  /** Tries to connect once; '' when it succeeded, else why not. */
  connect(host: string, port: number): Promise<string>
  /** Everything was looked at once. */
  onSettled(): void
  /** The state of an instance has changed. */
  onChange(registration: Registration): void
}

export interface InstanceState {
  readonly health: InstanceHealth
  readonly why: string
}

interface Entry {
  candidate: Candidate
  facts: InstanceFacts
  state: InstanceState
  /** Since when it is waited for. */
  readonly since: number
  /** It was looked at once, to its first wait. */
  tried: boolean
  /** What is known of it will be told in a moment. */
  telling: boolean
  readonly ended: AbortController
}

const CONNECTS_AT_ONCE = 64
/** Looks at the checks of allocations, in any second, for all that wait. */
const CHECKS_PER_SECOND = 10
/** Where allocations may not be read, they are asked for again after this long. */
const FORBIDDEN_MS = 60_000
const FAILED_MS = 1000
const TELL_MS = 200

export class Gate {
  readonly #options: GateOptions
  readonly #entries = new Map<string, Entry>()
  readonly #window = new RateWindow(CHECKS_PER_SECOND)
  /** Namespaces in which allocations or checks may not be read, and until when that is taken for granted. */
  readonly #forbidden = new Map<string, { readonly until: number; readonly reason: string }>()
  #waiting = 0
  #untried = 0
  #connecting = 0
  readonly #connectQueue: (() => void)[] = []

  constructor(options: GateOptions) {
    this.#options = options
  }

  /** Namespaces where one connection decides for all, since the token may read no checks there, with what was answered. */
  get forbidden(): ReadonlyMap<string, { readonly reason: string }> {
    return this.#forbidden
  }

  /** Every instance was looked at once. */
  get settled(): boolean {
    return this.#untried === 0
  }

  /** Instances that are not ready. */
  get waiting(): number {
    return this.#waiting
  }

  /** The state of an instance that was registered before, at the same place; a new one begins to be brought up. */
  follow(candidate: Candidate): InstanceState {
    const { id } = candidate.registration
    const known = this.#entries.get(id)
    if (known !== undefined && known.candidate.host === candidate.host && known.candidate.port === candidate.port && known.candidate.registration.allocation === candidate.registration.allocation) {
      known.candidate = candidate
      return known.state
    }
    if (known !== undefined) this.forget(id)
    const facts = unknownFacts
    const entry: Entry = { candidate, facts, state: { health: 'pending', why: judgeReadiness(facts).why }, since: this.#options.clock.now(), tried: false, telling: false, ended: new AbortController() }
    this.#entries.set(id, entry)
    this.#waiting++
    this.#untried++
    void this.#bring(entry)
    return entry.state
  }

  /** It is registered no more. */
  forget(id: string): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    this.#entries.delete(id)
    entry.ended.abort()
    if (entry.state.health === 'pending') this.#waiting--
    this.#tried(entry)
  }

  async #bring(entry: Entry): Promise<void> {
    const { clock, signal } = this.#options
    while (!signal.aborted && !entry.ended.signal.aborted) {
      const readiness = judgeReadiness(entry.facts)
      if (this.#settle(entry, readiness.ready, readiness.why)) return
      const before = entry.facts
      const waitMs = await this.#step(entry, readiness.next)
      if (judgeReadiness(entry.facts).next !== judgeReadiness(before).next) continue
      this.#settle(entry, false, judgeReadiness(entry.facts).why)
      this.#tried(entry)
      if (waitMs > 0) await clock.wait(waitMs, entry.ended.signal)
    }
  }

  /** True: it is ready, and nothing is left to do. */
  #settle(entry: Entry, ready: boolean, why: string): boolean {
    const health = ready ? 'passing' : 'pending'
    if (entry.ended.signal.aborted || (entry.state.health === health && entry.state.why === why)) return ready
    if (ready) this.#waiting--
    entry.state = { health, why }
    if (ready) {
      this.#tried(entry)
      this.#options.onChange(entry.candidate.registration)
    } else this.#tellLater(entry)
    return ready
  }

  /** Why something is not ready yet is for people: most is ready before they could read it, and each telling costs a table. */
  #tellLater(entry: Entry): void {
    if (entry.telling) return
    entry.telling = true
    void this.#options.clock.wait(TELL_MS, entry.ended.signal).then(() => {
      entry.telling = false
      if (!entry.ended.signal.aborted && entry.state.health === 'pending') this.#options.onChange(entry.candidate.registration)
    })
  }

  #tried(entry: Entry): void {
    if (entry.tried) return
    entry.tried = true
    if (--this.#untried === 0) this.#options.onSettled()
  }

  /** Finds out one thing; returns how long to wait before the same is asked again. */
  async #step(entry: Entry, next: 'allocation' | 'checks' | 'connect' | 'nothing'): Promise<number> {
    const { clock, random } = this.#options
    const ageMs = clock.now() - entry.since
    switch (next) {
      case 'allocation': return await this.#readAllocation(entry)
      case 'checks': {
        await this.#readChecks(entry)
        return checkPollMs(ageMs, this.#waiting, random)
      }
      case 'connect': {
        const failure = await this.#connect(entry)
        entry.facts = { ...entry.facts, connected: failure === '', connectFailure: failure }
        return connectRetryMs(clock.now() - entry.since, this.#waiting, random)
      }
      case 'nothing': return 0
    }
  }

  async #readAllocation(entry: Entry): Promise<number> {
    const { registration: { namespace, allocation: id, service } } = entry.candidate
    if (this.#isForbidden(namespace)) {
      entry.facts = { ...entry.facts, allocation: 'forbidden' }
      return 0
    }
    const result = await this.#options.allocations.find(id, namespace)
    if (result.ok) {
      this.#forbidden.delete(namespace)
      const { allocation, definition } = result
      entry.facts = { ...entry.facts, allocation: 'known', checks: definition === undefined ? [] : checksOf(definition, allocation.group, service) }
      return 0
    }
    if (result.kind === 'forbidden') {
      this.#forbid(namespace, result.reason)
      entry.facts = { ...entry.facts, allocation: 'forbidden' }
      return 0
    }
    return FAILED_MS * (0.5 + this.#options.random())
  }

  async #readChecks(entry: Entry): Promise<void> {
    const { client, clock, signal } = this.#options
    const { registration: { namespace, allocation, service } } = entry.candidate
    for (let ms; !entry.ended.signal.aborted && (ms = this.#window.waitMs(clock.now())) > 0;) await clock.wait(ms, entry.ended.signal)
    if (entry.ended.signal.aborted) return
    this.#window.note(clock.now())
    const result = await client.get({ call: 'checks', path: `/v1/client/allocation/${encodeURIComponent(allocation)}/checks`, query: { namespace } }, signal)
    if (result.ok) entry.facts = afterChecks(entry.facts, service, readChecks(result.body))
    else if (result.kind === 'forbidden') {
      this.#forbid(namespace, result.reason)
      entry.facts = { ...entry.facts, allocation: 'forbidden' }
    } else entry.facts = { ...entry.facts, checksFailure: result.reason }
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
