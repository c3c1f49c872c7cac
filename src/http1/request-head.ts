// The head of a request: strict parse of RFC 9112 sections 2, 3 and 6, in one pass over the text.
import { createClassifier, FieldScanner, fieldValue, listMembers, parseLength, readsAs, tokenChar, withoutFields } from './fields.ts'
import { parseAuthority } from './authority.ts'

/** Why a head is refused, and the status that says so. The text goes to the access log, never to the client. */
export interface HeadFault {
  readonly status: 400 | 405 | 414 | 431 | 501 | 505 | 508
  readonly reason: string
}

export interface RequestHeadLimits {
  readonly headers: number
  /** `Via` with this pseudonym has passed through us before. */
  readonly via: string
}

export interface RequestHead {
  readonly method: string
  /** As sent, without the query; `*` for OPTIONS in asterisk form. */
  readonly rawPath: string
  /** '' or from the `?` on. */
  readonly query: string
  /** Lower case, no port, no trailing dot; '' when an HTTP/1.0 request names none. */
  readonly host: string
  /** Host and port as the client wrote them. */
  readonly authority: string
  /** 0 or 1: the digit after `HTTP/1.`; 1 for HTTP/2, which has all that HTTP/1.1 has. */
  readonly minor: 0 | 1
  readonly version: '1.0' | '1.1' | '2.0'
  /** The client takes no further response on this connection. */
  readonly close: boolean
  /** Octets of the body; -1 when it is chunked. */
  readonly contentLength: number
  readonly expectContinue: boolean
  /** Lower-case value of `Upgrade` when `Connection` announces it, else ''. */
  readonly upgrade: string
  readonly acceptsTrailers: boolean
  /** `fields` has no Host line: the target named the authority, or the request none. */
  readonly ownHost: boolean
  /** As sent; '' when not. For the access log. */
  readonly userAgent: string
  /** Lines that go on as they are, each with its CRLF: hop-by-hop, framing and forwarding fields are not among them. */
  readonly fields: string
  /** What the client says about those before it; only trusted peers are believed. */
  readonly forwarding: string
  /** All lines as they came; `parseRequestHead` compares the next head's with it. '' in HTTP/2. */
  readonly block: string
}

// What a field is to us.
export const KEEP = 0
export const HOST = 1
const CONNECTION = 2
export const LENGTH = 3
const CODING = 4
export const EXPECT = 5
const UPGRADE = 6
export const TE = 7
export const VIA = 8
export const FORWARDING = 9
export const DROP = 10
export const AGENT = 11

const names: Readonly<Record<string, number>> = {
  host: HOST,
  connection: CONNECTION,
  'content-length': LENGTH,
  'transfer-encoding': CODING,
  expect: EXPECT,
  upgrade: UPGRADE,
  te: TE,
  'user-agent': AGENT,
  via: VIA,
  forwarded: FORWARDING,
  'x-forwarded-for': FORWARDING,
  'x-forwarded-host': FORWARDING,
  'x-forwarded-port': FORWARDING,
  'x-forwarded-proto': FORWARDING,
  'x-forwarded-prefix': FORWARDING,
  'x-forwarded-server': FORWARDING,
  'x-real-ip': FORWARDING,
  'x-request-id': FORWARDING,
  'serai-debug': FORWARDING,
  'keep-alive': DROP,
  'proxy-connection': DROP,
  'proxy-authorization': DROP,
  'proxy-authenticate': DROP,
  'http2-settings': DROP,
  'x-forwarded-tls-client-subject': DROP, // what we verified ourselves, from nobody else: balancers pass on what they do not know
  // Names by which some servers learn of TLS, or of another path than the one that was matched.
  'front-end-https': DROP,
  'x-url-scheme': DROP,
  'x-original-url': DROP,
  'x-rewrite-url': DROP,
  proxy: DROP, // CGI programs would take it for their HTTP_PROXY variable
}
const classify = createClassifier(names)

const fault = (status: HeadFault['status'], reason: string): HeadFault => ({ status, reason })

/** Whether a result of `parseRequestHead` is a refusal. */
export const isFault = (result: RequestHead | HeadFault): result is HeadFault => 'reason' in result

/**
 * Parses a head: `text` is latin1, from the request line up to and with the CRLF of the last field, without the empty line.
 * Everything RFC 9112 lets a recipient repair is refused instead: what we repaired, the upstream might read differently.
 * `earlier` is the connection's last head: clients that repeat all of its fields need not have them read again (bench/README.md).
 */
export function parseRequestHead(text: string, limits: RequestHeadLimits, earlier?: RequestHead): RequestHead | HeadFault {
  const lineEnd = text.indexOf('\r\n')
  const methodEnd = text.indexOf(' ')
  if (methodEnd <= 0 || methodEnd > lineEnd) return fault(400, 'bad request line')
  const targetEnd = lineEnd - 9 // ` HTTP/1.1`
  if (targetEnd <= methodEnd + 1 || text.charCodeAt(targetEnd) !== 0x20 || !text.startsWith('HTTP/', targetEnd + 1)) return badLine(text.slice(0, lineEnd))
  const version = text.slice(targetEnd + 6, lineEnd)
  if (version !== '1.1' && version !== '1.0') return /^[0-9]\.[0-9]$/.test(version) ? fault(505, 'HTTP version') : fault(400, 'bad request line')
  for (let at = 0; at < methodEnd; at++) if (tokenChar[text.charCodeAt(at)] === 0) return fault(400, 'bad method')
  if (methodEnd > 32) return fault(501, 'method too long')
  for (let at = methodEnd + 1; at < targetEnd; at++) {
    const code = text.charCodeAt(at)
    if (code <= 0x20 || code >= 0x7f || code === 0x23) return fault(400, 'bad character in the target')
  }
  const method = text.slice(0, methodEnd)
  if (method === 'CONNECT' || method === 'TRACE') return fault(405, `method ${method}`)
  const minor = version === '1.1' ? 1 : 0
  const block = text.slice(lineEnd + 2)
  // What the fields mean depends on the version, and on an authority in the target, but on nothing else of the request line.
  if (earlier !== undefined && earlier.block === block && earlier.minor === minor && !earlier.ownHost && text.charCodeAt(methodEnd + 1) === 0x2f) {
    const origin = text.slice(methodEnd + 1, targetEnd)
    const queryAt = origin.indexOf('?')
    return { ...earlier, method, rawPath: queryAt < 0 ? origin : origin.slice(0, queryAt), query: queryAt < 0 ? '' : origin.slice(queryAt) }
  }

  let host: string | undefined
  let connection = ''
  let length: string | undefined
  let coding: string | undefined
  let expect: string | undefined
  let upgrade = ''
  let te = ''
  let userAgent = ''
  let forwarding = ''
  let fields = ''
  let keptFrom = lineEnd + 2
  const scanner = new FieldScanner(text, keptFrom, limits.headers)
  while (scanner.next()) {
    let kind = classify(text, scanner.lineStart, scanner.nameEnd)
    if (kind === KEEP) {
      if (scanner.unusual) kind = kindOfField(scanner.name())
      else if (isForwarded(text, scanner.lineStart, scanner.nameEnd)) kind = FORWARDING
      if (kind === KEEP) continue
    }
    switch (kind) {
      case HOST:
        if (host !== undefined) return fault(400, 'Host repeated')
        host = scanner.value()
        continue
      case VIA:
        if (scanner.value().includes(limits.via)) return fault(508, 'loop: Via names this proxy')
        continue
      case AGENT:
        userAgent = scanner.value()
        continue
      case CONNECTION:
        connection = connection === '' ? scanner.value() : `${connection},${scanner.value()}`
        break
      case LENGTH:
        if (length !== undefined) return fault(400, 'Content-Length repeated')
        length = scanner.value()
        break
      case CODING:
        if (coding !== undefined) return fault(400, 'Transfer-Encoding repeated')
        coding = scanner.value()
        break
      case EXPECT:
        expect = expect === undefined ? scanner.value() : `${expect},${scanner.value()}`
        break
      case UPGRADE:
        upgrade = scanner.value()
        break
      case TE:
        te = te === '' ? scanner.value() : `${te},${scanner.value()}`
        break
      case FORWARDING:
        forwarding += text.slice(scanner.lineStart, scanner.lineEnd)
        break
      default:
        break
    }
    if (scanner.lineStart > keptFrom) fields += text.slice(keptFrom, scanner.lineStart)
    keptFrom = scanner.lineEnd
  }
  if (scanner.fault !== '') return fault(scanner.fault === 'too many fields' ? 431 : 400, scanner.fault)
  fields = keptFrom === lineEnd + 2 ? text.slice(keptFrom) : fields + text.slice(keptFrom)

  const contentLength = framing(length, coding, minor)
  if (typeof contentLength !== 'number') return contentLength
  const options = connection === '' ? [] : listMembers(connection)
  const named = options.filter((option) => option !== 'close' && option !== 'keep-alive' && option !== 'upgrade' && option !== 'te' && option !== 'host')
  if (named.length > 0) fields = withoutFields(fields, new Set(named))
  if (expect !== undefined && expect.toLowerCase() !== '100-continue') return fault(400, 'unknown expectation')

  const target = text.slice(methodEnd + 1, targetEnd)
  const located = locate(method, target, host, minor)
  if ('reason' in located) return located
  const origin = located.origin
  const queryAt = origin.indexOf('?')
  return {
    method,
    rawPath: queryAt < 0 ? origin : origin.slice(0, queryAt),
    query: queryAt < 0 ? '' : origin.slice(queryAt),
    host: located.host,
    authority: located.authority,
    minor,
    version,
    close: options.includes('close') || (minor === 0 && !options.includes('keep-alive')),
    contentLength,
    expectContinue: expect !== undefined && minor === 1 && contentLength !== 0,
    upgrade: upgrade !== '' && minor === 1 && options.includes('upgrade') ? upgrade.toLowerCase() : '',
    acceptsTrailers: te !== '' && listMembers(te).includes('trailers'),
    ownHost: located.ownHost,
    userAgent,
    fields: located.ownHost ? withoutFields(fields, hostOnly) : fields,
    forwarding,
    block,
  }
}

/** What a field of this lower-case name is to us, whatever protocol it came by. One that only reads as a name that we know is nobody's: it is dropped. */
export function kindOfField(name: string): number {
  if (Object.hasOwn(names, name)) return names[name]!
  const read = readsAs(name)
  if (read !== name && Object.hasOwn(names, read)) return DROP
  if (!isForwarded(read, 0, read.length)) return KEEP
  return read === name ? FORWARDING : DROP
}

const hostOnly: ReadonlySet<string> = new Set(['host'])

/** `X-Forwarded-Ssl` and whatever else somebody reads: the whole family is about who was before us. */
const isForwarded = (text: string, from: number, to: number): boolean =>
  to - from > 12 && (text.charCodeAt(from) | 0x20) === 0x78 && text.slice(from, from + 12).toLowerCase() === 'x-forwarded-'

function badLine(line: string): HeadFault {
  const version = / HTTP\/([0-9]+\.[0-9]+)$/.exec(line)?.[1]
  return version !== undefined && version !== '1.1' && version !== '1.0' ? fault(505, 'HTTP version') : fault(400, 'bad request line')
}

/** The body's length (RFC 9112 6.3); -1 for chunked. */
function framing(length: string | undefined, coding: string | undefined, minor: number): number | HeadFault {
  if (coding !== undefined) {
    if (length !== undefined) return fault(400, 'Content-Length and Transfer-Encoding')
    if (minor === 0) return fault(400, 'Transfer-Encoding in HTTP/1.0')
    if (coding.toLowerCase() === 'chunked') return -1
    const codings = listMembers(coding)
    const known = codings.every((name) => tokenOnly.test(name))
    return known && codings.length > 0 && !codings.includes('chunked') ? fault(501, 'unknown transfer coding') : fault(400, 'Transfer-Encoding is not just chunked')
  }
  if (length === undefined) return 0
  const value = parseLength(length)
  return value < 0 ? fault(400, 'malformed Content-Length') : value
}

const tokenOnly = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/

interface Located {
  readonly origin: string
  readonly host: string
  readonly authority: string
  /** The Host line is not the one to send on. */
  readonly ownHost: boolean
}

/** Where the request wants to go (RFC 9112 3.2, 3.3). */
function locate(method: string, target: string, host: string | undefined, minor: number): Located | HeadFault {
  if (host === undefined && minor === 1) return fault(400, 'Host missing')
  const named = host === undefined ? undefined : parseAuthority(host)
  if (host !== undefined && named === undefined) return fault(400, 'invalid Host')
  const byHost = { host: named?.host ?? '', authority: host ?? '', ownHost: host === undefined }
  if (target.charCodeAt(0) === 0x2f) return { origin: target, ...byHost }
  if (target === '*') return method === 'OPTIONS' ? { origin: '*', ...byHost } : fault(400, 'asterisk form is for OPTIONS')
  const absolute = /^http(s?):\/\/([^/?]*)(.*)$/i.exec(target)
  if (absolute === null) return fault(400, 'bad target')
  const authority = absolute[2]!
  const parsed = parseAuthority(authority)
  if (parsed === undefined) return fault(400, 'invalid authority in the target')
  const usual = absolute[1] === '' ? 80 : 443
  if (named !== undefined && (named.host !== parsed.host || Number(named.port || usual) !== Number(parsed.port || usual))) return fault(400, 'Host differs from the target')
  const rest = absolute[3]!
  // RFC 9112 3.2.4: without a path, OPTIONS asks about the server itself.
  const origin = rest === '' && method === 'OPTIONS' ? '*' : rest.startsWith('/') ? rest : `/${rest}`
  return { origin, host: parsed.host, authority, ownHost: true }
}

/** What a trusted peer said in one of the forwarding fields. */
export const forwardedValue = (head: RequestHead, lowerName: string): string | undefined => (head.forwarding === '' ? undefined : fieldValue(head.forwarding, lowerName))
