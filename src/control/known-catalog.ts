// What is known of one catalog: its last good reading, whether that is still current, and what must not be believed of it.
import type { Catalog, CatalogReport, FailureCause, Instance, Problem, Reading } from '#src/catalog/catalog.ts'
import type { LastReading } from '#src/catalog/last-good.ts'
import { FORBIDDEN_MS, Permission } from './permission.ts'

export type CatalogStateName = 'waiting' | 'current' | 'stale' | 'restored'

/** What the catalog's registry says, in the words that are shown: a permission is no outage, and neither is "nothing registered". */
export type CatalogAnswer = 'none yet' | 'read' | 'empty' | 'partly read' | FailureCause

/** "Nothing known" and "known to be nothing" are told apart: `instances` is undefined before the first reading. */
export class KnownCatalog {
  readonly name: string
  readonly #reusesAddresses: boolean
  readonly #report: (() => CatalogReport) | undefined
  readonly #suspect: ((host: string, port: number) => void) | undefined
  #instances: readonly Instance[] | undefined
  #problems: readonly Problem[] = []
  #readAt: number | undefined
  #errors = 0
  #state: CatalogStateName = 'waiting'
  #answer: CatalogAnswer = 'none yet'
  readonly #permission = new Permission()
  /** Addresses where nobody listened while the catalog could not confirm them. */
  readonly #gone = new Set<string>()

  constructor(catalog: Catalog) {
    this.name = catalog.name
    this.#reusesAddresses = catalog.reusesAddresses
    this.#suspect = catalog.suspect === undefined ? undefined : (host, port) => { catalog.suspect!(host, port) }
    if (catalog.report !== undefined) this.#report = () => catalog.report!()
  }

  /** Takes a reading; a failed one changes no instance. `now` is wall clock. */
  take(reading: Reading, now: number): void {
    this.#problems = reading.problems
    if (reading.kind === 'failed') {
      this.#errors++
      this.#answer = reading.cause ?? 'not understood'
      if (this.#answer === 'not allowed') this.#missPermission(now)
      if (this.#state === 'current') this.#state = 'stale'
      return
    }
    if (reading.partly === 'not allowed') this.#missPermission(now)
    else if (reading.partly === undefined) this.#permission.grant()
    else this.closeAdmission(now)
    this.#instances = reading.instances
    this.#readAt = now
    this.#state = 'current'
    this.#answer = reading.partly !== undefined ? 'partly read' : reading.instances.length === 0 && (this.#report?.().listed ?? 0) === 0 ? 'empty' : 'read'
    if (this.#gone.size === 0) return
    const doubtful = new Set(reading.instances.filter(isDoubtful).map(addressOf))
    const sure = new Set(reading.instances.filter((instance) => !isDoubtful(instance)).map(addressOf))
    for (const address of this.#gone) if (!doubtful.has(address) || sure.has(address)) this.#gone.delete(address)
  }

  /** Whether a reading from disk may be taken: not when the permission to read it anew has been missing for long. `now` is wall clock. */
  mayRestore({ readAt }: LastReading, now: number): boolean {
    return this.#state === 'waiting' && (this.#permission.missingSince === undefined || now - readAt < FORBIDDEN_MS)
  }

  /** When nothing new will be admitted, wall clock; undefined: that is not in sight, or it is so already. */
  get admitsUntil(): number | undefined {
    return this.#permission.endsAt
  }

  /** True: the permission to read it has been missing for too long by `now`, so nothing new is admitted. */
  closeAdmission(now: number): boolean {
    return this.#permission.end(now, this.#instances ?? [])
  }

  /** What came from disk says how long ago there was permission at the latest; too long, and it should not have been taken. */
  #missPermission(now: number): void {
    const restoredAt = this.#state === 'restored' ? this.#readAt : undefined
    const tooLate = restoredAt !== undefined && this.#permission.missingSince === undefined && now - restoredAt >= FORBIDDEN_MS
    this.#permission.miss(restoredAt ?? now)
    this.#permission.end(now, tooLate ? [] : this.#instances ?? [])
  }

  /** Takes an old reading in place of none. False: there is a newer one. */
  restore(reading: LastReading): boolean {
    if (this.#instances !== undefined) return false
    this.#instances = reading.instances
    this.#readAt = reading.readAt
    this.#state = 'restored'
    if (this.#permission.missingSince !== undefined) this.#permission.miss(reading.readAt)
    return true
  }

  /** An instance is at `address`, as far as it is known. */
  suspect(address: string): void {
    if (this.#suspect === undefined) return
    const there = this.#instances?.find((instance) => addressOf(instance) === address)
    if (there !== undefined) this.#suspect(there.host, there.port)
  }

  /** Nobody listens at `address`. True: an instance is left out for it until the catalog confirms it. */
  refused(address: string): boolean {
    if (!this.#reusesAddresses || this.#gone.has(address)) return false
    const current = this.#state === 'current'
    const there = (this.#instances ?? []).filter((instance) => addressOf(instance) === address)
    if (there.length === 0 || (current && !there.every(isDoubtful))) return false
    this.#gone.add(address)
    return true
  }

  /** Its instances, without those that may be somebody else's by now. */
  get instances(): readonly Instance[] | undefined {
    const there = this.#gone.size === 0 ? this.#instances : this.#instances?.filter((instance) => !this.#gone.has(addressOf(instance)))
    return there === undefined ? undefined : this.#permission.admit(there, this.#isForbidden)
  }

  /** Whether the permission that is missing concerns an instance: all of a catalog that cannot be read, else what could not be confirmed. */
  readonly #isForbidden = ({ unsure }: Instance): boolean => this.#state !== 'current' || unsure === true

  /** What a restart may begin with. */
  get #kept(): readonly Instance[] | undefined {
    return this.#permission.isOver ? this.#instances?.filter((instance) => !this.#isForbidden(instance)) : this.#instances
  }

  /** What to keep on disk; undefined as long as nothing was read. */
  get lastReading(): LastReading | undefined {
    const [{ readAt }, instances] = [this, this.#kept]
    return instances === undefined || readAt === undefined ? undefined : { readAt, instances }
  }

  get problems(): readonly Problem[] {
    return this.#permission.isOver ? [...this.#problems, { service: `@${this.name}`, router: '', tag: '', reason: CLOSED, where: '' }] : this.#problems
  }

  /** When what is known was last confirmed, wall clock. */
  get readAt(): number | undefined {
    const confirmed = this.#report?.().confirmedAt
    return this.#readAt === undefined || confirmed === undefined ? this.#readAt : Math.max(this.#readAt, confirmed)
  }

  get errors(): number {
    return this.#report?.().errors ?? this.#errors
  }

  get answer(): CatalogAnswer {
    return this.#answer
  }

  /** Wall clock; undefined: nothing is known to be forbidden. */
  get forbiddenSince(): number | undefined {
    return this.#permission.missingSince
  }

  /** Calls made to its registry, by what was asked; empty where there is none. */
  get calls(): ReadonlyMap<string, number> {
    return this.#report?.().calls ?? noCalls
  }

  get state(): CatalogStateName {
    return this.#state
  }

  /** The reason of the last failed reading, or ''. */
  get problem(): string {
    const whole = this.#state === 'current' && this.#answer !== 'partly read'
    return whole ? '' : (this.#problems.find(({ service }) => service === `@${this.name}`)?.reason ?? this.#problems[0]?.reason ?? '')
  }
}

const CLOSED = 'the permission to read it, or a part of it, has been missing for 15 minutes: until it is back, what is known there is served and nothing new is admitted'

const noCalls: ReadonlyMap<string, number> = new Map()

/** One refused connection is enough. */
const isDoubtful = ({ unsure, health }: Instance): boolean => unsure === true || health === 'leaving'

const addressOf = ({ host, port }: Instance): string => `${host.includes(':') ? `[${host}]` : host}:${port}`
