// What the admin API shows, made from what the control plane knows.
import { formatAddress } from '#src/config/address.ts'
import { isSecure, type Endpoint, type ListenerSettings, type Service, type Snapshot, type UpstreamScheme } from '#src/snapshot.ts'
import { endpointKey, type Ejection } from '#src/messages.ts'

/** An ejection as the main thread heard of it. Wall clock, milliseconds. */
export interface HeardEjection {
  readonly ejection: Ejection
  readonly at: number
}

type EndpointState = 'ready' | 'slow start' | 'ejected'

/** Routes of all services, in the order of host and path. */
export function routeViews({ services }: Snapshot): RouteRow[] {
  const rows = [...services.values()].flatMap((service) => service.routes.map((route): RouteRow => ({
    ...route.match,
    router: route.router,
    service: service.key,
    refuse: route.refuse,
    endpoints: route.endpoints.map((at) => service.endpoints[at]?.address ?? ''),
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

/** Services with the state of each endpoint. `since` is when the endpoint was first seen; `now` wall clock, milliseconds. */
export function serviceViews({ services }: Snapshot, heard: ReadonlyMap<string, HeardEjection>, since: ReadonlyMap<string, number>, slowStartMs: number, now: number): ServiceRow[] {
  return [...services.values()].map((service) => ({
    key: service.key,
    scheme: service.scheme,
    ...(isSecure(service.scheme) && service.tls.skipVerify && { unverified: true as const }),
    balance: service.balance,
    endpoints: service.endpoints.map((endpoint) => endpointRow(service, endpoint, heard, since, slowStartMs, now)),
  }))
}

function endpointRow(service: Service, endpoint: Endpoint, heard: ReadonlyMap<string, HeardEjection>, since: ReadonlyMap<string, number>, slowStartMs: number, now: number): EndpointRow {
  const key = endpointKey(service, endpoint)
  const { address, weight } = endpoint
  const told = heard.get(key)
  const iso = (at: number): string => new Date(at).toISOString()
  if (told !== undefined) {
    const back = told.at + told.ejection.forMs
    if (now < back) return { address, weight, state: 'ejected', why: `${told.ejection.why}; back at ${iso(back)}`, since: iso(told.at) }
    if (now < back + slowStartMs) return { address, weight, state: 'slow start', why: `was ejected: ${told.ejection.why}`, since: iso(back) }
  }
  return { address, weight, state: 'ready', why: '', since: iso(since.get(key) ?? now) }
}

/** A listener as it is shown. */
export const listenerView = (listener: Omit<ListenerSettings, 'proxyProtocol' | 'h2c'>): { name: string; address: string; tls: boolean; redirectPort?: number } =>
  ({ name: listener.name, address: formatAddress(listener), tls: listener.tls, ...(listener.redirectPort > 0 && { redirectPort: listener.redirectPort }) })
