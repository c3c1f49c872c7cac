// One line of the access log: JSON whose field names are a contract (docs/access-log.md).

/** What is known of one exchange when it is over. Times in milliseconds. */
export interface AccessRecord {
  readonly durationMs: number
  /** Until the response head came; -1 when none did. */
  readonly upstreamMs: number
  /** The rightmost untrusted address. */
  readonly client: string
  /** The other end of the connection. */
  readonly peer: string
  readonly scheme: string
  readonly method: string
  readonly host: string
  readonly path: string
  readonly query: string
  readonly protocol: string
  readonly status: number
  /** Why it did not go as it should; '' when it did. */
  readonly reason: string
  readonly bytesIn: number
  readonly bytesOut: number
  readonly service: string
  readonly router: string
  readonly endpoint: string
  /** Endpoints that failed before `endpoint` was asked. */
  readonly tried: readonly string[]
  readonly requestId: string
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
 * The line, with its end. `time` is ISO 8601. Only what may hold a character that JSON writes otherwise is tested for it: addresses are
 * addresses, a method is a token, and a host was parsed.
 */
export function accessLine(record: AccessRecord, time: string): string {
  const { query, reason, tried, upstreamMs } = record
  return (
    `{"time":"${time}","client":"${record.client}","method":"${record.method}","host":"${record.host}","path":${text(record.path)}` +
    (query === '' ? '' : `,"query":${text(redacted(query))}`) +
    `,"protocol":"${record.protocol}","scheme":"${record.scheme}","status":${record.status}` +
    (reason === '' ? '' : `,"reason":${text(reason)}`) +
    `,"duration_ms":${thousandths(record.durationMs)}` +
    (upstreamMs < 0 ? '' : `,"upstream_ms":${thousandths(upstreamMs)}`) +
    `,"bytes_in":${record.bytesIn},"bytes_out":${record.bytesOut},"service":${text(record.service)},"router":${text(record.router)},"endpoint":"${record.endpoint}"` +
    (tried.length === 0 ? '' : `,"tried":["${tried.join('","')}"]`) +
    (record.peer === record.client ? '' : `,"peer":"${record.peer}"`) +
    `,"request_id":${text(record.requestId)},"user_agent":${text(record.userAgent)}}\n`
  )
}

/** Names stay, values go: they hold tokens and personal data. */
const redacted = (query: string): string => query.slice(1).replace(/=[^&;]*/g, '=*')
