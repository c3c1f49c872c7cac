// The one seam between the planes: everything the data plane needs, as plain immutable data that survives structuredClone.

/** `name@catalog/namespace`: one service in the whole process. */
export type ServiceKey = string

export type BalancePolicy = 'p2c' | 'rr' | 'least' | `hash:${string}`

/** The protocol spoken to an upstream. */
export type UpstreamScheme = 'http' | 'https' | 'h2c' | 'h2' | 'grpc' | 'grpcs'

/** Whether TLS is spoken to upstreams of this scheme. */
export const isSecure = (scheme: UpstreamScheme): boolean => scheme === 'https' || scheme === 'h2' || scheme === 'grpcs'

/** Whether HTTP/2 is. */
export const isHttp2 = (scheme: UpstreamScheme): boolean => scheme !== 'http' && scheme !== 'https'

/** One address that a service's requests may go to. */
export interface Endpoint {
  /** `host:port`, IPv6 in brackets; with the scheme it is the key of everything observed about the endpoint. */
  readonly address: string
  /** IP address without brackets, or a DNS name. */
  readonly host: string
  readonly port: number
  /** 100 is the normal share, 0 takes no traffic while another endpoint is left. */
  readonly weight: number
  /** `host` is a name that a job chose: what it resolves to must be an address that a job may name. */
  readonly guarded?: true
  /** `host` leads where it led before: what it resolves to from now on counts for nothing. */
  readonly pinned?: true
  /** Absent: always used. */
  readonly reserve?: Reserve
}

/**
 * When an endpoint is used that is not always: `panic`, while every one that is always used is failing (its checks or probes fail);
 * `last`, when those found nothing either (it is being stopped, its node is lost, it is registered no more): a refused connection ends that.
 */
export type Reserve = 'panic' | 'last'

/** What a route asks for in timeouts, retries and upgrades. Milliseconds. */
export interface RoutePolicy {
  /** Further endpoints tried after the first. */
  readonly retryAttempts: number
  /** No further attempt begins this long after the request. */
  readonly retryTimeoutMs: number
  /** From the request's last byte to the response head. */
  readonly headTimeoutMs: number
  /** Between two pieces of a body that the upstream owes. */
  readonly bodyTimeoutMs: number
  /** The whole exchange; 0: no limit. */
  readonly totalTimeoutMs: number
  /** Lower-case protocol names that `Upgrade` may ask for. */
  readonly upgrades: readonly string[]
  /** Response statuses that count as failures of the endpoint. */
  readonly ejectStatuses: readonly number[]
}

/** What requests a route takes. */
export interface RouteMatch {
  /** Lower case: `a.example.org`, `*.example.org` (one label), or '' for any host. */
  readonly host: string
  readonly path: string
  readonly kind: 'prefix' | 'exact'
}

/** Why a route that matches answers 503 without asking an endpoint; '' when it does ask. */
export type Refusal = '' | 'problem' | 'vanished'

export interface Route {
  /** The router's name within its service; the unnamed one is `default`. */
  readonly router: string
  readonly match: RouteMatch
  readonly refuse: Refusal
  /** Indexes into the service's `endpoints`: the instances that carry this route's tags. */
  readonly endpoints: readonly number[]
  readonly policy: RoutePolicy
}

export interface UpstreamTls {
  /** The name to verify and to send as SNI; '' takes the request's host. */
  readonly serverName: string
  /** PEM of the only authorities to trust; '' for those of the settings. */
  readonly ca: string
  /** Explicit and visible: the upstream's certificate is not verified. */
  readonly skipVerify: boolean
}

export interface Service {
  readonly key: ServiceKey
  /** Where the workers count for this service (observe/counters.ts). */
  readonly slot: number
  readonly scheme: UpstreamScheme
  readonly tls: UpstreamTls
  readonly balance: BalancePolicy
  readonly endpoints: readonly Endpoint[]
  readonly routes: readonly Route[]
}

export interface Snapshot {
  readonly revision: number
  /** False until every catalog was read (or restored) once: then a missing route answers 503, never 404. */
  readonly complete: boolean
  readonly services: ReadonlyMap<ServiceKey, Service>
}

/** A part of the change from one revision to the next, small enough to be compiled in one turn of the loop. */
export interface SnapshotSlice {
  /** The revision that the worker must have for the change to apply; -1: the change is the whole snapshot. */
  readonly from: number
  readonly to: number
  readonly complete: boolean
  readonly changed: readonly Service[]
  readonly removed: readonly ServiceKey[]
  /** The last slice of this change: swap when it is compiled. */
  readonly last: boolean
}

export interface ListenerSettings {
  readonly name: string
  /** '' listens on every address, IPv6 and IPv4. */
  readonly host: string
  readonly port: number
  readonly tls: boolean
  /** The port of https that requests are sent to instead of being served; 0: they are served. */
  readonly redirectPort: number
  /** CIDR blocks of the balancers that connections must come from, each with a header of the PROXY protocol; none: no such header. */
  readonly proxyProtocol: readonly string[]
  /** In the clear, it speaks HTTP/2 to clients that begin with it (prior knowledge, RFC 9113 3.3). */
  readonly h2c: boolean
}

/** What is asked of TLS clients for some hosts. */
export interface ClientPolicy {
  /** Equal for policies that ask the same. */
  readonly id: string
  /** Lower case: `a.example.org`, `*.example.org` (one label), or `*` for any. */
  readonly hosts: readonly string[]
  /** `require`: no connection without a certificate of these authorities; `request`: one may be given, but no other. */
  readonly mode: 'require' | 'request'
  /** PEM of the authorities. */
  readonly ca: string
}

/** Everything a worker needs to know that is not a service. Plain data; times in milliseconds, sizes in bytes. */
export interface DataPlaneSettings {
  readonly listeners: readonly ListenerSettings[]
  /** CIDR blocks whose forwarding headers are extended instead of replaced, and who may ask for the debug header. */
  readonly trustedPeers: readonly string[]
  readonly client: { readonly headMs: number; readonly bodyMs: number; readonly keepAliveMs: number }
  readonly tls: {
    /** From the first octet, or the connection, to the end of the handshake. */
    readonly handshakeMs: number
    readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
    readonly clients: readonly ClientPolicy[]
    /** The value of `Strict-Transport-Security` in responses over TLS; '': none is added. */
    readonly hsts: string
    /** Each handshake that fails is told, for the log. */
    readonly tellFailures: boolean
  }
  readonly upstream: {
    readonly connectMs: number
    readonly keepAliveMs: number
    /** Connections to one endpoint from one worker; further requests wait. */
    readonly connections: number
    /** Idle connections kept to one endpoint by one worker. */
    readonly idle: number
    /** Requests waiting for a connection to one endpoint. */
    readonly queue: number
    readonly queueMs: number
    /** DNS servers, `address` or `address:port`; none: those of the system. */
    readonly dns: readonly string[]
    /** CIDR blocks that jobs may name although they are loopback, link-local or the like. */
    readonly allowAddresses: readonly string[]
    /** PEM of the authorities that `https` upstreams are verified against where a service has none of its own; '': those of Node. */
    readonly ca: string
  }
  readonly tunnel: { readonly idleMs: number; readonly afterRemovalMs: number }
  readonly limits: {
    readonly headBytes: number
    readonly headers: number
    /** Client connections, of one worker. */
    readonly connections: number
    readonly connectionsPerAddress: number
    /** Exchanges in flight, of one worker; more are answered 503. */
    readonly exchanges: number
  }
  readonly eject: { readonly failures: number; readonly timeMs: number; readonly slowStartMs: number; readonly panic: boolean }
  /** Share of a service's requests that may be repeated, 0–1, and the repeats a second that are always allowed, of one worker. */
  readonly retryBudget: { readonly ratio: number; readonly floorPerSecond: number }
  readonly accessLog: { readonly enabled: boolean; readonly sample: number }
  /** The pseudonym in `Via`: random per process, shared by its workers, so that a loop is recognised. */
  readonly via: string
}
