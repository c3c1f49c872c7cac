// Every metric of the program: its name, its meaning, and where its value comes from at a scrape.
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { ServiceKey } from '#src/snapshot.ts'
import { attemptResults, cells, codes, durationBounds, handshakeFailures, MAX_LISTENERS, workerCell, workerCounters } from './counters.ts'
import type { HandshakeFailureReason, WorkerCounter } from './counters.ts'
import { grpcStatuses } from './grpc-status.ts'
import { ServiceTotals } from './service-totals.ts'
import type { WorkerCounts } from './service-totals.ts'

/** What the main thread itself knows at the moment of a scrape. */
export interface Observed {
  readonly revision: number
  readonly ready: boolean
  readonly draining: boolean
  readonly problems: number
  /** Workers that were started again. */
  readonly workerRestarts: number
  readonly catalogs: readonly {
    readonly name: string
    /** Since its last good reading; undefined: there was none. */
    readonly ageSeconds: number | undefined
    readonly errors: number
    /** For how long the permission to read it (or a part) has been missing; 0: it is not. */
    readonly forbiddenSeconds: number
    /** Calls to its registry, by what was asked. */
    readonly calls: ReadonlyMap<string, number>
  }[]
  readonly certificates: readonly { readonly name: string; readonly expiresInSeconds: number }[]
  /** In the order of the settings. */
  readonly listeners: readonly string[]
  /** Access-log records that the sink dropped. */
  readonly accessDropped: number
  /** Endpoints with a series each; leave it out to have none. */
  readonly endpoints?: Iterable<{ readonly service: ServiceKey; readonly address: string; readonly up: boolean }>
}

export interface MetricsOptions {
  readonly version: string
  /** The workers that live now. */
  readonly workers: () => Iterable<WorkerCounts>
  readonly observed: () => Observed
  /** Services that get series of their own; the others are counted together as `other`. */
  readonly maxServices?: number
}

export interface Metrics {
  /** From now on the slot counts for this service, from zero; a slot may be given to one service after the other without clearing its cells. */
  addService(key: ServiceKey, slot: number): void
  /** The service is gone: its series are dropped. */
  removeService(slot: number): void
  /** Keeps the totals of a worker that has ended; call it in the turn in which `workers()` stops naming it. */
  retireWorker(worker: WorkerCounts): void
  /** The exposition in the text format; scrapes at the same time share one. */
  render(): Promise<string>
}

/** The content type of the exposition. */
export const METRICS_CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE
const MAX_SERVICES = 5000

interface Row {
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
  /** Differs from the metric's own name in a histogram. */
  readonly metricName?: string
}

interface Scrape {
  readonly observed: Observed
  readonly workers: readonly WorkerCounts[]
  readonly ofWorkers: Float64Array
  readonly services: readonly { readonly service: string; readonly counts: Float64Array }[]
  readonly folded: number
}

type Rows = (scrape: Scrape) => readonly Row[]

/** Metrics in a registry of their own. */
export function createMetrics({ version, workers, observed, maxServices = MAX_SERVICES }: MetricsOptions): Metrics {
  const totals = new ServiceTotals(workers, maxServices)
  const registry = new Registry()
  let scrape: Scrape
  let rendering: Promise<string> | undefined

  declareMetrics(registry, version, (rows) => rows(scrape))
  collectDefaultMetrics({ register: registry })

  const render = async (): Promise<string> => {
    scrape = { observed: observed(), workers: [...workers()], ofWorkers: totals.ofWorkers(), services: totals.ofServices().filter(isUsed).toArray(), folded: totals.folded }
    try {
      return await registry.metrics()
    } finally {
      rendering = undefined
    }
  }
  return {
    addService(key, slot) { totals.add(key, slot) },
    removeService(slot) { totals.remove(slot) },
    retireWorker(worker) { totals.retire(worker) },
    render: () => (rendering ??= render()),
  }
}

function declareMetrics(registry: Registry, version: string, read: (rows: Rows) => readonly Row[]): void {
  const registers = [registry]
  const counter = (name: string, help: string, labelNames: readonly string[], rows: Rows): void => {
    readFrom(new Counter({ name, help, labelNames, registers }), () => read(rows))
  }
  const gauge = (name: string, help: string, labelNames: readonly string[], rows: Rows): void => {
    readFrom(new Gauge({ name, help, labelNames, registers }), () => read(rows))
  }

  counter('serai_requests_total', 'Exchanges that ended, by the status that the client got; cut: it got none.', ['service', 'code'], byName(codes, 0, 'code'))
  readFrom(new Histogram({
    name: 'serai_request_duration_seconds', help: 'From the first byte of a request to the last of its response.', labelNames: ['service'], buckets: [...durationBounds], registers,
  }), () => read(durations))
  counter('serai_attempts_total', 'Attempts at endpoints, by how they ended.', ['service', 'result'], byName(attemptResults, cells.attempts, 'result'))
  counter('serai_grpc_calls_total', 'Calls to gRPC services that ended, by their grpc-status; none: they got none.', ['service', 'code'], byName(grpcStatuses, cells.grpc, 'code'))
  counter('serai_request_bytes_total', 'Body bytes received from clients.', ['service'], perService(cells.bytesIn))
  counter('serai_response_bytes_total', 'Body bytes sent to clients.', ['service'], perService(cells.bytesOut))
  gauge('serai_requests_in_flight', 'Exchanges that have begun and not ended.', ['service'], perService(cells.inFlight))
  gauge('serai_services_folded', 'Services without series of their own, counted together as service="other".', [], one(({ folded }) => folded))
  gauge('serai_endpoint_up', '1: takes traffic, 0: does not.', ['service', 'endpoint'], endpoints)

  gauge('serai_connections', 'Open client connections.', ['listener'], connections)
  for (const [name, { help, series }] of workerMetrics()) {
    const declare = name.endsWith('_total') ? counter : gauge
    declare(name, help, series.flatMap(({ labels }) => Object.keys(labels)).slice(0, 1), ({ ofWorkers, observed }) => [
      ...series.map(({ at, labels }) => ({ labels, value: ofWorkers[at]! })),
      ...(name === ACCESS_DROPPED ? [{ labels: { at: 'sink' }, value: observed.accessDropped }] : []),
    ])
  }
  gauge('serai_worker_revision', 'The snapshot that a worker serves.', ['worker'], ({ workers }) => workers.map(({ id, cells: own }) => ({ labels: { worker: id }, value: own[workerCell.revision]! })))
  counter('serai_worker_restarts_total', 'Workers that ended and were started again.', [], one(({ observed }) => observed.workerRestarts))

  gauge('serai_snapshot_revision', 'The newest snapshot.', [], one(({ observed }) => observed.revision))
  gauge('serai_catalog_age_seconds', 'Since the last good reading of a catalog; no series before the first.', ['catalog'], ({ observed }) => observed.catalogs
    .flatMap(({ name, ageSeconds }) => (ageSeconds === undefined ? [] : [{ labels: { catalog: name }, value: ageSeconds }])))
  gauge('serai_catalog_forbidden_seconds', 'For how long the permission to read a catalog, or a part of it, has been missing; 0: it is not.', ['catalog'], ({ observed }) => observed.catalogs
    .map(({ name, forbiddenSeconds }) => ({ labels: { catalog: name }, value: forbiddenSeconds })))
  counter('serai_registry_calls_total', 'Calls to the registry of a catalog, by what was asked.', ['catalog', 'call'], ({ observed }) => observed.catalogs
    .flatMap(({ name, calls }) => Array.from(calls, ([call, value]) => ({ labels: { catalog: name, call }, value }))))
  counter('serai_catalog_errors_total', 'Readings of a catalog, or calls to its registry, that failed.', ['catalog'], ({ observed }) => observed.catalogs
    .map(({ name, errors }) => ({ labels: { catalog: name }, value: errors })))
  gauge('serai_certificate_expiry_seconds', 'Until the certificate for this name expires; negative when it has.', ['name'], ({ observed }) => observed.certificates
    .map(({ name, expiresInSeconds }) => ({ labels: { name }, value: expiresInSeconds })))
  gauge('serai_problems', 'Problems as listed by /api/problems.', [], one(({ observed }) => observed.problems))
  gauge('serai_ready', '1: /ready answers 200.', [], one(({ observed }) => Number(observed.ready)))
  gauge('serai_draining', '1: the process is on its way out (lame duck or draining).', [], one(({ observed }) => Number(observed.draining)))
  gauge('serai_build_info', 'Always 1; the version is in the label.', ['version'], () => [{ labels: { version }, value: 1 }])
}

const ACCESS_DROPPED = 'serai_access_log_dropped_total'

type WorkerMetricOf = readonly [name: string, help: string, labels?: Readonly<Record<string, string>>]

const handshakes = 'TLS handshakes that were completed.'
const metricOfFailure = Object.fromEntries(handshakeFailures.map((reason) => [
  `tls_failed_${reason}_total`, ['serai_tls_handshake_failures_total', 'Connections that did not come to a first request, by what was wrong (docs/tls.md).', { reason }],
])) as unknown as Readonly<Record<`tls_failed_${HandshakeFailureReason}_total`, WorkerMetricOf>>

/** What becomes of each counter of a worker: metric, meaning, label. Undefined: shown elsewhere, or between threads only. */
const metricOfCounter = {
  tls_full_total: ['serai_tls_handshakes_total', handshakes, { kind: 'full' }],
  tls_resumed_total: ['serai_tls_handshakes_total', handshakes, { kind: 'resumed' }],
  ...metricOfFailure,
  connections_accepted_total: ['serai_connections_accepted_total', 'Client connections accepted.'],
  connections_refused_total: ['serai_connections_refused_total', 'Client connections closed at once because a limit was reached.'],
  requests_refused_total: ['serai_requests_refused_total', 'Requests answered 503 because a limit was reached.'],
  exchanges: ['serai_exchanges', 'Exchanges in flight in all workers.'],
  tunnels: ['serai_tunnels', 'Open tunnels, such as WebSockets.'],
  upstream_active: ['serai_upstream_connections', 'Connections to endpoints.', { state: 'active' }],
  upstream_idle: ['serai_upstream_connections', 'Connections to endpoints.', { state: 'idle' }],
  upstream_opened_total: ['serai_upstream_connections_opened_total', 'Connections to endpoints that were opened.'],
  body_buffer_bytes: ['serai_body_buffer_bytes', 'Bytes of bodies waiting for a slower side.'],
  access_records_dropped_total: [ACCESS_DROPPED, 'Access-log records dropped, in a worker or at the sink.', { at: 'worker' }],
  boundary_errors_total: ['serai_internal_errors_total', 'Errors of our own that ended a connection; please report them.'],
  revision: undefined,
  malformed_requests_total: ['serai_malformed_requests_total', 'Requests refused as malformed.'],
  malformed_responses_total: ['serai_malformed_responses_total', 'Responses of endpoints refused as malformed.'],
  idle_surplus_total: ['serai_upstream_surplus_total', 'Idle connections closed because an endpoint sent bytes that nobody had asked for.'],
  retries_total: ['serai_retries_total', 'Attempts after the first.'],
  retry_budget_spent_total: ['serai_retry_budget_spent_total', 'Attempts that were not repeated because the budget was spent.'],
  client_aborts_total: ['serai_client_aborts_total', 'Exchanges that the client left before their end (499).'],
} as const satisfies Readonly<Record<WorkerCounter, WorkerMetricOf | undefined>>

interface WorkerMetric {
  readonly help: string
  readonly series: { readonly at: number; readonly labels: Readonly<Record<string, string>> }[]
}

function workerMetrics(): ReadonlyMap<string, WorkerMetric> {
  const metrics = new Map<string, WorkerMetric>()
  for (const [at, counter] of workerCounters.entries()) {
    const [name, help, labels = {}] = metricOfCounter[counter] ?? []
    if (name === undefined || help === undefined) continue
    const metric = metrics.get(name) ?? { help, series: [] }
    metric.series.push({ at, labels })
    metrics.set(name, metric)
  }
  return metrics
}

/** The metric's rows are made at the scrape: setting thousands of series on it first would cost a look-up each. */
function readFrom(metric: Counter | Gauge | Histogram, rows: () => readonly Row[]): void {
  const described = metric.get()
  const get = async (): Promise<Awaited<typeof described>> => ({ ...await described, values: [...rows()] })
  // The registry asks a histogram by a method of another name.
  Object.assign(metric, metric instanceof Histogram ? { get, getForPromString: get } : { get })
}

function one(value: (scrape: Scrape) => number): Rows {
  return (scrape) => [{ labels: {}, value: value(scrape) }]
}

/** A service that saw no request has no series. */
function isUsed({ counts }: { readonly counts: Float64Array }): boolean {
  return counts.some((count) => count !== 0)
}

function perService(at: number): Rows {
  return ({ services }) => services.map(({ service, counts }) => ({ labels: { service }, value: counts[at]! }))
}

/** One series for each named cell that counted something. */
function byName(names: readonly string[], first: number, label: string): Rows {
  return ({ services }) => {
    const rows: Row[] = []
    for (const { service, counts } of services) {
      for (const [at, name] of names.entries()) {
        if (counts[first + at] !== 0) rows.push({ labels: { service, [label]: name }, value: counts[first + at]! })
      }
    }
    return rows
  }
}

const durations: Rows = ({ services }) => {
  const rows: Row[] = []
  for (const { service, counts } of services) {
    let upTo = 0
    const buckets = [...durationBounds, '+Inf'].map((le, at) => ({ labels: { service, le }, value: upTo += counts[cells.buckets + at]!, metricName: 'serai_request_duration_seconds_bucket' }))
    rows.push(...buckets,
      { labels: { service }, value: counts[cells.sum]!, metricName: 'serai_request_duration_seconds_sum' },
      { labels: { service }, value: upTo, metricName: 'serai_request_duration_seconds_count' })
  }
  return rows
}

const connections: Rows = ({ observed, ofWorkers }) => {
  const first = workerCounters.length
  const own = observed.listeners.slice(0, MAX_LISTENERS - 1).map((listener, at) => ({ labels: { listener }, value: ofWorkers[first + at]! }))
  const shared = observed.listeners.slice(MAX_LISTENERS - 1)
  if (shared.length === 0) return own
  return [...own, { labels: { listener: shared.length === 1 ? shared[0]! : 'other' }, value: ofWorkers[first + MAX_LISTENERS - 1]! }]
}

const endpoints: Rows = ({ observed }) => Array.from(observed.endpoints ?? [], ({ service, address, up }) => ({ labels: { service, endpoint: address }, value: Number(up) }))
