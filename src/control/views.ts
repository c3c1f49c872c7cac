// What the admin API shows, made from what the control plane knows.
import type { InstanceHealth } from '#src/catalog/catalog.ts'
import { formatAddress } from '#src/config/address.ts'
import { isSecure, type Endpoint, type ListenerSettings, type Service, type ServiceKey, type Snapshot, type UpstreamScheme } from '#src/snapshot.ts'
import { endpointKey, type Ejection } from '#src/messages.ts'
import { matchId } from './tag-cache.ts'

/** An instance that carries routes, as its catalog sees it. `since`: wall clock, milliseconds. */
export interface Standing {
  readonly address: string
  readonly weight: number
  readonly health: InstanceHealth
  readonly why: string
  readonly since: number | undefined
  /** It gets no requests at all. */
  readonly out: boolean
}

/** An ejection as the main thread heard of it. Wall clock, milliseconds. */
export interface HeardEjection {
  readonly ejection: Ejection
  readonly at: number
}

type EndpointState = 'ready' | 'slow start' | 'ejected' | 'pending' | 'unhealthy' | 'leaving'

/** Routes of all services, in the order of host and path. `waiting`: addresses of instances that carry a route and get no requests of it, by service and match. */
export function routeViews({ services }: Snapshot, waiting: ReadonlyMap<ServiceKey, ReadonlyMap<string, readonly string[]>> = new Map()): RouteRow[] {
  const rows = [...services.values()].flatMap((service) => service.routes.map((route): RouteRow => ({
    ...route.match,
    router: route.router,
    service: service.key,
    refuse: route.refuse,
    endpoints: route.endpoints.map((at) => service.endpoints[at]?.address ?? ''),
    waiting: [...(waiting.get(service.key)?.get(matchId(route.match)) ?? [])],
    policy: { ...route.policy, upgrades: [...route.policy.upgrades], ejectStatuses: [...route.policy.ejectStatuses] },
  })))
  return rows.sort((a, b) => (a.host < b.host ? -1 : a.host > b.host ? 1 : a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
}

export interface RouteRow {
  readonly host: string
  readonly path: string
  readonly kind: 'prefix' | 'exact'
  readonly router: string
  readonly service: string
  readonly refuse: '' | 'problem' | 'vanished'
  readonly endpoints: string[]
  readonly waiting: string[]
  readonly policy: {
    readonly retryAttempts: number
    readonly retryTimeoutMs: number
    readonly headTimeoutMs: number
    readonly bodyTimeoutMs: number
    readonly totalTimeoutMs: number
    readonly upgrades: string[]
    readonly ejectStatuses: number[]
  }
}

export interface EndpointRow {
  readonly address: string
  readonly weight: number
  readonly state: EndpointState
  readonly why: string
  readonly since: string
}

export interface ServiceRow {
  readonly key: string
  readonly scheme: UpstreamScheme
  readonly unverified?: true
  readonly balance: string
  readonly endpoints: EndpointRow[]
}

export interface ServiceViewsInput {
  readonly snapshot: Snapshot
  readonly heard?: ReadonlyMap<string, HeardEjection>
  /** When each endpoint was first seen. */
  readonly since?: ReadonlyMap<string, number>
  /** What catalogs say of the instances of each service. */
  readonly standings?: ReadonlyMap<ServiceKey, readonly Standing[]>
  readonly slowStartMs?: number
  /** Wall clock, milliseconds. */
  readonly now: number
}

/** Services with the state of each endpoint, and of the instances that are none yet. */
export function serviceViews({ snapshot: { services }, heard = new Map(), since = new Map(), standings = new Map(), slowStartMs = 0, now }: ServiceViewsInput): ServiceRow[] {
  return [...services.values()].map((service) => ({
    key: service.key,
    scheme: service.scheme,
    ...(isSecure(service.scheme) && service.tls.skipVerify && { unverified: true as const }),
    balance: service.balance,
    endpoints: [
      ...service.endpoints.map((endpoint) => {
        const standing = standings.get(service.key)?.find(({ address, out }) => address === endpoint.address && !out)
        return endpoint.reserve === undefined ? endpointRow(service, endpoint, heard, since, slowStartMs, now, standing) : standingRow(endpoint, standing, endpoint.reserve === 'last' ? 'leaving' : 'unhealthy', now)
      }),
      ...(standings.get(service.key) ?? []).filter(({ address, out }) => out && !service.endpoints.some((endpoint) => endpoint.address === address))
        .map((standing) => standingRow(standing, standing, standing.health === 'pending' ? 'pending' : 'unhealthy', now)),
    ],
  }))
}

/** One that its catalog keeps out, or in reserve; how long is told in seconds, since it is read at that moment. */
function standingRow({ address, weight }: { readonly address: string; readonly weight: number }, standing: Standing | undefined, state: EndpointState, now: number): EndpointRow {
  const { health = state, why = '', since } = standing ?? {}
  const reason = why === '' ? health : why
  return { address, weight, state, why: since === undefined ? reason : `${reason}, for ${seconds(now - since)}`, since: new Date(since ?? now).toISOString() }
}

/** `1.2 s`, `75 s`, `4 min`. */
function seconds(ms: number): string {
  const whole = Math.max(0, ms) / 1000
  return whole < 10 ? `${whole.toFixed(1)} s` : whole < 120 ? `${Math.round(whole)} s` : `${Math.round(whole / 60)} min`
}

function endpointRow(service: Service, endpoint: Endpoint, heard: ReadonlyMap<string, HeardEjection>, since: ReadonlyMap<string, number>, slowStartMs: number, now: number, standing: Standing | undefined): EndpointRow {
  const key = endpointKey(service, endpoint)
  const { address, weight } = endpoint
  const told = heard.get(key)
  const iso = (at: number): string => new Date(at).toISOString()
  if (told !== undefined) {
    const back = told.at + told.ejection.forMs
    if (now < back) return { address, weight, state: 'ejected', why: `${told.ejection.why}; back at ${iso(back)}`, since: iso(told.at) }
    if (now < back + slowStartMs) return { address, weight, state: 'slow start', why: `was ejected: ${told.ejection.why}`, since: iso(back) }
  }
  return { address, weight, state: 'ready', why: standing?.why ?? '', since: iso(since.get(key) ?? now) }
}

/** A listener as it is shown. */
export const listenerView = (listener: Omit<ListenerSettings, 'proxyProtocol' | 'h2c'>): { name: string; address: string; tls: boolean; redirectPort?: number } =>
  ({ name: listener.name, address: formatAddress(listener), tls: listener.tls, ...(listener.redirectPort > 0 && { redirectPort: listener.redirectPort }) })
