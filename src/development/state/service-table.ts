// All registrations, by service; and the list of names with tags, whose pieces are kept as text so that five thousand services cost little to list.
import { shuffled } from '#src/development/identifiers.ts'
import type { Random } from '#src/development/identifiers.ts'
import type { Registration } from './rows.ts'

interface Entry {
  readonly registrations: ReadonlyMap<string, Registration>
  /** The service in the list, its tags once in this order and once in the other: their order means nothing, so that no reader may come to rely on it. */
  readonly listed: readonly [string, string]
}

export class ServiceTable {
  #entries = new Map<string, Map<string, Entry>>()
  #byId = new Map<string, Registration>()

  get size(): number {
    return this.#byId.size
  }

  get(id: string): Registration | undefined {
    return this.#byId.get(id)
  }

  put(registration: Registration): void {
    const { ID, Namespace, ServiceName } = registration
    const before = this.#byId.get(ID)
    if (before !== undefined && (before.ServiceName !== ServiceName || before.Namespace !== Namespace)) this.delete(ID)
    this.#byId.set(ID, registration)
    const registrations = new Map(this.#entries.get(Namespace)?.get(ServiceName)?.registrations)
    this.#set(Namespace, ServiceName, registrations.set(ID, registration))
  }

  delete(id: string): void {
    const registration = this.#byId.get(id)
    if (registration === undefined) return
    this.#byId.delete(id)
    const { Namespace, ServiceName } = registration
    const registrations = new Map(this.#entries.get(Namespace)?.get(ServiceName)?.registrations)
    registrations.delete(id)
    this.#set(Namespace, ServiceName, registrations)
  }

  /** The registrations of one service, sorted by ID as Nomad's index is. */
  list(namespace: string, name: string): Registration[] {
    const found = this.#entries.get(namespace)?.get(name)?.registrations
    return found === undefined ? [] : [...found.values()].sort((a, b) => (a.ID < b.ID ? -1 : 1))
  }

  /** Every registration for which `matches` says yes. */
  filter(matches: (registration: Registration) => boolean): Registration[] {
    return [...this.#byId.values()].filter(matches)
  }

  has(namespace: string, name: string): boolean {
    return this.#entries.get(namespace)?.has(name) ?? false
  }

  namespaces(): string[] {
    return [...this.#entries.keys()]
  }

  /** The list of names as the API answers it, in random order. */
  listJson(namespaces: readonly string[], random: Random): string {
    const elements = shuffled(namespaces, random).flatMap((namespace) => {
      const entries = this.#entries.get(namespace)
      if (entries === undefined) return []
      const services = shuffled([...entries.values()], random).map(({ listed }) => listed[random() < 0.5 ? 0 : 1])
      return [`{"Namespace":${JSON.stringify(namespace)},"Services":[${services.join(',')}]}`]
    })
    return `[${elements.join(',')}]`
  }

  /** Holds the same as the other from now on. */
  become(other: ServiceTable): void {
    this.#byId = new Map(other.#byId)
    this.#entries = new Map([...other.#entries].map(([namespace, entries]) => [namespace, new Map(entries)]))
  }

  #set(namespace: string, name: string, registrations: ReadonlyMap<string, Registration>): void {
    const entries = this.#entries.get(namespace) ?? new Map<string, Entry>()
    if (registrations.size > 0) {
      entries.set(name, { registrations, listed: listed(name, registrations) })
      this.#entries.set(namespace, entries)
    } else {
      entries.delete(name)
      if (entries.size === 0) this.#entries.delete(namespace)
    }
  }
}

function listed(name: string, registrations: ReadonlyMap<string, Registration>): [string, string] {
  const tags = [...new Set([...registrations.values()].flatMap(({ Tags }) => Tags))]
  const text = (order: readonly string[]): string => JSON.stringify({ ServiceName: name, Tags: order })
  return [text(tags), text(tags.toReversed())]
}
