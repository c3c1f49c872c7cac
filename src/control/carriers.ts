// Groups instances into services, each instance with what its tags say and whether it may get requests.

import type { Instance, InstanceHealth, Problem } from '#src/catalog/catalog.ts'
import type { Reserve, ServiceKey } from '#src/snapshot.ts'
import { probeOf } from '#src/tags/probe.ts'
import type { ReadTags } from './tag-cache.ts'

/** An instance that carries tags of ours. */
export interface Carrier {
  readonly instance: Instance
  readonly tags: ReadTags
  /** `host:port`, IPv6 in brackets. */
  readonly address: string
  readonly ready: boolean
  /** It gets requests only in need; undefined: always when it is ready, else never. */
  readonly reserve: Reserve | undefined
}

export interface Group {
  readonly key: ServiceKey
  readonly catalog: string
  readonly namespace: string
  readonly name: string
  readonly instances: Instance[]
}

/**
 * The instances of all catalogs by service, in the order that decides between services: catalog, namespace, name. Groups of `before` are
 * used again where they would hold the same objects: making thousands anew for one change costs more than all else.
 */
export function groupInstances(readings: ReadonlyMap<string, { readonly instances: readonly Instance[] } | undefined>, before: readonly Group[] = []): readonly Group[] {
  const groups = new Map<ServiceKey, Group>()
  const known = new Map(before.map((group) => [group.instances[0], group]))
  for (const [catalog, reading] of readings) {
    const instances = reading?.instances ?? []
    // Lists mostly have the instances of a service one after the other.
    let group: Group | undefined
    for (let at = 0; at < instances.length; at++) {
      const instance = instances[at]!
      if (group?.name === instance.service && group.namespace === instance.namespace) {
        group.instances.push(instance)
        continue
      }
      const same = known.get(instance)
      if (same?.catalog === catalog && isRun(instances, at, same.instances) && !groups.has(same.key)) {
        groups.set(same.key, same)
        group = undefined
        at += same.instances.length - 1
        continue
      }
      const key = `${instance.service}@${catalog}/${instance.namespace}`
      group = groups.get(key)
      if (group === undefined || group === known.get(group.instances[0])) {
        group = { key, catalog, namespace: instance.namespace, name: instance.service, instances: [...(group?.instances ?? [])] }
        groups.set(key, group)
      }
      group.instances.push(instance)
    }
  }
  return [...groups.values()].sort((a, b) => compare(a.catalog, b.catalog) || compare(a.namespace, b.namespace) || compare(a.name, b.name))
}

/** Whether just these instances stand at a place, and the next one is of another service. */
function isRun(instances: readonly Instance[], at: number, run: readonly Instance[]): boolean {
  for (let offset = 1; offset < run.length; offset++) if (instances[at + offset] !== run[offset]) return false
  const [first, next] = [run[0]!, instances[at + run.length]]
  return next === undefined || next.service !== first.service || next.namespace !== first.namespace
}

export interface CarrierMeans {
  readonly read: (instance: Instance) => ReadTags
  readonly isOwn: (host: string, port: number) => boolean
}

/** The instances of one service that ask to be routed, the newest first. */
export function carriersOf({ key, catalog, instances }: Group, { read, isOwn }: CarrierMeans, tell: (problem: Problem) => void): Carrier[] {
  const carriers: Carrier[] = []
  const newestFirst = instances.length === 1 ? instances : instances.toSorted((a, b) => (b.order ?? 0) - (a.order ?? 0) || compare(a.id, b.id))
  for (const instance of newestFirst) {
    const tags = read(instance)
    for (const problem of tags.problems) tell({ service: key, ...problem, where: instance.where })
    if (!tags.enabled) continue
    const { host, port, health } = instance
    if (catalog === 'file' && (tags.service.health !== undefined || probeOf(tags.service) !== undefined)) {
      tell({ service: key, router: '', tag: '', reason: 'health and probe.* are not built for the file catalog: what the file says of health decides', where: instance.where })
    }
    const address = `${host.includes(':') ? `[${host}]` : host}:${port}`
    const own = isOwn(host, port)
    if (own) tell({ service: key, router: '', tag: '', reason: `${address} is an address that Serai itself listens on`, where: instance.where })
    carriers.push({ instance, tags, address, ready: !own && (health === 'passing' || health === 'warning'), reserve: own ? undefined : reserves[health] })
  }
  return carriers
}

const reserves: Readonly<Partial<Record<InstanceHealth, Reserve>>> = { unhealthy: 'panic', leaving: 'last' }

/** Order by code units: the same on every machine. */
export const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
