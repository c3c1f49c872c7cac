// The routing table: immutable, looked up by host and path; and how the next one is built beside the running one.
import type { RouteMatch } from '#src/snapshot.ts'

/** The routes of one host, by path. `R` is whatever the caller wants back. */
export interface HostRoutes<R> {
  /** The prefix `/`, which most hosts have alone. */
  readonly root: R | undefined
  readonly exact: ReadonlyMap<string, R> | undefined
  readonly prefixes: ReadonlyMap<string, R> | undefined
}

/** Hosts by name, spread over shards so that one change copies a small part. */
export type HostShards<R> = readonly ReadonlyMap<string, HostRoutes<R>>[]

export interface RoutingTable<R> {
  readonly exact: HostShards<R>
  /** Keyed by what follows the `*.`. */
  readonly wildcard: HostShards<R>
  readonly any: HostRoutes<R> | undefined
}

const SHARDS = 64

/** The shard of a name: any spread will do, names being hostile only to their owner. */
export function shardOf(name: string): number {
  const length = name.length
  if (length < 2) return length
  return (length + name.charCodeAt(0) * 31 + name.charCodeAt(length >> 1) * 7 + name.charCodeAt(length - 2) + name.charCodeAt(1) * 17) & (SHARDS - 1)
}

const emptyShards = <R>(): HostShards<R> => Array.from({ length: SHARDS }, () => new Map<string, HostRoutes<R>>())

export const emptyTable = <R>(): RoutingTable<R> => ({ exact: emptyShards(), wildcard: emptyShards(), any: undefined })

/** One thing that a service claims, and what to return for it. */
export interface Entry<R> {
  readonly match: RouteMatch
  readonly value: R
}

/**
 * Holds the claims of all services and makes tables of them. Every table shares the shards that did not change with the one before.
 * Matches are unique in a snapshot; should two services claim one, the first by key keeps it.
 */
export class TableBuilder<R> {
  readonly #hosts = new Map<string, Map<string, readonly Entry<R>[]>>()
  readonly #hostsOf = new Map<string, ReadonlySet<string>>()
  readonly #changed = new Set<string>()
  #next: RoutingTable<R>
  /** Shards of `#next` that are its own already. */
  #own = new Set<ReadonlyMap<string, HostRoutes<R>>>()

  constructor() {
    this.#next = emptyTable()
  }

  set(service: string, entries: readonly Entry<R>[]): void {
    this.remove(service)
    const byHost = new Map<string, Entry<R>[]>()
    for (const entry of entries) {
      const of = byHost.get(entry.match.host)
      if (of === undefined) byHost.set(entry.match.host, [entry])
      else of.push(entry)
    }
    for (const [host, of] of byHost) {
      let claims = this.#hosts.get(host)
      if (claims === undefined) this.#hosts.set(host, (claims = new Map<string, readonly Entry<R>[]>()))
      claims.set(service, of)
      this.#changed.add(host)
    }
    if (byHost.size > 0) this.#hostsOf.set(service, new Set(byHost.keys()))
  }

  remove(service: string): void {
    for (const host of this.#hostsOf.get(service) ?? []) {
      const claims = this.#hosts.get(host)
      claims?.delete(service)
      if (claims?.size === 0) this.#hosts.delete(host)
      this.#changed.add(host)
    }
    this.#hostsOf.delete(service)
  }

  /** Brings the next table up to the claims so far; call it after each part of a change to spread the work. */
  compile(): void {
    for (const host of this.#changed) {
      const claims = this.#hosts.get(host)
      const routes = claims === undefined ? undefined : compileHost(claims)
      if (host === '') this.#next = { ...this.#next, any: routes }
      else if (host.startsWith('*.')) this.#put('wildcard', host.slice(2), routes)
      else this.#put('exact', host, routes)
    }
    this.#changed.clear()
  }

  /** The table of all claims so far. Later changes do not touch it. */
  finish(): RoutingTable<R> {
    this.compile()
    this.#own = new Set()
    return this.#next
  }

  #put(kind: 'exact' | 'wildcard', name: string, routes: HostRoutes<R> | undefined): void {
    const at = shardOf(name)
    let shard = this.#next[kind][at] as Map<string, HostRoutes<R>>
    if (!this.#own.has(shard)) {
      shard = new Map(shard)
      this.#own.add(shard)
      this.#next = { ...this.#next, [kind]: this.#next[kind].with(at, shard) }
    }
    if (routes === undefined) shard.delete(name)
    else shard.set(name, routes)
  }
}

function compileHost<R>(claims: ReadonlyMap<string, readonly Entry<R>[]>): HostRoutes<R> {
  let root: R | undefined
  let exact: Map<string, R> | undefined
  let prefixes: Map<string, R> | undefined
  for (const service of claims.size === 1 ? claims.keys() : [...claims.keys()].sort()) {
    for (const { match, value } of claims.get(service)!) {
      if (match.kind === 'exact') {
        exact ??= new Map()
        if (!exact.has(match.path)) exact.set(match.path, value)
      } else if (match.path === '/') root ??= value
      else {
        const prefix = match.path.endsWith('/') ? match.path.slice(0, -1) : match.path
        prefixes ??= new Map()
        if (!prefixes.has(prefix)) prefixes.set(prefix, value)
      }
    }
  }
  return { root, exact, prefixes }
}
