// One worker's data plane: the running table, what was observed of endpoints, and what every exchange needs at hand.
import { BlockList, isIPv6 } from 'node:net'
import { randomBytes } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { endpointKey, type Ejection } from '#src/messages.ts'
import { isHttp2, isSecure, type DataPlaneSettings, type Service, type SnapshotSlice } from '#src/snapshot.ts'
import type { Peer } from '#src/downstream/stream.ts'
import type { Deadlines } from '#src/io/deadlines.ts'
import type { Outboxes } from '#src/io/outbox.ts'
import type { ReadBuffers } from '#src/io/read-buffer.ts'
import { Roster } from '#src/io/roster.ts'
import type { RequestHead } from '#src/http1/request-head.ts'
import { fieldValue } from '#src/http1/fields.ts'
import { accessLine, type AccessRecord } from '#src/observe/access-record.ts'
import { NO_SERVICE_SLOT, serviceCells, workerCell, type WorkerCounter } from '#src/observe/counters.ts'
import { emptyTable, TableBuilder, type RoutingTable } from '#src/routing/table.ts'
import type { PickContext } from '#src/upstream/balance.ts'
import type { Identities } from '#src/tls/identities.ts'
import type { UpstreamFailure } from '#src/upstream/stream.ts'
import { createAddressPolicy } from '#src/upstream/address-policy.ts'
import { Dialer } from '#src/upstream/dial.ts'
import { eject, mayEjectForStatus, recordAnswer, recordFailure, recordSuccess } from '#src/upstream/eject.ts'
import { Endpoint, noEndpoints } from '#src/upstream/endpoint.ts'
import { Names } from '#src/upstream/names.ts'
import { pick } from '#src/upstream/pick.ts'
import { Http2Pool } from '#src/upstream/http2-pool.ts'
import { Pool, type EndpointPool, type UpstreamContext } from '#src/upstream/pool.ts'
import type { Target } from '#src/upstream/target.ts'
import type { Clock } from './clock.ts'
import { HeldExchanges } from './held.ts'
import { compileService, type CompileContext, type CompiledRoute, type CompiledService } from './route.ts'
import type { RetryBudget } from './retry-budget.ts'
import type { Tunnel, TunnelHost } from './tunnel.ts'

/** What a worker gives its plane: the edges of the pure parts. */
export interface PlaneEdges {
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly buffers: ReadBuffers
  readonly outboxes: Outboxes
  readonly random: () => number
  readonly identities: Identities
  /** The worker's own counters (observe/counters.ts). */
  readonly counters: Float64Array
  readonly pages: readonly SharedArrayBuffer[]
  boundaryError(error: unknown): void
  /** Tells the other workers. */
  ejected(ejection: Ejection): void
  /** A connection to this endpoint was refused. */
  nobodyListens(key: string): void
  accessLine(line: string): void
}

export class Plane implements TunnelHost {
  settings: DataPlaneSettings
  table: RoutingTable<CompiledRoute> = emptyTable()
  /** Every catalog was read once: an unknown host is a 404. */
  complete = false
  revision = 0
  readonly deadlines: Deadlines
  readonly buffers: ReadBuffers
  readonly outboxes: Outboxes
  readonly tunnels = new Roster<Tunnel>()
  /** Exchanges that wait for the next table. */
  readonly held = new HeldExchanges()
  readonly identities: Identities
  /** The line for responses over TLS, or ''. */
  hstsField = ''
  /** The peers whose forwarding headers are believed. */
  trusted: BlockList
  /** Cells of exchanges that reached no service. */
  readonly unrouted: Float64Array
  readonly #edges: PlaneEdges
  readonly #builder = new TableBuilder<CompiledRoute>()
  readonly #services = new Map<string, CompiledService>()
  readonly #endpoints = new Map<string, Endpoint>()
  /** A retired endpoint's pool lives as long as an exchange does that was on its way to it. */
  readonly #pools = new WeakMap<Endpoint, EndpointPool>()
  readonly #upstream: UpstreamContext
  readonly #idPrefix = randomBytes(6).toString('hex')
  #requests = 0
  /** Where a change stands whose last slice has not come yet; -2: nowhere. */
  #applying = -2
  #replaced = new Set<string>()

  constructor(settings: DataPlaneSettings, edges: PlaneEdges) {
    this.settings = settings
    this.#edges = edges
    this.deadlines = edges.deadlines
    this.buffers = edges.buffers
    this.outboxes = edges.outboxes
    this.trusted = blockList(settings.trustedPeers)
    this.identities = edges.identities
    this.#govern(settings)
    this.unrouted = serviceCells(edges.pages, NO_SERVICE_SLOT)
    this.#upstream = {
      buffers: edges.buffers,
      deadlines: edges.deadlines,
      boundaryError: (error) => edges.boundaryError(error),
      ...this.#upstreamTerms(settings),
      opened: () => this.count('upstream_opened_total', 1),
      surplus: () => this.count('idle_surplus_total', 1),
      now: () => edges.deadlines.now,
    }
  }

  /** Takes new settings; exchanges in flight keep the timeouts they began with. */
  configure(settings: DataPlaneSettings): void {
    const before = this.settings.upstream
    if (!isDeepStrictEqual(this.settings.tls, settings.tls)) this.#govern(settings)
    this.settings = settings
    this.trusted = blockList(settings.trustedPeers)
    const { dialer, ...terms } = this.#upstreamTerms(settings)
    // Names that are known stay known, unless they are asked of others now.
    Object.assign(this.#upstream, isDeepStrictEqual(before.dns, settings.upstream.dns) && isDeepStrictEqual(before.allowAddresses, settings.upstream.allowAddresses) && before.ca === settings.upstream.ca ? terms : { dialer, ...terms })
  }

  #govern({ tls }: DataPlaneSettings): void {
    this.identities.govern(tls.clients)
    this.hstsField = tls.hsts === '' ? '' : `Strict-Transport-Security: ${tls.hsts}\r\n`
  }

  /** The part of the upstream context that a reload changes. */
  #upstreamTerms({ upstream }: DataPlaneSettings): Pick<UpstreamContext, 'connectMs' | 'keepAliveMs' | 'limits' | 'dialer'> {
    const { clock, random } = this.#edges
    return {
      connectMs: upstream.connectMs,
      keepAliveMs: upstream.keepAliveMs,
      limits: upstream,
      dialer: new Dialer(new Names({ servers: upstream.dns, hostsFile: HOSTS_FILE, now: () => clock.now(), random }), upstream.ca, createAddressPolicy({ allow: upstream.allowAddresses, registry: [] })),
    }
  }

  // ── the table ──

  /**
   * Compiles one slice of a change beside the running table; with the last one, swaps. False: this worker missed something
   * and has to be sent the whole snapshot.
   */
  apply(slice: SnapshotSlice): boolean {
    if (slice.from === -1) {
      if (this.#applying !== -1) this.#replaced = new Set(this.#services.keys())
    } else if (slice.from !== this.revision) return false
    this.#applying = slice.from
    const context = {
      endpoint: (service: Service, index: number) => this.#endpoint(service, index),
      cells: (slot: number) => serviceCells(this.#edges.pages, slot),
      random: this.#edges.random,
      retryBudget: this.settings.retryBudget,
      now: this.#edges.clock.now(),
    }
    for (const service of slice.changed) {
      this.#replaced.delete(service.key)
      try {
        this.#set(service, context)
      } catch (error) {
        this.#edges.boundaryError(error) // this one stays as it was, the others go on
      }
    }
    for (const key of slice.removed) this.#remove(key)
    if (!slice.last) {
      this.#builder.compile()
      return true
    }
    for (const key of this.#replaced) this.#remove(key)
    this.#replaced.clear()
    this.#applying = -2
    this.table = this.#builder.finish()
    this.revision = slice.to
    this.complete = slice.complete
    this.#edges.counters[workerCell.revision] = slice.to
    this.#retireUnused()
    this.held.tableChanged((error) => this.#edges.boundaryError(error))
    return true
  }

  #set(service: Service, context: CompileContext): void {
    const before = this.#services.get(service.key)
    const { service: compiled, entries } = compileService(service, before, context)
    for (const endpoint of compiled.endpoints) endpoint.references++
    this.#services.set(service.key, compiled)
    this.#builder.set(service.key, entries)
    this.#dereference(before)
  }

  #endpoint(service: Service, index: number): Endpoint {
    const spec = service.endpoints[index]!
    const key = endpointKey(service, spec)
    let endpoint = this.#endpoints.get(key)
    if (endpoint === undefined) {
      const http2 = isHttp2(service.scheme)
      const origin = { host: spec.host, port: spec.port, guarded: spec.guarded === true, pinned: spec.pinned === true ? this.#upstream.dialer.known(spec.host) : null, tls: isSecure(service.scheme) ? service.tls : null, protocol: http2 ? 'h2' : 'http/1.1' } as const
      this.#endpoints.set(key, (endpoint = new Endpoint(key, spec)))
      this.#pools.set(endpoint, http2 ? new Http2Pool(this.#upstream, this.outboxes, origin) : new Pool(this.#upstream, origin))
    }
    return endpoint
  }

  #remove(key: string): void {
    const service = this.#services.get(key)
    this.#services.delete(key)
    this.#builder.remove(key)
    this.#dereference(service)
  }

  readonly #unused = new Set<Endpoint>()

  #dereference(service: CompiledService | undefined): void {
    for (const endpoint of service?.endpoints ?? []) if (--endpoint.references === 0) this.#unused.add(endpoint)
  }

  /** Only after the swap: until then requests still go there. */
  #retireUnused(): void {
    const tunnels = this.tunnels.all()
    for (const endpoint of this.#unused) {
      if (endpoint.references > 0) continue
      this.#endpoints.delete(endpoint.key)
      this.poolOf(endpoint).retire()
      for (const tunnel of tunnels) if (tunnel.endpoint === endpoint) tunnel.endpointRemoved()
    }
    this.#unused.clear()
  }

  // ── what an exchange asks ──

  clock(): number {
    return this.#edges.clock.now()
  }

  /**
   * A request for `host` may not come by this connection: its certificate, or what is asked of its clients, is not that of the name that
   * TLS was made for (RFC 9110 15.5.20), or was changed since. In the clear, nobody has shown a certificate.
   */
  misdirected({ tls }: Peer, host: string): boolean {
    const { identities } = this
    if (tls === null) return identities.policies.length > 0 && identities.policyOf(host)?.mode === 'require'
    return (host !== tls.serverName || tls.policies !== identities.policies) && identities.find(host)?.scope !== tls.scope
  }

  requestId(): string {
    return this.#idPrefix + (this.#requests++).toString(16).padStart(10, '0')
  }

  dateField(): string {
    return this.#edges.clock.dateField()
  }

  /** More exchanges at once than this worker takes. */
  get overloaded(): boolean {
    return this.#edges.counters[workerCell.exchanges]! > this.settings.limits.exchanges
  }

  /** One of the route's endpoints that was not tried; `again`: one of all, when no other is left. */
  pick(route: CompiledRoute, tried: readonly Endpoint[], head: RequestHead, client: string, path: string, again: boolean): Target | undefined {
    const { service } = route
    const context: PickContext = {
      now: this.#edges.clock.now(),
      random: this.#edges.random,
      tried,
      slowStartMs: this.settings.eject.slowStartMs,
      health: 'strict',
      hashKey: service.hashOf === '' ? '' : hashKey(service.hashOf, head, client, path),
    }
    const { targets } = route
    const { panic } = this.settings.eject
    const found = pick(service.balancer, targets, context, panic)
    return found === undefined && again ? pick(service.balancer, targets, { ...context, tried: noEndpoints }, panic) : found
  }

  /** The endpoint's connections. */
  poolOf(endpoint: Endpoint): EndpointPool {
    return this.#pools.get(endpoint)!
  }

  mayRepeat(budget: RetryBudget): boolean {
    if (budget.withdraw(this.#edges.clock.now())) return true
    this.count('retry_budget_spent_total', 1)
    return false
  }

  // ── what an exchange tells ──

  failed(endpoint: Endpoint, service: CompiledService, failure: UpstreamFailure): void {
    if (failure.kind === 'malformed') this.count('malformed_responses_total', 1)
    // Any client can ask for what is answered badly; connections are broken by the endpoint's server, whatever it is asked.
    if ((failure.kind === 'malformed' && failure.of === 'answer') || (failure.kind === 'reset' && (failure.stale || failure.untaken)) || ourOwn.includes(failure.detail)) return
    // `avoidUntil` is set by the failure just before: it spaces these messages.
    if (failure.kind === 'connect' && failure.detail === 'ECONNREFUSED' && endpoint.avoidUntil < this.clock()) this.#edges.nobodyListens(endpoint.key)
    this.#recordFailure(endpoint, service, `${failure.kind}: ${failure.detail}`, failure.kind === 'connect')
  }

  answered(endpoint: Endpoint, route: CompiledRoute, status: number, now: number): void {
    route.service.lately.answeredAt = now
    if (!route.policy.ejectStatuses.includes(status)) recordAnswer(endpoint)
    else if (mayEjectForStatus(route.service.serving, this.clock())) this.#recordFailure(endpoint, route.service, `status ${status}`, false)
  }

  /** A response came to its end. */
  succeeded(endpoint: Endpoint, route: CompiledRoute, status: number): void {
    if (!route.policy.ejectStatuses.includes(status)) recordSuccess(endpoint)
  }

  #recordFailure(endpoint: Endpoint, service: CompiledService, why: string, connecting: boolean): void {
    const ejection = recordFailure(endpoint, why, connecting, service.serving, this.clock(), this.settings.eject)
    if (ejection === undefined) return
    this.eject(ejection)
    this.#edges.ejected(ejection)
  }

  /** Ejects an endpoint, by own observation or by another worker's. */
  eject(ejection: Ejection): void {
    const endpoint = this.#endpoints.get(ejection.key)
    if (endpoint !== undefined) eject(endpoint, ejection, this.clock(), this.settings.eject)
  }

  count(counter: WorkerCounter, change: number): void {
    this.#edges.counters[workerCell[counter]]! += change
  }

  /** Brings the gauges of this worker up to date; they are not worth a write for each request. */
  gauge(): void {
    const { counters } = this.#edges
    let open = 0
    let idle = 0
    for (const endpoint of this.#endpoints.values()) {
      const pool = this.poolOf(endpoint)
      open += pool.open
      idle += pool.idle
    }
    counters[workerCell.upstream_idle] = idle
    counters[workerCell.upstream_active] = open - idle
    counters[workerCell.tunnels] = this.tunnels.size
  }

  get logging(): boolean {
    const { enabled, sample } = this.settings.accessLog
    return enabled && (sample === 1 || this.#edges.random() < sample)
  }

  log(record: AccessRecord): void {
    this.#edges.accessLine(accessLine(record, this.#edges.clock.time()))
  }
}

const HOSTS_FILE = '/etc/hosts'

/** Failures to connect for want of something of our own: files, memory, ports. They say nothing about an endpoint. */
const ourOwn = ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL']

/** What the hash policy hashes; '' when the request does not have it: then all such requests go to one endpoint. */
function hashKey(of: string, head: RequestHead, client: string, path: string): string {
  if (of === 'ip') return client
  if (of === 'path') return path
  if (of.startsWith('header:')) return fieldValue(head.fields, of.slice(7).toLowerCase()) ?? ''
  const name = of.slice('cookie:'.length)
  for (const pair of (fieldValue(head.fields, 'cookie') ?? '').split(/[;,]/)) {
    const at = pair.indexOf('=')
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim()
  }
  return ''
}

/** Addresses and CIDR blocks as the checker for them. */
export function blockList(blocks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const block of blocks) {
    const [address, bits] = block.split('/') as [string, string?]
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return list
}
