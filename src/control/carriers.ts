// Groups instances into services, each instance with what its tags say and whether it may get requests.

import type { Instance, Problem } from '#src/catalog/catalog.ts'
import type { ServiceKey } from '#src/snapshot.ts'
import type { ReadTags } from './tag-cache.ts'

/** An instance that carries tags of ours. */
export interface Carrier {
  readonly instance: Instance
  readonly tags: ReadTags
  /** `host:port`, IPv6 in brackets. */
  readonly address: string
  readonly ready: boolean
}

export interface Group {
  readonly key: ServiceKey
  readonly catalog: string
  readonly namespace: string
  readonly name: string
  readonly instances: Instance[]
}

/** The instances of all catalogs by service, in the order that decides between services: catalog, namespace, name. */
export function groupInstances(readings: ReadonlyMap<string, { readonly instances: readonly Instance[] } | undefined>): Group[] {
  const groups = new Map<ServiceKey, Group>()
  for (const [catalog, reading] of readings) {
    // Lists mostly have the instances of a service one after the other.
    let group: Group | undefined
    for (const instance of reading?.instances ?? []) {
      if (group?.name === instance.service && group.namespace === instance.namespace) {
        group.instances.push(instance)
        continue
      }
      const key = `${instance.service}@${catalog}/${instance.namespace}`
      group = groups.get(key)
      if (group === undefined) groups.set(key, (group = { key, catalog, namespace: instance.namespace, name: instance.service, instances: [] }))
      group.instances.push(instance)
    }
  }
  return [...groups.values()].sort((a, b) => compare(a.catalog, b.catalog) || compare(a.namespace, b.namespace) || compare(a.name, b.name))
}

export interface CarrierMeans {
  readonly read: (instance: Instance) => ReadTags
  readonly isOwn: (host: string, port: number) => boolean
}

/** The instances of one service that ask to be routed, the newest first. */
export function carriersOf({ key, instances }: Group, { read, isOwn }: CarrierMeans, tell: (problem: Problem) => void): Carrier[] {
  const carriers: Carrier[] = []
  const newestFirst = instances.length === 1 ? instances : instances.toSorted((a, b) => (b.order ?? 0) - (a.order ?? 0) || compare(a.id, b.id))
  for (const instance of newestFirst) {
    const tags = read(instance)
    for (const problem of tags.problems) tell({ service: key, ...problem, where: instance.where })
    if (!tags.enabled) continue
    const { host, port, health } = instance
    const address = `${host.includes(':') ? `[${host}]` : host}:${port}`
    const own = isOwn(host, port)
    if (own) tell({ service: key, router: '', tag: '', reason: `${address} is an address that Serai itself listens on`, where: instance.where })
    carriers.push({ instance, tags, address, ready: !own && (health === 'passing' || health === 'warning') })
  }
  return carriers
}

/** Order by code units: the same on every machine. */
export const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
