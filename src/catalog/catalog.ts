// What a catalog is: where services are registered, as a stream of whole readings.

/**
 * As the catalog (or the operator, in a file) sees an instance. `pending`: it has not passed for the first time yet; `unhealthy`: it has, and now its
 * checks or probes fail; `leaving`: it is being stopped, its node is lost, or it is registered no more.
 */
export type InstanceHealth = 'passing' | 'warning' | 'critical' | 'maintenance' | 'pending' | 'unhealthy' | 'leaving'

/** What decides whether an instance gets requests: its catalog's checks, our own probes, or one connection alone. */
export type HealthPolicy = 'checks' | 'probe' | 'none'

/** How an instance is probed: what it is asked, and how often. */
export type ProbeSpec = ProbePace & (TcpProbe | HttpProbe | GrpcProbe)

export interface ProbePace {
  /** 0: that of the instance. */
  readonly port: number
  readonly intervalMs: number
  readonly timeoutMs: number
  /** In a row, until it counts as failing. */
  readonly failures: number
  /** In a row, until it counts as passing. */
  readonly passes: number
}

/** Whether it accepts a connection. */
export interface TcpProbe {
  readonly kind: 'tcp'
}

/** A request, of which the status decides. */
export interface HttpProbe {
  readonly kind: 'http'
  /** HTTP/2; else HTTP/1.1. */
  readonly http2: boolean
  /** Over TLS. */
  readonly secure: boolean
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, readonly string[]>>
  readonly body: string
  /** Statuses that pass, from and to, both included. */
  readonly statuses: readonly (readonly [number, number])[]
}

/** A call of grpc.health.v1.Health/Check, which has to say SERVING. */
export interface GrpcProbe {
  readonly kind: 'grpc'
  /** Over TLS. */
  readonly secure: boolean
  /** `:authority`; '': the address. */
  readonly authority: string
  /** The service that is asked for; '': the whole server. */
  readonly service: string
}

/** What an instance's tags say of its health; absent: what its catalog does. */
export interface HealthKeys {
  readonly health?: HealthPolicy
  readonly probe?: ProbeSpec
}

/** One registration: an instance of a service. */
export interface Instance {
  /** Unique and stable within its catalog. */
  readonly id: string
  readonly service: string
  readonly namespace: string
  /** IP address without brackets, or a DNS name. */
  readonly host: string
  readonly port: number
  readonly tags: readonly string[]
  readonly health: InstanceHealth
  /** Of two instances the one with the higher number was registered later; absent where the catalog cannot tell. */
  readonly order?: number
  /** Where an operator finds it: `services.yaml:12`, or a job and allocation. */
  readonly where: string
  /** Why its health is what it is, in words; absent where there is nothing to add. */
  readonly why?: string
  /** Since when, wall clock in milliseconds; absent where nobody knows. */
  readonly since?: number
  /** The job that registered it, within its namespace; absent where there are no jobs. */
  readonly job?: string
  /** Its registry cannot confirm it at the moment: one refused connection removes it. */
  readonly unsure?: true
  /** A job chose the address: what a name in `host` resolves to must pass the address policy too. */
  readonly guarded?: true
  /** A name in `host` leads where it led: what it resolves to from now on is not admitted. */
  readonly pinned?: true
}

/** Something wrong with the tags of one service or with one catalog; shown, never fatal. */
export interface Problem {
  /** `name@catalog/namespace`, or `@catalog` for the catalog itself. */
  readonly service: string
  /** The router it takes out of service; '' when it concerns the whole service or catalog. */
  readonly router: string
  /** The tag as written, or ''. */
  readonly tag: string
  readonly reason: string
  readonly where: string
}

/** "Not read yet" and "read, and empty" are different answers: the first keeps what was known. */
export type Reading =
  /** `partly`: a part of it could not be read, and is as it was; its instances are `unsure`. */
  | { readonly kind: 'read'; readonly instances: readonly Instance[]; readonly problems: readonly Problem[]; readonly partly?: FailureCause }
  /** The catalog could not be read (or not understood): the last good reading stays in force. */
  | { readonly kind: 'failed'; readonly problems: readonly Problem[]; readonly cause?: FailureCause }

/** Why a registry could not be read: a permission is no outage, and neither is "nothing registered". */
export type FailureCause = 'not allowed' | 'unreachable' | 'not understood'

/** What a catalog that asks a registry can tell of that at any time. */
export interface CatalogReport {
  /** When the registry last confirmed what is known, wall clock, milliseconds; undefined: never. */
  readonly confirmedAt: number | undefined
  /** Services that it lists, with tags of ours or without. */
  readonly listed: number
  /** Calls that failed. */
  readonly errors: number
  /** Calls made, by what was asked. */
  readonly calls: ReadonlyMap<string, number>
}

export interface Catalog {
  /** `file`, `nomad`, `consul`: the part after @ in a service key. */
  readonly name: string
  /**
   * Addresses are handed out anew (a scheduler's ports): what is not confirmed may belong to somebody else by now. False for
   * what an operator wrote down.
   */
  readonly reusesAddresses: boolean
  /** Readings, the first as soon as there is one; ends when the signal aborts. Never throws. */
  readings(signal: AbortSignal): AsyncIterable<Reading>
  /** Absent where there is no registry to ask. */
  report?(): CatalogReport
  /** Somebody was refused a connection to one of its instances: it may find out why. Absent where it cannot. */
  suspect?(host: string, port: number): void
  /** The number that orders a namespace's jobs by age (the lower, the older), for services that claim the same requests; undefined: it cannot be read. */
  jobAge?(namespace: string, job: string, signal: AbortSignal): Promise<number | undefined>
}
