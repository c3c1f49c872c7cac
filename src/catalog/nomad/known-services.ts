// What the catalog knows of Nomad's services: the last believed list and read of each. Pure, but for what it remembers.
import { sameRegistration } from './registration.ts'
import type { Listed, Registration } from './registration.ts'
import type { ServiceHint } from './event-line.ts'

/** `namespace/name`; Nomad allows no slash in either. */
export type ServiceId = string
export const serviceId = (namespace: string, name: string): ServiceId => `${namespace}/${name}`

export interface KnownService {
  readonly id: ServiceId
  readonly namespace: string
  readonly name: string
  /** All tags of all instances, as listed; sorted. */
  readonly tags: readonly string[]
  /** Undefined: never read. Sorted by id. */
  readonly registrations: readonly Registration[] | undefined
  /** Registrations that went with a restored snapshot: kept for a while, since their backends may run on. */
  readonly held: readonly Registration[]
  /** Of the answer that the registrations are from. */
  readonly index: number
  /** An answer with a lower index would be older than what is known to have happened. */
  readonly leastIndex: number
}

/** What to read, and whether what is known has changed. */
export interface ListChanges {
  /** New, or with other tags than before. */
  readonly read: readonly ServiceId[]
  readonly changed: boolean
}

export class KnownServices {
  readonly #services = new Map<ServiceId, KnownService>()
  #order: readonly ServiceId[] = []
  readonly #wants: (tags: readonly string[]) => boolean

  /** `wants`: whether a service with these tags may become a route; others are neither read nor kept. */
  constructor(wants: (tags: readonly string[]) => boolean) {
    this.#wants = wants
  }

  get all(): IterableIterator<KnownService> {
    return this.#services.values()
  }

  /** By namespace and name: what is made of them need not be sorted again. */
  sorted(): readonly KnownService[] {
    if (this.#order.length !== this.#services.size || !this.#order.every((id) => this.#services.has(id))) {
      const known = new Set(this.#order)
      const kept = this.#order.filter((id) => this.#services.has(id))
      const added = [...this.#services.keys()].filter((id) => !known.has(id))
      this.#order = [...kept, ...added].map((id) => this.#services.get(id)!).sort(compareServices).map(({ id }) => id)
    }
    return this.#order.map((id) => this.#services.get(id)!)
  }

  get size(): number {
    return this.#services.size
  }

  get(id: ServiceId): KnownService | undefined {
    return this.#services.get(id)
  }

  /** Whether the services of a namespace are all gone from this list. */
  emptied(listed: readonly Listed[], covers: (namespace: string) => boolean): readonly string[] {
    const left = new Set(listed.map(({ namespace }) => namespace))
    return [...new Set(Array.from(this.#services.values(), ({ namespace }) => namespace))].filter((namespace) => covers(namespace) && !left.has(namespace))
  }

  /** Takes a believed list of the namespaces that it `covers`. `hold`: it is from a restored snapshot, so what is missing is kept as held. */
  applyList(listed: readonly Listed[], index: number, covers: (namespace: string) => boolean, hold: boolean): ListChanges {
    const read: ServiceId[] = []
    const seen = new Set<ServiceId>()
    let changed = false
    for (const { namespace, name, tags } of listed) {
      if (!covers(namespace) || !this.#wants(tags)) continue
      const id = serviceId(namespace, name)
      seen.add(id)
      const known = this.#services.get(id)
      if (known === undefined) {
        this.#services.set(id, { id, namespace, name, tags, registrations: undefined, held: [], index: 0, leastIndex: index })
        read.push(id)
      } else if (hold || !sameTexts(known.tags, tags)) {
        this.#services.set(id, { ...known, tags, ...(hold ? { index: 0, leastIndex: index } : { leastIndex: Math.max(known.leastIndex, index) }) })
        read.push(id)
      }
    }
    for (const known of this.#services.values()) {
      const { id, namespace } = known
      if (!covers(namespace) || seen.has(id)) continue
      if (hold) {
        this.#services.set(id, { ...known, registrations: [], held: merge(known.held, known.registrations ?? []), index: 0, leastIndex: 0 })
        changed = true
      } else if (known.index > index || known.leastIndex > index) {
        // It was seen by a newer read or event than this list.
        read.push(id)
      } else if (known.held.length > 0) {
        if ((known.registrations ?? []).length > 0) {
          this.#services.set(id, { ...known, registrations: [], index })
          changed = true
        }
      } else {
        this.#services.delete(id)
        changed = true
      }
    }
    return { read, changed }
  }

  /** Takes a believed read of one service. `stale`: it is older than what is known, and was not taken. `hold` as in a list. */
  applyService(id: ServiceId, registrations: readonly Registration[], index: number, hold: boolean): 'stale' | 'same' | 'changed' {
    const known = this.#services.get(id)
    if (known === undefined) return 'same'
    if (index < known.leastIndex || index < known.index) return 'stale'
    const before = known.registrations
    const after = reuse(before ?? [], registrations)
    const ids = new Set(after.map((each) => each.id))
    const lost = hold ? (before ?? []).filter((each) => !ids.has(each.id)) : []
    const held = lost.length > 0 || known.held.some((each) => ids.has(each.id)) ? merge(known.held, lost).filter((each) => !ids.has(each.id)) : known.held
    const same = before !== undefined && held === known.held && sameList(before, after)
    if (!same || index !== known.index) this.#services.set(id, { ...known, registrations: same ? before : after, held, index })
    return same ? 'same' : 'changed'
  }

  /** Notes what an event tells. Returns the service to read; undefined: it is none of ours, or what was read (`listIndex`: of the list) was newer. */
  hint({ namespace, name, index, registration }: ServiceHint, listIndex: number): ServiceId | undefined {
    const id = serviceId(namespace, name)
    const known = this.#services.get(id)
    if (known === undefined) {
      if (!this.#wants(registration.tags) || index <= listIndex) return undefined
      this.#services.set(id, { id, namespace, name, tags: registration.tags.toSorted(), registrations: undefined, held: [], index: 0, leastIndex: index })
      return id
    }
    if (index <= known.index) return undefined
    if (index > known.leastIndex) this.#services.set(id, { ...known, leastIndex: index })
    return id
  }

  /**
   * Takes an event's word for it where its read has to wait for its turn: what is read then goes before. True: something changed.
   * What is removed without being named so (plans, updates of allocations) waits for the read. Of a service that was never read this
   * may be one instance of several: few are better than none.
   */
  believe({ namespace, name, index, change, registration }: ServiceHint): boolean {
    const known = this.#services.get(serviceId(namespace, name))
    if (known === undefined || change === 'unknown' || index <= known.index) return false
    const before = known.registrations ?? []
    const there = before.find(({ id }) => id === registration.id)
    if (there !== undefined && there.modifyIndex >= registration.modifyIndex && change === 'registered') return false
    if (there === undefined && change === 'deregistered') return false
    const others = before.filter(({ id }) => id !== registration.id)
    const registrations = change === 'registered' ? [...others, registration].sort((a, b) => (a.id < b.id ? -1 : 1)) : others
    this.#services.set(known.id, { ...known, registrations })
    return true
  }

  /** Lets go of everything that was held. True: there was something. */
  releaseHeld(): boolean {
    let released = false
    for (const known of this.#services.values()) {
      if (known.held.length === 0) continue
      released = true
      if ((known.registrations ?? []).length === 0) this.#services.delete(known.id)
      else this.#services.set(known.id, { ...known, held: [] })
    }
    return released
  }
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
const compareServices = (a: KnownService, b: KnownService): number => compare(a.namespace, b.namespace) || compare(a.name, b.name)

const merge = (held: readonly Registration[], more: readonly Registration[]): readonly Registration[] =>
  [...held.filter(({ id }) => !more.some((each) => each.id === id)), ...more]

/** Registrations that did not change stay the same objects, so that nothing is made of them anew. */
const reuse = (before: readonly Registration[], after: readonly Registration[]): readonly Registration[] => {
  if (before.length === 0) return after
  const byId = new Map(before.map((each) => [each.id, each]))
  return after.map((each) => {
    const old = byId.get(each.id)
    return old !== undefined && sameRegistration(old, each) ? old : each
  })
}

const sameList = (a: readonly Registration[], b: readonly Registration[]): boolean => a.length === b.length && a.every((each, at) => each === b[at])
const sameTexts = (a: readonly string[], b: readonly string[]): boolean => a.length === b.length && a.every((text, at) => text === b[at])
