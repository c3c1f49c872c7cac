// What is known of one catalog: its last good reading, whether that is still current, and what must not be believed of it.
import type { Catalog, Instance, Problem, Reading } from '#src/catalog/catalog.ts'
import type { LastReading } from '#src/catalog/last-good.ts'

export type CatalogStateName = 'waiting' | 'current' | 'stale' | 'restored'

/** "Nothing known" and "known to be nothing" are told apart: `instances` is undefined before the first reading. */
export class KnownCatalog {
  readonly name: string
  readonly #reusesAddresses: boolean
  #instances: readonly Instance[] | undefined
  #problems: readonly Problem[] = []
  #readAt: number | undefined
  #errors = 0
  #state: CatalogStateName = 'waiting'
  /** Addresses where nobody listened while the catalog could not confirm them. */
  readonly #gone = new Set<string>()

  constructor({ name, reusesAddresses }: Catalog) {
    this.name = name
    this.#reusesAddresses = reusesAddresses
  }

  /** Takes a reading; a failed one changes no instance. `now` is wall clock. */
  take(reading: Reading, now: number): void {
    this.#problems = reading.problems
    if (reading.kind === 'failed') {
      this.#errors++
      if (this.#state === 'current') this.#state = 'stale'
      return
    }
    this.#instances = reading.instances
    this.#readAt = now
    this.#state = 'current'
    this.#gone.clear()
  }

  /** Takes an old reading in place of none. False: there is a newer one. */
  restore(reading: LastReading): boolean {
    if (this.#instances !== undefined) return false
    this.#instances = reading.instances
    this.#readAt = reading.readAt
    this.#state = 'restored'
    return true
  }

  /** Nobody listens at `address`. True: an instance is left out for it until the catalog confirms it. */
  refused(address: string): boolean {
    if (!this.#reusesAddresses || this.#state === 'current' || this.#gone.has(address)) return false
    if (this.#instances?.some((instance) => addressOf(instance) === address) !== true) return false
    this.#gone.add(address)
    return true
  }

  /** Its instances, without those that may be somebody else's by now. */
  get instances(): readonly Instance[] | undefined {
    if (this.#gone.size === 0) return this.#instances
    return this.#instances?.filter((instance) => !this.#gone.has(addressOf(instance)))
  }

  /** What to keep on disk; undefined as long as nothing was read. */
  get lastReading(): LastReading | undefined {
    return this.#instances === undefined || this.#readAt === undefined ? undefined : { readAt: this.#readAt, instances: this.#instances }
  }

  get problems(): readonly Problem[] {
    return this.#problems
  }

  get readAt(): number | undefined {
    return this.#readAt
  }

  get errors(): number {
    return this.#errors
  }

  get state(): CatalogStateName {
    return this.#state
  }

  /** The reason of the last failed reading, or ''. */
  get problem(): string {
    return this.#state === 'current' ? '' : (this.#problems[0]?.reason ?? '')
  }
}

const addressOf = ({ host, port }: Instance): string => `${host.includes(':') ? `[${host}]` : host}:${port}`
