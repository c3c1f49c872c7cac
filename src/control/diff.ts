// What changed between two assemblies: for the workers as services, for people as lines.

import type { Endpoint, Service, ServiceKey } from '#src/snapshot.ts'
import { showMatch } from './routers.ts'
import { matchId } from './tag-cache.ts'

/** A service that has no place for its counters yet. */
export type AssembledService = Omit<Service, 'slot'>

const MAX_LINES = 50
const MAX_ADDRESSES = 5

/** The services that are new or differ, as they are after, and the keys of those that are gone. */
export function diffServices<S extends AssembledService>(
  before: ReadonlyMap<ServiceKey, S>, after: ReadonlyMap<ServiceKey, S>,
): { readonly changed: S[]; readonly removed: ServiceKey[] } {
  const changed: S[] = []
  for (const [key, service] of after) if (!sameData(before.get(key), service)) changed.push(service)
  const removed: ServiceKey[] = []
  for (const key of before.keys()) if (!after.has(key)) removed.push(key)
  return { changed, removed }
}

/** Deep equality of plain data: arrays, objects, primitives. (node:util's does more, and takes ten times as long.) */
export function sameData(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, at) => sameData(item, b[at]))
  const [left, right] = [a as Readonly<Record<string, unknown>>, b as Readonly<Record<string, unknown>>]
  let count = 0
  for (const key in left) {
    if (!sameData(left[key], right[key])) return false
    count++
  }
  for (const _ in right) count--
  return count === 0
}

/** One line for each route that came (+), went (-) or changed (~), sorted by match; at most 50, the last telling how many more there are. */
export function describeRoutes(before: ReadonlyMap<ServiceKey, AssembledService>, after: ReadonlyMap<ServiceKey, AssembledService>): string[] {
  const { changed, removed } = diffServices(before, after)
  const was = shownRoutes([...removed, ...changed.map(({ key }) => key)].flatMap((key) => before.get(key) ?? []))
  const is = shownRoutes(changed)
  const lines: string[] = []
  for (const id of [...new Set([...was.keys(), ...is.keys()])].sort()) {
    const [old, now] = [was.get(id), is.get(id)]
    if (now === undefined) lines.push(`- ${old!.text}`)
    else if (old === undefined) lines.push(`+ ${now.text} (${now.state})`)
    else if (old.detail !== now.detail) lines.push(`~ ${now.text} (${[now.state, ...moves(old.addresses, now.addresses)].join(', ')})`)
  }
  return lines.length <= MAX_LINES ? lines : [...lines.slice(0, MAX_LINES - 1), `… and ${lines.length - MAX_LINES + 1} more`]
}

interface ShownRoute {
  readonly text: string
  readonly state: string
  readonly addresses: readonly string[]
  /** Equal if nothing changed. */
  readonly detail: string
}

function shownRoutes(services: readonly AssembledService[]): Map<string, ShownRoute> {
  const shown = new Map<string, ShownRoute>()
  for (const { key, endpoints, routes, ...service } of services) {
    for (const { match, router, refuse, endpoints: indexes, policy } of routes) {
      const own = indexes.map((at) => endpoints[at]).filter((each): each is Endpoint => each !== undefined)
      const state = refuse === '' ? `${own.length} endpoint${own.length === 1 ? '' : 's'}` : `503: ${refuse}`
      const text = `${showMatch(match)} -> ${key}${router === 'default' ? '' : ` router ${router}`}`
      const detail = JSON.stringify([text, refuse, policy, own, service])
      shown.set(matchId(match), { text, state, addresses: own.map(({ address }) => address), detail })
    }
  }
  return shown
}

function moves(before: readonly string[], after: readonly string[]): string[] {
  const moved = [
    ...after.filter((each) => !before.includes(each)).map((each) => `+${each}`),
    ...before.filter((each) => !after.includes(each)).map((each) => `-${each}`),
  ]
  return moved.length <= MAX_ADDRESSES ? moved : [...moved.slice(0, MAX_ADDRESSES), '…']
}
