// Readings of catalogs become snapshots: kept when a catalog fails, coalesced when it changes often, published when something differs.
import type { Catalog, Instance, Problem, Reading } from '#src/catalog/catalog.ts'
import type { Service, ServiceKey, SnapshotSlice } from '#src/snapshot.ts'
import { assemble, type AssemblyMemory } from './assemble.ts'
import { describeRoutes, diffServices, type AssembledService } from './diff.ts'
import { Publisher } from './publisher.ts'
import { Slots } from './slots.ts'
import type { AssembleOptions } from './tag-cache.ts'

/** What is known of one catalog. */
export interface CatalogState {
  readonly name: string
  readonly state: 'waiting' | 'current' | 'stale'
  /** Wall clock of the last good reading, milliseconds; undefined before the first. */
  readonly readAt: number | undefined
  readonly errors: number
  readonly problem: string
}

export interface TableSourceOptions {
  readonly catalogs: readonly Catalog[]
  readonly assembly: AssembleOptions
  /** Slices for workers at the revision before; slots below `slotsEnd` are in use. */
  publish(slices: readonly SnapshotSlice[], slotsEnd: number): void
  serviceAdded(key: ServiceKey, slot: number): void
  serviceRemoved(slot: number): void
  log: { info(fields: object, message: string): void; warn(fields: object, message: string): void }
}

/** The first change is taken at once, further ones together after this. */
const COALESCE_MS = 100
const MAX_TIMER_MS = 2_000_000_000

interface Known {
  instances: readonly Instance[]
  problems: readonly Problem[]
  good: boolean
  readAt: number | undefined
  errors: number
  failed: boolean
}

export class TableSource {
  readonly publisher = new Publisher()
  readonly #options: TableSourceOptions
  readonly #slots = new Slots()
  readonly #known = new Map<string, Known>()
  #memory: AssemblyMemory | undefined
  #assembled: ReadonlyMap<ServiceKey, AssembledService> = new Map()
  #problems: readonly Problem[] = []
  #assembledAt = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  constructor(options: TableSourceOptions) {
    this.#options = options
    for (const { name } of options.catalogs) {
      this.#known.set(name, { instances: [], problems: [], good: false, readAt: undefined, errors: 0, failed: false })
    }
  }

  get problems(): readonly Problem[] {
    return this.#problems
  }

  get catalogs(): readonly CatalogState[] {
    return [...this.#known].map(([name, known]) => ({
      name,
      state: known.good ? (known.failed ? 'stale' : 'current') : 'waiting',
      readAt: known.readAt,
      errors: known.errors,
      problem: known.failed ? (known.problems[0]?.reason ?? '') : '',
    }))
  }

  /** Follows all catalogs until the signal aborts. Without catalogs, the empty table is complete. */
  async follow(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => clearTimeout(this.#timer), { once: true })
    if (this.#options.catalogs.length === 0) this.#assemble()
    await Promise.all(this.#options.catalogs.map((catalog) => this.#followOne(catalog, signal)))
  }

  async #followOne(catalog: Catalog, signal: AbortSignal): Promise<void> {
    for await (const reading of catalog.readings(signal)) {
      if (signal.aborted) return
      this.#take(catalog.name, reading)
    }
  }

  #take(name: string, reading: Reading): void {
    const known = this.#known.get(name)
    if (known === undefined) return
    known.problems = reading.problems
    known.failed = reading.kind === 'failed'
    if (reading.kind === 'failed') known.errors++
    else {
      known.instances = reading.instances
      known.good = true
      known.readAt = Date.now()
    }
    const since = performance.now() - this.#assembledAt
    if (since >= COALESCE_MS) this.#assemble()
    else this.#assembleIn(COALESCE_MS - since)
  }

  #assembleIn(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#assemble(), Math.min(ms, MAX_TIMER_MS))
    this.#timer.unref()
  }

  #assemble(): void {
    clearTimeout(this.#timer)
    const now = performance.now()
    this.#assembledAt = now
    const readings = new Map([...this.#known].map(([name, { good, instances, problems }]) => [name, good || problems.length > 0 ? { instances, problems } : undefined]))
    const result = assemble({ readings, previous: this.#memory, now, options: this.#options.assembly })
    this.#memory = result.memory
    this.#tellProblems(result.problems)
    this.#publish(result.services, this.#allRead, now)
    if (result.nextChangeAt !== undefined) this.#assembleIn(Math.max(0, result.nextChangeAt - now) + 1)
  }

  get #allRead(): boolean {
    return [...this.#known.values()].every(({ good }) => good)
  }

  #publish(services: ReadonlyMap<ServiceKey, AssembledService>, complete: boolean, now: number): void {
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
    if (slices.length === 0) return
    this.#options.publish(slices, this.#slots.end)
    const lines = describeRoutes(before, services)
    this.#options.log.info({ revision: this.publisher.revision, changed: changed.length, removed: removed.length, routes: lines }, 'routes changed')
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
