// A second reader of HTTP/1.1, slow and obvious, written from RFC 9112 alone: what src/http1 must agree with on every input.
import { isIPv6 } from 'node:net'

/** What stands at a place of a stream (octets as latin1). Offsets are absolute. */
export type Verdict =
  /** It may become a message. */
  | { readonly kind: 'incomplete' }
  /** It can never be one. */
  | { readonly kind: 'rejected'; readonly why: string }
  | Message

export interface Message {
  readonly kind: 'message'
  /** First octet behind it. */
  readonly end: number
  readonly method: string
  /** The target without scheme and authority. */
  readonly origin: string
  readonly body: string
  /** Nothing that follows on this connection is a request. */
  readonly close: boolean
}

export interface Bounds {
  readonly headBytes: number
  readonly headers: number
}

const incomplete: Verdict = { kind: 'incomplete' }
const rejected = (why: string): Verdict => ({ kind: 'rejected', why })

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/
const EXTENSION_OCTETS = 4096
const TRAILER_OCTETS = 16_384
const TRAILER_FIELDS = 64

/** Reads every message of a stream, up to the first that is not whole, or that ends the connection. */
export function readStream(stream: string, bounds: Bounds): { readonly messages: readonly Message[]; readonly last: 'end' | 'closed' | 'incomplete' | 'rejected'; readonly why: string } {
  const messages: Message[] = []
  for (let at = 0; !/^(\r\n){0,2}$/.test(stream.slice(at));) {
    const verdict = readRequest(stream, at, bounds)
    if (verdict.kind !== 'message') return { messages, last: verdict.kind, why: verdict.kind === 'rejected' ? verdict.why : '' }
    messages.push(verdict)
    if (verdict.close) return { messages, last: 'closed', why: '' }
    at = verdict.end
  }
  return { messages, last: 'end', why: '' }
}

function readRequest(stream: string, start: number, bounds: Bounds): Verdict {
  let rest = stream.slice(start)
  for (let empty = 0; rest.startsWith('\r\n'); empty++) {
    if (empty === 2) return rejected('a third empty line')
    rest = rest.slice(2)
  }
  const headEnd = rest.indexOf('\r\n\r\n')
  if (headEnd < 0) {
    if (rest.startsWith('\x16')) return rejected('a TLS handshake, which never has the end of a head')
    if (rest.length >= bounds.headBytes) return rejected('head too large')
    return /(^|[^\r])\n/.test(rest) ? rejected('bare LF') : incomplete
  }
  if (headEnd + 4 > bounds.headBytes) return rejected('head too large')
  const [requestLine = '', ...lines] = rest.slice(0, headEnd).split('\r\n')
  // 3: request-line = method SP request-target SP HTTP-version
  const parts = requestLine.split(' ')
  const [method = '', target = '', version] = parts
  if (parts.length !== 3 || !token.test(method) || method.length > 32) return rejected('request line')
  if (version !== 'HTTP/1.1' && version !== 'HTTP/1.0') return rejected('version')
  if (!/^[\x21-\x7e]+$/.test(target) || target.includes('#')) return rejected('target')
  if (method === 'CONNECT' || method === 'TRACE') return rejected('method')
  const fields = readFields(lines)
  if (fields === undefined || fields.length > bounds.headers) return rejected('fields')
  const all = (name: string): string[] => fields.filter(([each]) => each === name).map(([, value]) => value)
  // 3.2: Host
  const hosts = all('host')
  if (hosts.length > 1 || (hosts.length === 0 && version === 'HTTP/1.1')) return rejected('number of Hosts')
  const host = hosts[0] === undefined ? undefined : readAuthority(hosts[0])
  if (hosts.length === 1 && host === undefined) return rejected('Host')
  // 3.2: forms of the target
  let origin = target
  if (target === '*') {
    if (method !== 'OPTIONS') return rejected('asterisk form')
  } else if (!target.startsWith('/')) {
    const scheme = /^https?:\/\//i.exec(target)?.[0]
    if (scheme === undefined) return rejected('form of the target')
    const afterScheme = target.slice(scheme.length)
    const authorityText = afterScheme.split(/[/?]/)[0] ?? ''
    const authority = readAuthority(authorityText)
    if (authority === undefined) return rejected('authority')
    const usual = scheme.length === 'https://'.length ? 443 : 80
    if (host !== undefined && (host.name !== authority.name || (host.port ?? usual) !== (authority.port ?? usual))) return rejected('Host is not the authority')
    origin = afterScheme.slice(authorityText.length)
    if (origin === '' && method === 'OPTIONS') origin = '*'
    else if (!origin.startsWith('/')) origin = `/${origin}`
  }
  // RFC 9110 10.1.1
  const expectations = all('expect')
  if (expectations.length > 1 || expectations.some((value) => value.toLowerCase() !== '100-continue')) return rejected('expectation')
  // 9.3: persistence
  const options = all('connection').join(',').split(',').map((option) => option.trim().toLowerCase())
  const close = options.includes('close') || (version === 'HTTP/1.0' && !options.includes('keep-alive'))
  // 6.3: length
  const lengths = all('content-length')
  const codings = all('transfer-encoding')
  const bodyAt = stream.length - rest.length + headEnd + 4
  const done = (end: number, body: string): Message => ({ kind: 'message', end, method, origin, body, close })
  if (codings.length > 0) {
    if (lengths.length > 0 || codings.length > 1 || version === 'HTTP/1.0' || codings[0]!.toLowerCase() !== 'chunked') return rejected('Transfer-Encoding')
    const body = readChunked(stream.slice(bodyAt))
    return 'kind' in body ? body : done(bodyAt + body.size, body.data)
  }
  if (lengths.length === 0) return done(bodyAt, '')
  if (lengths.length > 1 || !/^[0-9]{1,15}$/.test(lengths[0]!)) return rejected('Content-Length')
  const length = Number.parseInt(lengths[0]!, 10)
  return stream.length < bodyAt + length ? incomplete : done(bodyAt + length, stream.slice(bodyAt, bodyAt + length))
}

/** 5: names in lower case, values without the white space around them; undefined when a line is no field. */
export function readFields(lines: readonly string[]): (readonly [name: string, value: string])[] | undefined {
  const fields: (readonly [string, string])[] = []
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(0, colon))
    const value = line.slice(colon + 1).replace(/^[ \t]+/, '').replace(/[ \t]+$/, '')
    if (colon < 0 || !token.test(name) || !fieldValue.test(value)) return undefined
    fields.push([name.toLowerCase(), value])
  }
  return fields
}

/** uri-host [ ":" port ]: names of letters, digits, dots, dashes and underscores, without empty labels but for the root; or a literal IPv6. */
export function readAuthority(text: string): { readonly name: string; readonly port: number | undefined } | undefined {
  const hasPort = /:([0-9]{0,5})$/.exec(text)
  const literal = text.startsWith('[')
  const host = hasPort === null ? text : text.slice(0, hasPort.index)
  const port = hasPort === null || hasPort[1] === '' ? undefined : Number(hasPort[1])
  if (port !== undefined && port > 65_535) return undefined
  if (literal) return host.endsWith(']') && isIPv6(host.slice(1, -1)) && !host.includes('%') ? { name: host.toLowerCase(), port } : undefined
  const name = host.endsWith('.') ? host.slice(0, -1) : host
  if (name.length === 0 || name.length > 254 || !/^[0-9a-z._-]+$/i.test(name) || /^[._-]/.test(name)) return undefined
  return name.split('.').includes('') ? undefined : { name: name.toLowerCase(), port }
}

/** 7.1: the data and the size of a chunked body at the beginning of `rest`. */
export function readChunked(rest: string): Verdict | { readonly data: string; readonly size: number } {
  let data = ''
  let extensions = 0
  let at = 0
  for (;;) {
    const lineEnd = rest.indexOf('\r\n', at)
    if (lineEnd < 0) {
      // The beginning of a line that may still become one: the octets of a size, then perhaps of an extension, then perhaps CR.
      const begun = /^([0-9a-f]{0,13}|[0-9a-f]{1,13}(;([\t\x20-\x7e]*))?\r?)$/i.exec(rest.slice(at))
      if (begun === null) return rejected('chunk size')
      return extensions + (begun[3] ?? '').length > EXTENSION_OCTETS ? rejected('extensions') : incomplete
    }
    const line = /^([0-9a-f]{1,13})(;([\t\x20-\x7e]*))?$/i.exec(rest.slice(at, lineEnd))
    if (line === null) return rejected('chunk size')
    extensions += (line[3] ?? '').length
    if (extensions > EXTENSION_OCTETS) return rejected('extensions')
    const size = Number.parseInt(line[1]!, 16)
    at = lineEnd + 2
    if (size === 0) break
    data += rest.slice(at, at + size)
    const behind = rest.slice(at + size, at + size + 2)
    if (!'\r\n'.startsWith(behind)) return rejected('no CRLF behind a chunk')
    if (behind.length < 2) return incomplete
    at += size + 2
  }
  const section = rest.slice(at)
  if (section.startsWith('\r\n')) return { data, size: at + 2 }
  const end = section.indexOf('\r\n\r\n')
  if (end < 0 || end + 4 > TRAILER_OCTETS) {
    return section.length >= TRAILER_OCTETS || /(^|[^\r])\n/.test(section) ? rejected('trailers') : incomplete
  }
  const trailers = readFields(section.slice(0, end).split('\r\n'))
  return trailers === undefined || trailers.length > TRAILER_FIELDS ? rejected('trailers') : { data, size: at + end + 4 }
}

/** 4, 6.3: how the body of a response ends, as octets, `chunked` or `close`; undefined when the head is refused. `head` is without its empty line. */
export function responseFraming(head: string, method: string): { readonly status: number; readonly body: number | 'chunked' | 'close' } | undefined {
  const [statusLine = '', ...lines] = head.split('\r\n')
  const line = /^HTTP\/1\.([01]) ([1-9][0-9]{2})( [\t\x20-\x7e\x80-\xff]*)?$/.exec(statusLine)
  const fields = readFields(lines)
  if (line === null || fields === undefined || fields.length > 200) return undefined
  const lengths = fields.filter(([name]) => name === 'content-length').map(([, value]) => value)
  const codings = fields.filter(([name]) => name === 'transfer-encoding').map(([, value]) => value.toLowerCase())
  if (codings.length > 1 || lengths.length > 1 || (codings.length === 1 && (codings[0] !== 'chunked' || lengths.length === 1 || line[1] === '0'))) return undefined
  if (lengths.length === 1 && !/^[0-9]{1,15}$/.test(lengths[0]!)) return undefined
  const status = Number(line[2])
  if (method === 'HEAD' || status === 304 || status === 204 || status < 200) return { status, body: 0 }
  return { status, body: codings.length === 1 ? 'chunked' : lengths.length === 1 ? Number(lengths[0]) : 'close' }
}
