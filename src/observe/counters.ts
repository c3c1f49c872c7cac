// The layout of the memory that workers count in: one writer (the worker), read by the main thread without a message.
import { grpcStatuses } from './grpc-status.ts'

// Plain `f64[k]++` on shared memory costs 6 ns for ten counters, Atomics.add 100: one region a worker, one writer, so plain will do.

/** Why a connection did not come to its first request: the PROXY protocol's header, or the TLS handshake. */
export const handshakeFailures = [
  'proxy_header', 'plain_http', 'not_tls', 'bad_hello', 'unknown_name', 'timeout', 'client_gone', 'client_certificate', 'no_common_terms', 'other',
] as const
export type HandshakeFailureReason = (typeof handshakeFailures)[number]

/** What a worker counts that belongs to no service. `_total` names only grow; the others are gauges. */
export const workerCounters = [
  'connections_accepted_total', 'connections_refused_total', 'requests_refused_total',
  'exchanges', 'tunnels', 'upstream_active', 'upstream_idle', 'upstream_opened_total', 'body_buffer_bytes',
  'access_records_dropped_total', 'boundary_errors_total', 'revision',
  'tls_full_total', 'tls_resumed_total', ...handshakeFailures.map((reason) => `tls_failed_${reason}_total` as const),
  'malformed_requests_total', 'malformed_responses_total', 'idle_surplus_total', 'retries_total', 'retry_budget_spent_total', 'client_aborts_total',
] as const
export type WorkerCounter = (typeof workerCounters)[number]

/** Listeners whose open connections are counted one by one; further ones share the last place. */
export const MAX_LISTENERS = 8
export const WORKER_CELLS = workerCounters.length + MAX_LISTENERS

/** Status codes that have a series of their own; the rest is folded into its class. */
export const codes = [
  '101', '200', '201', '202', '204', '206', '301', '302', '303', '304', '307', '308', '400', '401', '403', '404', '405', '408', '409', '410', '413', '414',
  '421', '422', '429', '431', '499', '500', '501', '502', '503', '504', '505', '508', '1xx', '2xx', '3xx', '4xx', '5xx', 'cut',
] as const

/** How one attempt at an endpoint ended. */
export const attemptResults = ['ok', 'connect_failed', 'reset', 'timeout', 'malformed', 'aborted', 'status'] as const
export type AttemptResult = (typeof attemptResults)[number]

/** Upper bounds of the duration histogram, in seconds; one more bucket counts what is slower. */
export const durationBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const

const ATTEMPTS_AT = codes.length
const GRPC_AT = ATTEMPTS_AT + attemptResults.length
const BUCKETS_AT = GRPC_AT + grpcStatuses.length
const SUM_AT = BUCKETS_AT + durationBounds.length + 1
const BYTES_IN_AT = SUM_AT + 1
const BYTES_OUT_AT = SUM_AT + 2
const IN_FLIGHT_AT = SUM_AT + 3

/** Cells of one service. */
export const SERVICE_CELLS = SUM_AT + 4
/** Services that one page of shared memory holds; the main thread hands out pages as services come. */
export const PAGE_SERVICES = 64
export const PAGE_BYTES = PAGE_SERVICES * SERVICE_CELLS * 8
/** The slot of requests that reached no service (404, 400, …). */
export const NO_SERVICE_SLOT = 0

/** Where each thing stands within a service's cells. */
export const cells = { attempts: ATTEMPTS_AT, grpc: GRPC_AT, buckets: BUCKETS_AT, sum: SUM_AT, bytesIn: BYTES_IN_AT, bytesOut: BYTES_OUT_AT, inFlight: IN_FLIGHT_AT } as const

const cellOfStatus = new Uint8Array(1000)
for (let status = 0; status < 1000; status++) {
  const own = codes.indexOf(String(status) as (typeof codes)[number])
  cellOfStatus[status] = own >= 0 ? own : codes.indexOf(`${Math.floor(status / 100)}xx` as (typeof codes)[number])
}
const CUT_CELL = codes.indexOf('cut')

/** The cell of a status code; 0 stands for a response that ended before its status. */
export const codeCell = (status: number): number => (status === 0 ? CUT_CELL : (cellOfStatus[status] ?? CUT_CELL))

/** Counts one finished exchange in its service's cells. `seconds` is its whole duration. */
export function countExchange(service: Float64Array, status: number, seconds: number, bytesIn: number, bytesOut: number): void {
  service[codeCell(status)]!++
  let bucket = 0
  while (bucket < durationBounds.length && seconds > durationBounds[bucket]!) bucket++
  service[BUCKETS_AT + bucket]!++
  service[SUM_AT]! += seconds
  service[BYTES_IN_AT]! += bytesIn
  service[BYTES_OUT_AT]! += bytesOut
}

/** The view of one service's cells in a worker's pages. */
export function serviceCells(pages: readonly SharedArrayBuffer[], slot: number): Float64Array {
  const page = pages[Math.floor(slot / PAGE_SERVICES)]
  if (page === undefined) throw new Error(`no page of counters for slot ${slot}`)
  return new Float64Array(page, (slot % PAGE_SERVICES) * SERVICE_CELLS * 8, SERVICE_CELLS)
}

/** Index of a worker counter in the worker's region. */
export const workerCell = Object.fromEntries(workerCounters.map((name, at) => [name, at])) as Readonly<Record<WorkerCounter, number>>
