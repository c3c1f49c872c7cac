// Readings of catalogs become snapshots: kept when a catalog fails, coalesced when it changes often, published when something differs.
import type { Catalog, Problem } from '#src/catalog/catalog.ts'
import { reachable } from '#src/catalog/connect-gate.ts'
import type { LastGood, LastReading } from '#src/catalog/last-good.ts'
import type { Clock } from '#src/registry/clock.ts'
import type { Service, ServiceKey, SnapshotSlice } from '#src/snapshot.ts'
import { assemble, type AssemblyMemory } from './assemble.ts'
import { JobAges } from './job-ages.ts'
import { describeRoutes, diffServices, type AssembledService } from './diff.ts'
import { KnownCatalog } from './known-catalog.ts'
import { Publisher } from './publisher.ts'
import { Slots } from './slots.ts'
import { standingsOf, waitingOf } from './standings.ts'
import type { AssembleOptions } from './tag-cache.ts'

export interface TableSourceOptions {
  readonly catalogs: readonly Catalog[]
  readonly assembly: AssembleOptions
  readonly clock: Clock
  /** Where the last good readings are kept. */
  readonly lastGood: LastGood
  /** This machine's addresses: after a restart of the node what it had here is gone. */
  readonly nodeAddresses: readonly string[]
  /** Slices for workers at the revision before; slots below `slotsEnd` are in use. */
  publish(slices: readonly SnapshotSlice[], slotsEnd: number): void
  serviceAdded(key: ServiceKey, slot: number): void
  serviceRemoved(slot: number): void
  log: { info(fields: object, message: string): void; warn(fields: object, message: string): void; error(fields: object, message: string): void }
}

/** The first change is taken at once, further ones together after this, or after as long as the last assembly took: the main thread has more to do. */
const COALESCE_MS = 10
const CONFIRM_MS = 60_000
const MAX_TIMER_MS = 2_000_000_000

/** A catalog that has not answered by then is taken to be down. */
const PATIENCE_MS = 1000

export class TableSource {
  readonly publisher = new Publisher()
  readonly #options: TableSourceOptions
  readonly #slots = new Slots()
  readonly #known: ReadonlyMap<string, KnownCatalog>
  readonly #ages: JobAges
  /** Catalogs whose permission is missing, and for which the time is watched. */
  readonly #closing = new Set<KnownCatalog>()
  #memory: AssemblyMemory | undefined
  #assembled: ReadonlyMap<ServiceKey, AssembledService> = new Map()
  #problems: readonly Problem[] = []
  #assembledAt = Number.NEGATIVE_INFINITY
  #assemblyTook = 0
  #assembly: AssembleOptions
  #timer: NodeJS.Timeout | undefined

  constructor(options: TableSourceOptions) {
    this.#options = options
    this.#ages = new JobAges(options.catalogs, () => this.#assembleSoon())
    this.#assembly = options.assembly
    this.#known = new Map(options.catalogs.map((catalog) => [catalog.name, new KnownCatalog(catalog)]))
  }

  get problems(): readonly Problem[] {
    return this.#problems
  }

  get catalogs(): readonly KnownCatalog[] {
    return [...this.#known.values()]
  }

  /** Follows all catalogs until the signal aborts. Without catalogs, the empty table is complete. */
  async follow(signal: AbortSignal): Promise<void> {
    // A registry that confirms what is known makes no reading of it, and the disk must not grow old meanwhile.
    const confirming = setInterval(() => this.#keep(false), CONFIRM_MS).unref()
    signal.addEventListener('abort', () => {
      clearTimeout(this.#timer)
      clearInterval(confirming)
      this.#ages.close()
    }, { once: true })
    if (this.#options.catalogs.length === 0) this.#assemble()
    const kept = await this.#options.lastGood.read(this.#options.clock.wall())
    await Promise.all(this.#options.catalogs.map((catalog) => this.#followOne(catalog, kept.get(catalog.name), signal)))
  }

  /** What catalogs say of the instances of each service. */
  standings(): ReturnType<typeof standingsOf> {
    return standingsOf(this.#memory?.drafts ?? new Map())
  }

  /** Addresses of instances that carry a route and get no requests of it, by service and match. */
  waiting(): ReturnType<typeof waitingOf> {
    return waitingOf(this.#memory?.drafts ?? new Map())
  }

  /** What tags mean and what routes get has changed. */
  reassemble(assembly: AssembleOptions): void {
    this.#assembly = assembly
    this.#assemble()
  }

  /** Nobody listens at `address`. */
  refused(address: string): void {
    for (const known of this.catalogs) known.suspect(address)
    if (this.catalogs.filter((known) => known.refused(address)).length > 0) this.#assembleSoon()
  }

  async #followOne(catalog: Catalog, kept: LastReading | undefined, signal: AbortSignal): Promise<void> {
    const known = this.#known.get(catalog.name)
    if (known === undefined) return
    let restoring = Promise.resolve()
    const restore = (): void => {
      clearTimeout(timer)
      const old = kept
      kept = undefined
      if (old !== undefined && known.mayRestore(old, this.#options.clock.wall())) restoring = this.#restore(catalog, known, old, signal)
    }
    const timer = setTimeout(restore, PATIENCE_MS)
    for await (const reading of catalog.readings(signal)) {
      if (signal.aborted) break
      const before = known.answer
      known.take(reading, this.#options.clock.wall())
      if (known.answer !== before) this.#tellAnswer(known)
      if (reading.kind === 'failed') restore()
      void this.#closeInTime(known, signal)
      this.#assembleSoon()
    }
    clearTimeout(timer)
    await restoring
  }

  /** Nothing new is admitted after too long without permission, though no reading says so. */
  async #closeInTime(known: KnownCatalog, signal: AbortSignal): Promise<void> {
    if (this.#closing.has(known)) return
    this.#closing.add(known)
    const { clock, log } = this.#options
    for (let at; !signal.aborted && (at = known.admitsUntil) !== undefined;) {
      await clock.wait(Math.max(1, at - clock.wall()), signal)
      if (signal.aborted || !known.closeAdmission(clock.wall())) continue
      log.warn({ catalog: known.name, since: new Date(known.forbiddenSince ?? 0).toISOString() }, 'no permission for 15 minutes: nothing new of the catalog, or of the part that may not be read, is admitted')
      this.#assembleSoon()
    }
    this.#closing.delete(known)
  }

  /** Whether it is empty, not allowed or unreachable is what an operator looks for first. */
  #tellAnswer({ name, answer, state, problem }: KnownCatalog): void {
    const { log } = this.#options
    switch (answer) {
      case 'none yet': break
      case 'read': log.info({ catalog: name, answer, state }, 'the catalog was read'); break
      case 'empty': log.info({ catalog: name, answer, state }, 'the catalog was read, and nothing is registered'); break
      case 'partly read': log.warn({ catalog: name, answer, problem }, 'a part of the catalog cannot be read: it stays as it was'); break
      default: log.warn({ catalog: name, answer, state, problem }, 'the catalog cannot be read: what is known of it stays in force')
    }
  }

  /** Serves what was known before the restart, as far as somebody still listens there. */
  async #restore(catalog: Catalog, known: KnownCatalog, kept: LastReading, signal: AbortSignal): Promise<void> {
    const here = new Set(this.#options.nodeAddresses)
    const elsewhere = catalog.reusesAddresses ? kept.instances.filter(({ host }) => !here.has(host)) : kept.instances
    const instances = await reachable(elsewhere, signal)
    if (signal.aborted || !known.restore({ ...kept, instances })) return
    this.#options.log.warn({
      catalog: catalog.name, readAt: new Date(kept.readAt).toISOString(), instances: instances.length, leftOut: kept.instances.length - instances.length,
    }, 'the catalog does not answer: serving what was known before the restart')
    this.#assembleSoon()
  }

  /** The first change at once, those that follow it closely together. */
  #assembleSoon(): void {
    const since = performance.now() - this.#assembledAt
    const pause = Math.max(COALESCE_MS, this.#assemblyTook)
    if (since >= pause) this.#assemble()
    else this.#assembleIn(pause - since)
  }

  #assembleIn(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#assemble(), Math.min(ms, MAX_TIMER_MS))
    this.#timer.unref()
  }

  /** A mistake of ours in here must not end the process: the data plane serves on with what it has. */
  #assemble(): void {
    clearTimeout(this.#timer)
    this.#assembledAt = performance.now()
    try {
      this.#assembleAt(this.#assembledAt)
    } catch (error) {
      this.#options.log.error({ error }, 'routes could not be made of what the catalogs say; the last ones stay in force; please report this')
    }
    const ended = performance.now()
    this.#assemblyTook = ended - this.#assembledAt
    this.#assembledAt = ended
  }

  #assembleAt(now: number): void {
    const readings = new Map(this.catalogs.map(({ name, instances, problems }) =>
      [name, instances !== undefined || problems.length > 0 ? { instances: instances ?? [], problems } : undefined]))
    const result = assemble({ readings, previous: this.#memory, now, options: this.#assembly, ages: this.#ages.known })
    this.#memory = result.memory
    this.#ages.want(result.contested)
    this.#tellProblems(result.problems)
    this.#keep(this.#publish(result.services, this.#allRead, now))
    if (result.nextChangeAt !== undefined) this.#assembleIn(Math.max(0, result.nextChangeAt - now) + 1)
  }

  get #allRead(): boolean {
    return this.catalogs.every(({ instances }) => instances !== undefined)
  }

  #keep(changed: boolean): void {
    const readings = this.catalogs.flatMap(({ name, state, lastReading }) => (state === 'current' && lastReading !== undefined ? [[name, lastReading] as const] : []))
    if (readings.length > 0) this.#options.lastGood.save(new Map(readings), changed)
  }

  /** False: nothing that workers would notice has changed. */
  #publish(services: ReadonlyMap<ServiceKey, AssembledService>, complete: boolean, now: number): boolean {
    const before = this.#assembled
    this.#assembled = services
    const { changed, removed } = diffServices(before, services)
    const placed = changed.map((service): Service => {
      const { slot, fresh } = this.#slots.take(service.key, now)
      if (fresh) this.#options.serviceAdded(service.key, slot)
      return { ...service, slot }
    })
    for (const key of removed) {
      const slot = this.#slots.free(key, now)
      if (slot !== undefined) this.#options.serviceRemoved(slot)
    }
    const slices = this.publisher.publish(placed, removed, complete)
    if (slices.length === 0) return false
    this.#options.publish(slices, this.#slots.end)
    const lines = describeRoutes(before, services)
    this.#options.log.info({ revision: this.publisher.revision, changed: changed.length, removed: removed.length, routes: lines }, 'routes changed')
    return true
  }

  /** Each problem is logged when it comes up and when it is gone. */
  #tellProblems(problems: readonly Problem[]): void {
    const id = (problem: Problem): string => JSON.stringify(problem)
    const before = new Set(this.#problems.map(id))
    const after = new Set(problems.map(id))
    const came = problems.filter((problem) => !before.has(id(problem)))
    const went = this.#problems.filter((problem) => !after.has(id(problem)))
    this.#problems = problems
    for (const problem of came.slice(0, MAX_LOGGED)) this.#options.log.warn({ problem }, 'problem')
    if (came.length > MAX_LOGGED) this.#options.log.warn({ more: came.length - MAX_LOGGED }, 'further problems: see /api/problems')
    if (went.length > 0) this.#options.log.info({ solved: went.slice(0, MAX_LOGGED), count: went.length }, 'problems solved')
  }
}

const MAX_LOGGED = 20
