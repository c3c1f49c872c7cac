// One following of Nomad: lists, events and reads brought together into what is known, and that into readings.
import type { AddressPolicy } from '#src/upstream/address-policy.ts'
import type { HealthKeys, HealthPolicy, Instance, ProbeSpec, Problem, Reading } from '#src/catalog/catalog.ts'
import { backoffMs } from '#src/registry/backoff.ts'
import { Bell } from '#src/registry/bell.ts'
import type { Clock } from '#src/registry/clock.ts'
import type { FailureKind } from '#src/registry/nomad-answer.ts'
import type { NomadClient } from '#src/registry/nomad-client.ts'
import { AllocationReader } from './allocation-reader.ts'
import { blindWords, causeOf, deafWords, listWords } from './catalog-words.ts'
import { CheckLooks } from './check-looks.ts'
import { Fleet } from './fleet.ts'
import type { OwnAllocation } from './fleet.ts'
import { Gate } from './gate.ts'
import { InstanceMaker } from './instance-maker.ts'
import { KnownServices, serviceId } from './known-services.ts'
import type { ServiceId } from './known-services.ts'
import { ListWatch } from './list-watch.ts'
import type { BelievedList } from './list-watch.ts'
import { NodeReader } from './node-reader.ts'
import { ProbeRounds } from './probe-rounds.ts'
import { ReadQueue } from './read-queue.ts'
import { readRegistrations } from './registration.ts'
import { RestRounds } from './rest-rounds.ts'
import { sameReading } from './same-reading.ts'
import type { ServiceHint } from './event-line.ts'
import { StreamWatch } from './stream-watch.ts'
import { shuffled, sweepWaitMs } from './sweep.ts'
import { VanishedInstances } from './vanished-instances.ts'

export interface NomadCatalogOptions {
  readonly client: NomadClient
  /** By name, or `*` alone. */
  readonly namespaces: readonly string[]
  readonly policy: AddressPolicy
  /** Whether a service with these tags may become a route; others are not read. */
  readonly wants: (tags: readonly string[]) => boolean
  readonly clock: Clock
  readonly random: () => number
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void }
  /** What decides about health where tags say nothing. */
  readonly health: HealthPolicy
  /** The allocation that the program runs in, if it is in a Nomad task. */
  readonly own: OwnAllocation | undefined
  /** What an instance's tags say of its health. */
  keysOf(tags: readonly string[]): HealthKeys
  /** An address of this machine. */
  isHere(host: string): boolean
  /** Tries to connect once; '' when it succeeded, else why not. */
  connect(host: string, port: number): Promise<string>
  /** Probes once; '' when it passes, else why not. */
  probe(spec: ProbeSpec, host: string, port: number): Promise<string>
}

/** DESIGN section 6.3 and 6.4. */
const LIMITS = { perSecond: 10, restMs: 100 } as const
const READS_AT_ONCE = 6
/** Up to so many services are all looked at, at the pace of changes, when something may have been missed. */
const FEW = 500
/** What a restored snapshot does not know is kept for so long, since its backends may run on. */
const HOLD_MS = 60_000
/** The first reading waits for this long, at most, for instances that do not answer. */
const FIRST_MS = 5000
/** And for so long while jobs are read: all of them, where Nomad has judged no allocation healthy. What is on disk serves meanwhile. */
const FIRST_JOBS_MS = 30_000
const READ_FAILED = { firstMs: 200, mostMs: 10_000 } as const
/** A service that cannot be read so often in a row does not hold up the first reading any longer. */
const FIRST_TRIES = 3
const FOREVER_MS = 2_000_000_000

export class NomadWatch {
  readonly #options: NomadCatalogOptions
  readonly #signal: AbortSignal
  readonly #services: KnownServices
  readonly #queue = new ReadQueue(LIMITS)
  readonly #lists: readonly ListWatch[]
  readonly #streams: readonly StreamWatch[]
  readonly #allocations: AllocationReader
  readonly #nodes: NodeReader
  readonly #fleet: Fleet
  readonly #gate: Gate
  readonly #probes: ProbeRounds
  readonly #rest: RestRounds
  readonly #vanished: VanishedInstances
  readonly #maker: InstanceMaker
  /** Services to be read before the first reading, with how often that failed. */
  readonly #first = new Map<ServiceId, number>()
  readonly #bell = new Bell()
  #reading = 0
  #pump: AbortController | undefined
  #readFailures = 0
  #readErrors = 0
  #pausedUntil = 0
  #hurried = 0
  #holdUntil = 0
  #begun = false
  /** When everything was read for the first time. */
  #readAt: number | undefined

  constructor(options: NomadCatalogOptions, signal: AbortSignal) {
    const { client, clock, random, namespaces } = options
    this.#options = options
    this.#signal = signal
    this.#services = new KnownServices(options.wants)
    this.#allocations = new AllocationReader(client, clock, signal)
    this.#fleet = new Fleet({ client, clock, random, own: options.own, isHere: options.isHere })
    const looks = new CheckLooks(client, clock, signal)
    const probe = (spec: ProbeSpec, host: string, port: number): Promise<string> => options.probe(spec, host, port)
    this.#gate = new Gate({
      clock, random, signal, looks, probe, allocations: this.#allocations, fleet: this.#fleet, policy: options.health,
      keysOf: (tags) => options.keysOf(tags),
      connect: (host, port) => options.connect(host, port),
      onChange: ({ namespace, service }) => { this.#touch(serviceId(namespace, service)) },
      onSettled: () => { if (this.#begun) this.#allocations.starting = false; else this.#bell.ring() },
    })
    this.#nodes = new NodeReader(client, signal, () => clock.now())
    this.#probes = new ProbeRounds({ gate: this.#gate, looks, fleet: this.#fleet, clock, random, probe })
    this.#rest = new RestRounds({ gate: this.#gate, fleet: this.#fleet, looks, allocations: this.#allocations, clock, random })
    this.#vanished = new VanishedInstances({
      clock, random, signal,
      connect: (host, port) => options.connect(host, port),
      onGone: (id) => { this.#touch(id) },
    })
    this.#maker = new InstanceMaker({
      gate: this.#gate, vanished: this.#vanished, policy: options.policy, nodes: this.#nodes,
      onChange: (id) => { this.#touch(id) },
    })
    this.#lists = namespaces.map((namespace) => new ListWatch({
      client, clock, random, namespace, lists: namespaces.length,
      live: () => this.#streamOf(namespace)?.state === 'live',
      emptied: (listed) => this.#services.emptied(listed, () => true),
      onList: (list) => { this.#takeList(namespace, list) },
      onState: () => { this.#bell.ring() },
    }))
    this.#streams = namespaces.map((namespace) => new StreamWatch({
      client, clock, random, namespace,
      listIndex: () => this.#listOf(namespace)?.index ?? 0,
      onHint: (hint) => { this.#takeHint(hint) },
      onStatus: (status) => { this.#gate.note(status) },
      onLive: (gap) => {
        if (gap) {
          this.#lookAtAll(namespace)
          if (this.#begun) void this.#allocations.statuses(namespace, (status) => { this.#gate.note(status) })
        }
        this.#bell.ring()
      },
      onEnd: () => {
        this.#listOf(namespace)?.nudge()
        this.#bell.ring()
      },
    }))
  }

  /** The oldest of its lists, wall clock. */
  get confirmedAt(): number | undefined {
    const times = this.#lists.flatMap(({ confirmedAt }) => confirmedAt ?? [])
    return times.length === 0 ? undefined : Math.min(...times)
  }

  /** Services in its lists, with tags that matter or without. */
  get listed(): number {
    return this.#lists.reduce((sum, { names }) => sum + names, 0)
  }

  /** Somebody was refused a connection there. */
  suspect(host: string, port: number): void {
    this.#gate.suspect(host, port)
  }

  get errors(): number {
    return this.#readErrors + this.#lists.reduce((sum, { errors }) => sum + errors, 0)
  }

  async *readings(): AsyncGenerator<Reading, void, undefined> {
    const signal = this.#signal
    const running = Promise.all([...this.#lists.map((list) => list.follow(signal)), this.#sweep(), this.#beginStreams(), this.#fleet.follow(signal), this.#probes.follow(signal), this.#rest.follow(signal)])
    let given: Reading | undefined
    try {
      while (!signal.aborted) {
        await this.#bell.wait(this.#options.clock, FOREVER_MS, signal)
        const reading = signal.aborted ? undefined : this.#readingNow()
        if (reading === undefined || (given !== undefined && sameReading(given, reading))) continue
        given = reading
        yield reading
      }
    } finally {
      await running
    }
  }

  /** Events begin where a list ends, so that nothing falls between. */
  async #beginStreams(): Promise<void> {
    await Promise.all(this.#streams.map(async (stream) => {
      while (!this.#signal.aborted && (this.#listOf(stream.namespace)?.index ?? 0) === 0) await this.#options.clock.wait(20, this.#signal)
      await stream.follow(this.#signal)
    }))
  }

  #listOf(namespace: string): ListWatch | undefined {
    return this.#lists.find((list) => list.namespace === namespace)
  }

  #streamOf(namespace: string): StreamWatch | undefined {
    return this.#streams.find((stream) => stream.namespace === namespace)
  }

  #listFor(namespace: string): ListWatch | undefined {
    return this.#listOf(namespace) ?? this.#listOf('*')
  }

  #takeList(namespace: string, { listed, index, restored, woken, recovered }: BelievedList): void {
    const list = this.#listOf(namespace)!
    if (recovered) this.#streamOf(namespace)?.nudge()
    if (restored) {
      this.#options.log.warn({ catalog: 'nomad', index }, 'the registry was restored from an older snapshot: what it does not know is kept for a minute')
      this.#hold()
      this.#gate.forgetIndexes()
    }
    const { read, changed } = this.#services.applyList(listed, index, (each) => list.covers(each), this.#holding)
    for (const id of read) this.#want(id, 'changed')
    this.#maker.forgetOthers((id) => this.#services.get(id) !== undefined)
    // A list that was woken and shows nothing new leaves open which instances have changed.
    if ((woken || recovered) && read.length === 0 && !changed && this.#streamOf(namespace)?.state !== 'live') this.#lookAtAll(namespace)
    this.#bell.ring()
  }

  #takeHint(hint: ServiceHint): void {
    const list = this.#listFor(hint.namespace)
    if (list?.covers(hint.namespace) !== true) return
    const id = this.#services.hint(hint, list.index)
    if (id === undefined) return
    const believed = this.#begun && this.#queue.isBusy(this.#options.clock.now()) && this.#services.believe(hint)
    if (believed) this.#touch(id)
    this.#want(id, believed ? 'checked' : 'changed')
  }

  #want(id: ServiceId, lane: 'changed' | 'checked'): void {
    const isFirst = !this.#begun && this.#services.get(id)?.registrations === undefined
    if (isFirst && !this.#first.has(id)) this.#first.set(id, 0)
    this.#queue.add(id, isFirst ? 'first' : lane)
    this.#pumpReads()
  }

  /** Something may have been missed. */
  #lookAtAll(namespace: string): void {
    const concerned = Array.from(this.#services.all).filter((known) => namespace === '*' || known.namespace === namespace)
    if (concerned.length <= FEW) for (const { id } of concerned) this.#want(id, 'checked')
    else this.#hurried = this.#services.size
  }

  get #holding(): boolean {
    return this.#options.clock.now() < this.#holdUntil
  }

  #hold(): void {
    const { clock } = this.#options
    this.#holdUntil = clock.now() + HOLD_MS
    void clock.wait(HOLD_MS, this.#signal).then(() => {
      if (!this.#holding && this.#services.releaseHeld()) this.#bell.ring()
    })
  }

  /** Reads what waits in the queue, as many at once as there may be. */
  #pumpReads(): void {
    const { clock } = this.#options
    this.#pump?.abort()
    this.#pump = undefined
    const now = clock.now()
    while (this.#reading < READS_AT_ONCE && now >= this.#pausedUntil && !this.#signal.aborted) {
      const id = this.#queue.take(now)
      if (id === undefined) break
      this.#reading++
      void this.#read(id).finally(() => {
        this.#reading--
        this.#pumpReads()
      })
    }
    const waitMs = this.#queue.waitMs(now)
    if (waitMs === undefined || this.#reading >= READS_AT_ONCE) return
    const pump = this.#pump = new AbortController()
    void clock.wait(Math.max(1, waitMs, this.#pausedUntil - now), AbortSignal.any([pump.signal, this.#signal])).then(() => {
      if (!pump.signal.aborted && !this.#signal.aborted) this.#pumpReads()
    })
  }

  async #read(id: ServiceId): Promise<void> {
    const { client } = this.#options
    const known = this.#services.get(id)
    if (known === undefined) {
      this.#firstDone(id)
      return
    }
    const { namespace, name } = known
    const call = { call: 'service', path: `/v1/service/${encodeURIComponent(name)}`, query: { namespace } } as const
    let result = await client.get({ ...call, stale: true }, this.#signal)
    if (result.ok && (!result.knownLeader || result.index < (this.#services.get(id)?.leastIndex ?? 0) || result.index < known.index)) result = await client.get(call, this.#signal)
    if (this.#signal.aborted) return
    const registrations = result.ok && result.knownLeader ? readRegistrations(result.body, namespace, name) : undefined
    if (!result.ok || registrations === undefined) {
      this.#readFailed(id, result.ok ? 'garbage' : result.kind)
      return
    }
    this.#readFailures = 0
    switch (this.#services.applyService(id, registrations, result.index, this.#holding)) {
      case 'changed': this.#touch(id); break
      // The leader itself knows less than was known: a snapshot was restored, which the list will show.
      case 'stale': this.#listFor(namespace)?.nudge(); this.#queue.add(id, 'checked'); break
      case 'same': break
    }
    this.#firstDone(id)
  }

  /** It is read again, after a pause for all of them. */
  #readFailed(id: ServiceId, kind: FailureKind): void {
    const { clock, random } = this.#options
    this.#readErrors++
    this.#readFailures++
    this.#pausedUntil = clock.now() + backoffMs(this.#readFailures + (kind === 'busy' ? 4 : 0), READ_FAILED, random)
    const tries = this.#first.get(id)
    if (tries !== undefined && tries + 1 < FIRST_TRIES) this.#first.set(id, tries + 1)
    else if (tries !== undefined && this.#lists.some(({ state }) => state.kind === 'ok')) this.#firstDone(id)
    this.#queue.add(id, this.#first.has(id) ? 'first' : 'checked')
  }

  #firstDone(id: ServiceId): void {
    if (!this.#first.delete(id) || this.#first.size > 0) return
    this.#bell.ring()
  }

  async #sweep(): Promise<void> {
    const { clock, random } = this.#options
    let round: ServiceId[] = []
    while (!this.#signal.aborted) {
      await clock.wait(sweepWaitMs(this.#services.size, this.#hurried > 0, random), this.#signal)
      if (round.length === 0) round = shuffled(Array.from(this.#services.all, ({ id }) => id), random)
      const id = round.pop()
      if (this.#hurried > 0) this.#hurried--
      // While the lists fail, so would this.
      if (id !== undefined && this.#begun && this.#services.get(id) !== undefined && this.#lists.every(({ state }) => state.kind === 'ok')) this.#want(id, 'checked')
    }
  }

  /** Something of the service has changed. */
  #touch(id: ServiceId): void {
    this.#maker.touch(id)
    this.#bell.ring()
  }

  /** What is known as a reading; undefined: too little is known yet. */
  #readingNow(): Reading | undefined {
    const failing = this.#lists.filter(({ state }) => state.kind !== 'ok' && state.kind !== 'waiting')
    const problems = failing.map(({ namespace, state }) => this.#problem(`namespace ${namespace}: ${listWords(state)}`))
    const cause = causeOf(failing.map(({ state }) => state))
    if (cause !== undefined && failing.length === this.#lists.length) return { kind: 'failed', problems, cause }
    if (!this.#isComplete()) return undefined
    const hidden = this.#lists.flatMap((list) => [...list.hidden])
    for (const namespace of hidden) problems.push(this.#problem(`namespace ${namespace}: the token may not read it any more (read-job): what is known of it stays as it is`))
    problems.push(...this.#rightsProblems())
    const instances: Instance[] = []
    for (const known of this.#services.sorted()) {
      const list = this.#listFor(known.namespace)
      const made = this.#maker.make(known, list?.state.kind !== 'ok' || list.hidden.has(known.namespace))
      for (const instance of made.instances) instances.push(instance)
      for (const problem of made.problems) problems.push(problem)
    }
    instances.push(...this.#vanished.ofOthers((id) => this.#services.get(id) !== undefined))
    const partly = cause ?? (hidden.length > 0 ? 'not allowed' : undefined)
    return { kind: 'read', instances, problems, ...(partly === undefined ? {} : { partly }) }
  }

  /** Every list was read or may not be; every service was read; every instance was looked at, within bounds. */
  #isComplete(): boolean {
    if (this.#begun) return true
    if (this.#lists.some(({ state }) => state.kind === 'waiting' || (state.kind !== 'ok' && state.kind !== 'forbidden')) || this.#first.size > 0) return false
    // Makes them, so that the gate begins with them.
    for (const known of this.#services.all) this.#maker.make(known, false)
    const { clock } = this.#options
    if (this.#readAt === undefined) {
      this.#readAt = clock.now()
      for (const ms of [FIRST_MS, FIRST_JOBS_MS]) void clock.wait(ms, this.#signal).then(() => { this.#bell.ring() })
    }
    const waited = clock.now() - this.#readAt
    if ((!this.#gate.settled || this.#nodes.isReading) && waited < (this.#allocations.isReading ? FIRST_JOBS_MS : FIRST_MS)) return false
    this.#begun = true
    if (this.#gate.settled) this.#allocations.starting = false
    return true
  }

  #rightsProblems(): Problem[] {
    const { namespaces } = this.#options
    const blind = Array.from(this.#gate.forbidden, ([namespace, { reason }]) => blindWords(namespace, reason))
    const deaf = this.#streams.filter(({ state }) => state === 'refused').map(({ namespace, reason }) => deafWords(namespace, reason, namespaces.length > 1))
    return [...blind, ...deaf].map((reason) => this.#problem(reason))
  }

  #problem(reason: string): Problem {
    return { service: '@nomad', router: '', tag: '', reason, where: this.#options.client.name }
  }
}
