// The head of a response: strict parse of RFC 9112 section 4 and 6; what is ambiguous is refused, for it may hide another response.
import { CHUNKED, UNTIL_CLOSE } from './body.ts'
import { createClassifier, FieldScanner, listMembers, parseLength, withoutFields } from './fields.ts'

export interface ResponseHead {
  readonly status: number
  readonly reason: string
  /** Octets of the body, `CHUNKED` or `UNTIL_CLOSE`. */
  readonly contentLength: number
  /** The value of Content-Length where it announces no body (HEAD, 304); '' otherwise. */
  readonly announcedLength: string
  /** The upstream takes no further request on this connection. */
  readonly close: boolean
  /** Seconds of `Keep-Alive: timeout=N`; -1 when not said. */
  readonly keepAliveSeconds: number
  /** Lower-case value of `Upgrade` when `Connection` announces it. */
  readonly upgrade: string
  readonly hasDate: boolean
  /** Lines that go on as they are, each with its CRLF; no hop-by-hop and no framing fields. */
  readonly fields: string
}

const KEEP = 0
const CONNECTION = 1
const LENGTH = 2
const CODING = 3
const UPGRADE = 4
const KEEP_ALIVE = 5
const DATE = 6
const DROP = 7
const classify = createClassifier({
  connection: CONNECTION,
  'content-length': LENGTH,
  'transfer-encoding': CODING,
  upgrade: UPGRADE,
  'keep-alive': KEEP_ALIVE,
  date: DATE,
  'proxy-connection': DROP,
  'proxy-authenticate': DROP,
  'proxy-authentication-info': DROP,
  te: DROP,
})

/** Fields of one response; more are refused like anything without a bound. */
const MAX_FIELDS = 200

/**
 * Parses a head: `text` is latin1, up to and with the CRLF of the last field, without the empty line.
 * `method` is that of the request. Returns the reason when it is refused.
 */
export function parseResponseHead(text: string, method: string): ResponseHead | string {
  const lineEnd = text.indexOf('\r\n')
  if (!text.startsWith('HTTP/1.') || lineEnd < 12) return 'bad status line'
  const minor = text.charCodeAt(7) - 0x30
  if ((minor !== 0 && minor !== 1) || text.charCodeAt(8) !== 0x20) return 'bad status line'
  const hundreds = text.charCodeAt(9) - 0x30
  const tens = text.charCodeAt(10) - 0x30
  const ones = text.charCodeAt(11) - 0x30
  if (hundreds < 1 || hundreds > 9 || tens < 0 || tens > 9 || ones < 0 || ones > 9) return 'bad status code'
  if (lineEnd > 12 && text.charCodeAt(12) !== 0x20) return 'bad status line'
  for (let at = 13; at < lineEnd; at++) {
    const code = text.charCodeAt(at)
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return 'bad reason phrase'
  }
  const status = hundreds * 100 + tens * 10 + ones

  let connection = ''
  let length: string | undefined
  let chunked = false
  let upgrade = ''
  let keepAliveSeconds = -1
  let hasDate = false
  let fields = ''
  let keptFrom = lineEnd + 2
  const scanner = new FieldScanner(text, keptFrom, MAX_FIELDS)
  while (scanner.next()) {
    switch (classify(text, scanner.lineStart, scanner.nameEnd)) {
      case KEEP:
        continue
      case DATE:
        hasDate = true
        continue
      case CONNECTION:
        connection = connection === '' ? scanner.value() : `${connection},${scanner.value()}`
        break
      case LENGTH:
        if (length !== undefined) return 'Content-Length repeated'
        length = scanner.value()
        break
      case CODING:
        if (chunked || scanner.value().toLowerCase() !== 'chunked') return 'Transfer-Encoding is not just chunked'
        if (minor === 0) return 'Transfer-Encoding in HTTP/1.0'
        chunked = true
        break
      case UPGRADE:
        upgrade = scanner.value().toLowerCase()
        break
      case KEEP_ALIVE:
        keepAliveSeconds = timeoutOf(scanner.value())
        break
      default:
        break
    }
    if (scanner.lineStart > keptFrom) fields += text.slice(keptFrom, scanner.lineStart)
    keptFrom = scanner.lineEnd
  }
  if (scanner.fault !== '') return scanner.fault
  fields = keptFrom === lineEnd + 2 ? text.slice(keptFrom) : fields + text.slice(keptFrom)

  if (chunked && length !== undefined) return 'Content-Length and Transfer-Encoding'
  const declared = length === undefined ? -1 : parseLength(length)
  if (length !== undefined && declared < 0) return 'malformed Content-Length'
  const options = connection === '' ? noOptions : listMembers(connection)
  const named = options.filter((option) => option !== 'close' && option !== 'keep-alive' && option !== 'upgrade')
  if (named.length > 0) fields = withoutFields(fields, new Set(named))

  const bodiless = method === 'HEAD' || status === 304 || status === 204 || status < 200
  if (status === 204 || status < 200) length = undefined // RFC 9110 8.6: not there, and some servers send it
  return {
    status,
    reason: lineEnd > 13 ? text.slice(13, lineEnd) : '',
    contentLength: bodiless ? 0 : chunked ? CHUNKED : length === undefined ? UNTIL_CLOSE : declared,
    announcedLength: bodiless && length !== undefined ? length : '',
    close: minor === 0 ? !options.includes('keep-alive') : options.includes('close'),
    keepAliveSeconds,
    upgrade: upgrade !== '' && options.includes('upgrade') ? upgrade : '',
    hasDate,
    fields,
  }
}

const noOptions: readonly string[] = []

function timeoutOf(value: string): number {
  const seconds = /(?:^|[,\s])timeout\s*=\s*"?([0-9]{1,6})/i.exec(value)
  return seconds === null ? -1 : Number(seconds[1])
}
