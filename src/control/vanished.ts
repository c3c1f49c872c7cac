// Remembers services whose instances all vanished: for a while their requests get 503, not 404.

import type { ServiceKey } from '#src/snapshot.ts'
import type { Holders } from './conflicts.ts'
import type { AssembledService } from './diff.ts'
import { matchId } from './tag-cache.ts'

/** DESIGN section 6.10. */
const REMEMBERED_MS = 10 * 60_000

/** Services without instances, as they now answer, and until when (in milliseconds, as `now`). */
export type Vanished = ReadonlyMap<ServiceKey, { readonly service: AssembledService; readonly until: number }>

interface Before {
  readonly services: ReadonlyMap<ServiceKey, AssembledService>
  readonly vanished: Vanished
}

/** What of the last assembly has no instances any more and is still remembered. */
export function rememberVanished(before: Before | undefined, isAlive: (key: ServiceKey) => boolean, now: number): Vanished {
  const vanished = new Map<ServiceKey, { service: AssembledService; until: number }>()
  for (const [key, service] of before?.services ?? []) {
    if (isAlive(key)) continue
    const entry = before?.vanished.get(key) ?? { service: refusing(service), until: now + REMEMBERED_MS }
    if (entry.until > now) vanished.set(key, entry)
  }
  return vanished
}

function refusing(service: AssembledService): AssembledService {
  return { ...service, endpoints: [], routes: service.routes.map((route) => ({ ...route, refuse: 'vanished', endpoints: [] })) }
}

/** A vanished service's routes, without those that a living service has taken over. */
export function routesLeft(service: AssembledService, holders: Holders): AssembledService {
  const routes = service.routes.filter(({ match }) => !holders.has(matchId(match)))
  return routes.length === service.routes.length ? service : { ...service, routes }
}
