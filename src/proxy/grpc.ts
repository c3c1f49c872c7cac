// What gRPC adds to HTTP: which requests are its own, their deadlines, and errors of ours as its clients understand them.
import { fieldValue } from '#src/http1/fields.ts'
import type { RequestHead } from '#src/http1/request-head.ts'
import { grpcStatusFrom } from '#src/observe/grpc-status.ts'
import type { RoutePolicy } from '#src/snapshot.ts'
import { wordsOf, type Answer, type Reason } from './answers.ts'

/** `web`: gRPC-Web, as browsers speak it; `web text`: in base64. */
export type GrpcKind = '' | 'grpc' | 'web' | 'web text'

/** What a request is by its content-type (gRPC over HTTP/2, "Requests"; gRPC-Web, "Protocol differences"). */
export function grpcKindOf(head: RequestHead): GrpcKind {
  if (head.method !== 'POST') return ''
  const [, kind] = /^application\/grpc(-web-text|-web)?(?:[+;]|$)/i.exec(fieldValue(head.fields, 'content-type') ?? '') ?? ['', 'none']
  if (kind === 'none') return ''
  return kind === undefined ? 'grpc' : kind.toLowerCase() === '-web' ? 'web' : 'web text'
}

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 0.000_001 }

/** The call's deadline in milliseconds from its beginning; infinite when it sets none, or none that can be read. */
export function grpcTimeoutMs(head: RequestHead): number {
  const parts = /^(\d{1,8})([HMSmun])$/.exec(fieldValue(head.fields, 'grpc-timeout') ?? '')
  return parts === null ? Number.POSITIVE_INFINITY : Math.ceil(Number(parts[1]) * unitMs[parts[2]!]!)
}

/** A call may be silent as long as a tunnel; and where it has a deadline (`endsAt` is finite), its first message may take as long. Milliseconds. */
export function grpcPatience({ headTimeoutMs, bodyTimeoutMs }: Timeouts, endsAt: number, idleMs: number): Timeouts {
  return { headTimeoutMs: endsAt === Number.POSITIVE_INFINITY ? headTimeoutMs : Math.max(headTimeoutMs, idleMs), bodyTimeoutMs: Math.max(bodyTimeoutMs, idleMs) }
}

type Timeouts = Pick<RoutePolicy, 'headTimeoutMs' | 'bodyTimeoutMs'>

const DEADLINE_EXCEEDED = 4
const RESOURCE_EXHAUSTED = 8
const UNIMPLEMENTED = 12
const INTERNAL = 13
const UNAVAILABLE = 14

/** The gRPC status of an answer of ours, as gRPC's own table maps HTTP's (doc/http-grpc-status-mapping.md), but for deadlines. */
const statuses: Readonly<Record<Reason, number>> = {
  no_route: UNIMPLEMENTED, not_ready: UNAVAILABLE, route_problem: UNAVAILABLE, service_gone: UNAVAILABLE, no_endpoint: UNAVAILABLE, overloaded: RESOURCE_EXHAUSTED,
  misdirected: UNAVAILABLE, plain_http: INTERNAL, https_only: INTERNAL, bad_path: INTERNAL, bad_body: INTERNAL, upgrade_refused: UNIMPLEMENTED,
  connect_failed: UNAVAILABLE, upstream_reset: UNAVAILABLE, upstream_malformed: INTERNAL,
  upstream_head_timeout: DEADLINE_EXCEEDED, upstream_body_timeout: DEADLINE_EXCEEDED, total_timeout: DEADLINE_EXCEEDED,
}

/** The `grpc-status` of an answer of ours. */
export const grpcStatusOf = (reason: Reason): number => statuses[reason]

/** How a call ended, as `grpcStatuses` has it, by its trailers, or by the head of an answer that is nothing else ("Trailers-Only"). */
export const grpcStatusIn = (lines: string): number => grpcStatusFrom(fieldValue(lines, 'grpc-status'))

/** An answer without messages: all of it in the head ("Trailers-Only"). `fields` are further lines. */
export function grpcAnswer(reason: Reason, fields: string): Answer {
  return {
    head: {
      status: 200, reason: '', length: 0, bodiless: false,
      fields: `${fields}Content-Type: application/grpc\r\nGrpc-Status: ${statuses[reason]}\r\nGrpc-Message: ${percentEncoded(wordsOf(reason))}\r\n`,
    },
    body: '',
  }
}

/** gRPC's `Percent-Encoded`: visible ASCII and spaces, without `%`. */
const percentEncoded = (text: string): string => text.replace(/[^ -$&-~]/g, (char) => encodeURIComponent(char))
