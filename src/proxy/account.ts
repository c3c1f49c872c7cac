// What is told of an exchange: its counts, its access record, and the debug field for peers that may ask for it.
import { forwardedValue, type RequestHead } from '#src/http1/request-head.ts'
import type { ResponseStream } from '#src/downstream/stream.ts'
import { clientText, routeText, type AccessRecord } from '#src/observe/access-record.ts'
import { cells, countExchange } from '#src/observe/counters.ts'
import { NOT_GRPC } from '#src/observe/grpc-status.ts'
import type { Endpoint } from '#src/upstream/endpoint.ts'
import { flat } from './flat.ts'
import type { CompiledRoute } from './route.ts'

/** An exchange as its account sees it. Times are of the worker's clock, in milliseconds. */
export interface ExchangeFacts {
  readonly stream: ResponseStream
  readonly head: RequestHead
  readonly startedAt: number
  /** In normal form; '' when there is none. */
  readonly path: string
  /** The rightmost untrusted address. */
  readonly client: string
  readonly requestId: string
  /** Null: none took the request. */
  readonly route: CompiledRoute | null
  /** The endpoint that is being asked. */
  readonly endpoint: Endpoint | null
  /** Endpoints that failed, in their order. */
  readonly tried: readonly Endpoint[]
  /** Connections that were used or begun for it. */
  readonly attempts: number
  /** How the last attempt that failed did; ''. */
  readonly failure: string
  /** A place of `grpcStatuses`, or NOT_GRPC. */
  readonly grpcStatus: number
  /** When the response head came; 0: it did not. */
  readonly firstByteAt: number
  readonly bytesIn: number
  readonly bytesOut: number
}

const protocols = { '1.0': 'HTTP/1.0', '1.1': 'HTTP/1.1', '2.0': 'HTTP/2.0' } as const

const noneBefore: readonly string[] = []

/** The endpoint that was asked last, and those that failed before it. */
function asked({ endpoint, tried }: ExchangeFacts): { readonly last: string; readonly before: readonly string[] } {
  if (tried.length === 0) return { last: endpoint?.address ?? '', before: noneBefore }
  const before = tried.map(({ address }) => address)
  return { last: endpoint?.address ?? before.pop() ?? '', before }
}

/** An exchange has begun that this route took. */
export function countBegun({ service }: CompiledRoute): void {
  service.cells[cells.inFlight]!++
}

/** Counts an exchange that is over, in its service's cells, or in `unrouted`. */
export function countEnded(exchange: ExchangeFacts, status: number, finishedAt: number, unrouted: Float64Array): void {
  const { route, grpcStatus } = exchange
  const counted = route === null ? unrouted : route.service.cells
  if (route !== null) counted[cells.inFlight]!--
  countExchange(counted, status, (finishedAt - exchange.startedAt) / 1000, exchange.bytesIn, exchange.bytesOut)
  // Of other services only those calls are known that got an error of ours.
  if (grpcStatus !== NOT_GRPC && (route === null || route.service.grpc)) counted[cells.grpc + grpcStatus]!++
}

/** The exchange's line for the access log; `reason` is '' when it went as it should. */
export function accessRecord(exchange: ExchangeFacts, status: number, reason: string, finishedAt: number): AccessRecord {
  const { head, route, startedAt, firstByteAt } = exchange
  const { last, before } = asked(exchange)
  return {
    durationMs: finishedAt - startedAt,
    upstreamMs: firstByteAt === 0 ? -1 : firstByteAt - startedAt,
    from: clientOf(exchange),
    method: head.method,
    path: exchange.path === '' ? head.rawPath : exchange.path,
    query: head.query,
    status,
    grpcStatus: exchange.grpcStatus,
    reason,
    failure: exchange.failure,
    bytesIn: exchange.bytesIn,
    bytesOut: exchange.bytesOut,
    to: route === null ? noRoute : route.logged,
    endpoint: last,
    tried: before,
    requestId: exchange.requestId,
  }
}

const noRoute = routeText('', '')

/** What the log says of the client; kept for its next request (bench/README.md). */
function clientOf({ client, head, stream: { peer } }: ExchangeFacts): string {
  const { told } = peer
  const protocol = protocols[head.version]
  if (told.logged === '' || told.client !== client || told.protocol !== protocol || told.host !== head.host || told.userAgent !== head.userAgent) {
    told.client = client
    told.protocol = protocol
    told.host = head.host
    told.userAgent = head.userAgent
    told.logged = flat(clientText({ client, peer: peer.address, scheme: peer.scheme, protocol, host: head.host, userAgent: head.userAgent }))
  }
  return told.logged
}

/** `Serai-Debug: 1` from a trusted peer is answered with what happened: a line, or ''. */
export function debugField(exchange: ExchangeFacts): string {
  const { stream, head, route, attempts, failure } = exchange
  if (!stream.peer.trusted || forwardedValue(head, 'serai-debug') !== '1') return ''
  const { last, before } = asked(exchange)
  const parts = [
    `route=${route === null ? 'none' : `${route.service.key}#${route.router}`}`,
    `endpoint=${last === '' ? 'none' : last}`,
    `attempts=${attempts}`,
    ...(before.length === 0 ? [] : [`tried=${before.join(',')}`]),
    ...(failure === '' ? [] : [`failure=${failure}`]),
  ]
  return `Serai-Debug: ${parts.join('; ').replace(/[^ -~]/g, '?')}\r\n`
}
