// The header block of a request as the head that every protocol's requests become (RFC 9113 sections 8.2, 8.3, 8.5; RFC 8441).
import { parseAuthority } from '#src/http1/authority.ts'
import { CHUNKED } from '#src/http1/body.ts'
import { forbiddenTrailer } from '#src/http1/chunked.ts'
import { parseLength, tokenChar } from '#src/http1/fields.ts'
import { AGENT, DROP, EXPECT, FORWARDING, HOST, KEEP, kindOfField, LENGTH, TE, VIA, type HeadFault, type RequestHead } from '#src/http1/request-head.ts'
import { BAD, type Field, type KindOf } from './field.ts'
import { staticFields } from './hpack-decoder.ts'

// Kinds beside those that HTTP/1.1 has too.
const METHOD = 20
const SCHEME = 21
const AUTHORITY = 22
const PATH = 23
const PROTOCOL = 24
const COOKIE = 25
const PRIORITY = 26

const own: Readonly<Record<string, number>> = {
  ':method': METHOD, ':scheme': SCHEME, ':authority': AUTHORITY, ':path': PATH, ':protocol': PROTOCOL, cookie: COOKIE, priority: PRIORITY,
  // They belong to HTTP/1.1 connections (RFC 9113 8.2.2).
  connection: BAD, 'keep-alive': BAD, 'proxy-connection': BAD, 'transfer-encoding': BAD, upgrade: BAD,
}

/** What a field of a request is to us. */
export const kindOfRequestField: KindOf = (name) => own[name] ?? (name.startsWith(':') ? BAD : kindOfField(name))

/** The table that decoders of requests begin with. */
export const requestFields: readonly Field[] = staticFields(kindOfRequestField)

/** A head, and what of it only HTTP/2 has. */
export interface Http2Request {
  readonly head: RequestHead
  /** The value of `priority`, or ''. */
  readonly priority: string
  /** It is an extended CONNECT: the answer is 200 and a tunnel, or no tunnel. */
  readonly connect: boolean
}

/** The request is malformed: its stream is reset with PROTOCOL_ERROR (RFC 9113 8.1.1). The text goes to the access log. */
export interface Malformed {
  readonly malformed: string
}

const malformed = (reason: string): Malformed => ({ malformed: reason })
const fault = (status: HeadFault['status'], reason: string): HeadFault => ({ status, reason })

/** RFC 3986 3.1. */
const schemeName = /^[a-z][a-z0-9+.-]*$/i

/**
 * Reads the first `count` fields. `end`: no body follows. `via` is our pseudonym; `key` makes the Sec-WebSocket-Key that an extended CONNECT
 * needs where it goes on over HTTP/1.1.
 */
export function readRequest(fields: readonly Field[], count: number, end: boolean, via: string, key: () => string): Http2Request | HeadFault | Malformed {
  let method: string | undefined
  let scheme: string | undefined
  let authority: string | undefined
  let path: string | undefined
  let protocol: string | undefined
  let host: string | undefined
  let length = -1
  let expect = false
  let te = false
  let userAgent = ''
  let priority = ''
  let cookie = ''
  let forwarding = ''
  let lines = ''
  let regular = false
  for (let at = 0; at < count; at++) {
    const field = fields[at]!
    const { kind, value } = field
    if (kind === KEEP) {
      lines += field.line
      regular = true
      continue
    }
    if (kind >= METHOD && kind <= PROTOCOL) {
      if (regular) return malformed('a pseudo-header field behind others')
      if (kind === METHOD && method === undefined) method = value
      else if (kind === PATH && path === undefined) path = value
      else if (kind === SCHEME && scheme === undefined) scheme = value
      else if (kind === AUTHORITY && authority === undefined) authority = value
      else if (kind === PROTOCOL && protocol === undefined) protocol = value
      else return malformed('a pseudo-header field repeated')
      continue
    }
    regular = true
    switch (kind) {
      case AGENT:
        userAgent = value
        lines += field.line
        break
      case COOKIE: // one field again (RFC 9113 8.2.3)
        cookie = cookie === '' ? value : `${cookie}; ${value}`
        break
      case FORWARDING:
        forwarding += field.line
        break
      case LENGTH:
        if (length >= 0) return malformed('content-length repeated')
        length = parseLength(value)
        if (length < 0) return malformed('malformed content-length')
        break
      case HOST:
        if (host !== undefined) return malformed('host repeated')
        host = value
        break
      case TE:
        if (value.toLowerCase() !== 'trailers') return malformed('te other than trailers')
        te = true
        break
      case EXPECT:
        if (value.toLowerCase() !== '100-continue') return fault(400, 'unknown expectation')
        expect = true
        break
      case VIA:
        if (value.includes(via)) return fault(508, 'loop: Via names this proxy')
        lines += field.line
        break
      case PRIORITY:
        priority = value
        lines += field.line
        break
      case DROP:
        break
      default:
        return malformed(`field ${field.name.slice(0, 40)} is malformed or of another protocol`)
    }
  }
  if (method === undefined || method === '') return malformed('no :method')
  const connect = method === 'CONNECT'
  if (protocol !== undefined && (!connect || protocol === '')) return malformed(connect ? 'no :protocol' : ':protocol without CONNECT')
  if (connect && protocol === undefined) return scheme === undefined && path === undefined ? fault(405, 'method CONNECT') : malformed('CONNECT with :scheme or :path')
  if (scheme === undefined || path === undefined || path === '') return malformed(scheme === undefined ? 'no :scheme' : 'no :path')
  if (scheme !== 'https' && scheme !== 'http' && !schemeName.test(scheme)) return malformed('malformed :scheme')
  if (end && length > 0) return malformed('content-length without a body')
  const wrong = checkLine(method, path)
  if (wrong !== undefined) return wrong
  const named = authority ?? host
  if (named === undefined) return fault(400, 'no authority')
  const parsed = parseAuthority(named)
  if (parsed === undefined) return fault(400, 'invalid authority')
  if (authority !== undefined && host !== undefined && !sameAuthority(parsed, host, scheme)) return fault(400, 'host differs from :authority')
  if (cookie !== '') lines += `cookie: ${cookie}\r\n`
  const upgrade = protocol === undefined ? '' : protocol.toLowerCase()
  if (upgrade === 'websocket') lines += `Sec-WebSocket-Key: ${key()}\r\n`
  const queryAt = path.indexOf('?')
  return {
    head: {
      method: connect ? 'GET' : method,
      rawPath: queryAt < 0 ? path : path.slice(0, queryAt),
      query: queryAt < 0 ? '' : path.slice(queryAt),
      host: parsed.host,
      authority: named,
      minor: 1,
      version: '2.0',
      close: false,
      contentLength: end || connect ? 0 : length >= 0 ? length : CHUNKED,
      expectContinue: expect && !end,
      upgrade,
      acceptsTrailers: te,
      ownHost: true,
      userAgent,
      fields: lines,
      forwarding,
      block: '',
    },
    priority,
    connect,
  }
}

/** What the start line of HTTP/1.1 has to be able to carry: a space or a control in it would be smuggling one hop on. */
function checkLine(method: string, path: string): HeadFault | undefined {
  for (let at = 0; at < method.length; at++) if (tokenChar[method.charCodeAt(at)] === 0) return fault(400, 'bad method')
  if (method.length > 32) return fault(501, 'method too long')
  if (method === 'TRACE') return fault(405, 'method TRACE')
  for (let at = 0; at < path.length; at++) {
    const code = path.charCodeAt(at)
    if (code <= 0x20 || code >= 0x7f || code === 0x23) return fault(400, 'bad character in the target')
  }
  if (path.charCodeAt(0) === 0x2f) return undefined
  return path === '*' && method === 'OPTIONS' ? undefined : fault(400, 'bad target')
}

/** RFC 9113 8.3.1: a host field has to say the same as `:authority`. */
function sameAuthority(parsed: { readonly host: string; readonly port: string }, host: string, scheme: string): boolean {
  const other = parseAuthority(host)
  const usual = scheme === 'https' ? '443' : '80'
  return other !== undefined && other.host === parsed.host && (other.port || usual) === (parsed.port || usual)
}

/** The lines of a block of trailers that may go on; undefined when it is malformed. For both directions. */
export function readTrailers(fields: readonly Field[], count: number): string | undefined {
  let lines = ''
  for (let at = 0; at < count; at++) {
    const field = fields[at]!
    if (field.kind === BAD || field.name.startsWith(':')) return undefined
    if (!forbiddenTrailer(field.name)) lines += field.line
  }
  return lines
}
