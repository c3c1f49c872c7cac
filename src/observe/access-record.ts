// One line of the access log: JSON whose field names are a contract (docs/access-log.md).
import { NO_STATUS, NOT_GRPC, OTHER_STATUS } from './grpc-status.ts'

/** What is known of one exchange when it is over. Times in milliseconds. */
export interface AccessRecord {
  readonly durationMs: number
  /** Until the response head came; -1 when none did. */
  readonly upstreamMs: number
  /** What `clientText` makes. */
  readonly from: string
  readonly method: string
  readonly path: string
  readonly query: string
  readonly status: number
  /** A place of `grpcStatuses`, or NOT_GRPC. */
  readonly grpcStatus: number
  /** Why it did not go as it should; '' when it did. */
  readonly reason: string
  /** How the last attempt that failed did, in words; ''. */
  readonly failure: string
  readonly bytesIn: number
  readonly bytesOut: number
  /** What `routeText` makes. */
  readonly to: string
  readonly endpoint: string
  /** Endpoints that failed before `endpoint` was asked. */
  readonly tried: readonly string[]
  readonly requestId: string
}

/** What stays the same while a client asks on: made once for many lines. */
export interface LoggedClient {
  /** The rightmost untrusted address. */
  readonly client: string
  /** The other end of the connection. */
  readonly peer: string
  readonly scheme: string
  readonly protocol: string
  readonly host: string
  readonly userAgent: string
}

// A template with one test for each text costs a third of JSON.stringify (bench/README.md).
const special = /["\\\x00-\x1f\x7f-\uffff]/
const text = (value: string): string => (special.test(value) ? escaped(value) : `"${value}"`)
/** ASCII alone: lines are written octet by octet. */
const escaped = (value: string): string => JSON.stringify(value).replace(/[\x7f-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
/** Milliseconds with three decimals: from whole numbers, whose texts V8 keeps, where a fraction's has to be computed. */
function thousandths(ms: number): string {
  const microseconds = Math.round(ms * 1000)
  const whole = Math.floor(microseconds / 1000)
  const rest = microseconds - whole * 1000
  return `${whole}.${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}`
}

/**
 * The members that tell of the client. Only what may hold a character that JSON writes otherwise is tested for it: addresses are
 * addresses, and a host was parsed.
 */
export const clientText = ({ client, peer, scheme, protocol, host, userAgent }: LoggedClient): string =>
  `"client":"${client}",${peer === client ? '' : `"peer":"${peer}",`}"protocol":"${protocol}","scheme":"${scheme}","host":"${host}","user_agent":${text(userAgent)}`

/** The members that tell of the route: '' and '' when none took the request. */
export const routeText = (service: string, router: string): string => `"service":${text(service)},"router":${text(router)}`

/** The line, with its end. `time` is ISO 8601; a method is a token, and an endpoint an address. */
export function accessLine(record: AccessRecord, time: string): string {
  const { query, reason, failure, tried, upstreamMs } = record
  return (
    `{"time":"${time}",${record.from},"method":"${record.method}","path":${text(record.path)}` +
    (query === '' ? '' : `,"query":${text(redacted(query))}`) +
    `,"status":${record.status}${grpcText(record.grpcStatus)}` +
    (reason === '' ? '' : `,"reason":${text(reason)}`) +
    (failure === '' ? '' : `,"failure":${text(failure)}`) +
    `,"duration_ms":${thousandths(record.durationMs)}` +
    (upstreamMs < 0 ? '' : `,"upstream_ms":${thousandths(upstreamMs)}`) +
    `,"bytes_in":${record.bytesIn},"bytes_out":${record.bytesOut},${record.to},"endpoint":"${record.endpoint}"` +
    (tried.length === 0 ? '' : `,"tried":["${tried.join('","')}"]`) +
    `,"request_id":${text(record.requestId)}}\n`
  )
}

const grpcText = (status: number): string =>
  status === NOT_GRPC || status === NO_STATUS ? '' : `,"grpc_status":${status === OTHER_STATUS ? -1 : status}`

/** Names stay, values go: they hold tokens and personal data. */
const redacted = (query: string): string => query.slice(1).replace(/=[^&;]*/g, '=*')
