// What is fuzzed with: streams of requests that are nearly right, in a grammar with poison, then mutated, then split.
import fc from 'fast-check'

const of = (...texts: readonly string[]): fc.Arbitrary<string> => fc.constantFrom(...texts)
const crlf = fc.oneof({ weight: 40, arbitrary: of('\r\n') }, { weight: 1, arbitrary: of('\n', '\r', '\r\r\n', '\n\r\n', '\r\n ', '\r\n\t', '\0\r\n') })
const space = fc.oneof({ weight: 60, arbitrary: of(' ') }, { weight: 1, arbitrary: of('  ', '\t', '', '\x0b') })
const method = fc.oneof({ weight: 10, arbitrary: of('GET', 'POST', 'PUT', 'HEAD', 'OPTIONS', 'DELETE', 'FROB') }, { weight: 1, arbitrary: of('CONNECT', 'TRACE', 'G(T', '', 'get', 'X'.repeat(33), 'PRI') })
const target = fc.oneof(
  { weight: 10, arbitrary: of('/', '/a', '/a/b?c=d', '//x', '/%61', '/a/../b', '*', '/?') },
  { weight: 2, arbitrary: of('http://a.example.org/a', 'http://a.example.org', 'HTTPS://A.example.ORG:443?x', 'http://b.example.org/', 'http://a.example.org:81/', 'http:///') },
  { weight: 1, arbitrary: of('a', '', '/#', '/\xe9', '/a b', '/\\', '/%2f', '/..', 'a.example.org:80', 'ftp://a.example.org/') },
)
const version = fc.oneof({ weight: 20, arbitrary: of('HTTP/1.1') }, { weight: 3, arbitrary: of('HTTP/1.0') }, { weight: 1, arbitrary: of('HTTP/2.0', 'HTTP/1.2', 'HTTP/1', 'http/1.1', 'HTTP/1.1 ', 'HTTP/0.9', '') })
const host = fc.oneof(
  { weight: 30, arbitrary: of('Host: a.example.org', 'host:a.example.org', 'HOST: A.Example.Org:80\t', 'Host: a.example.org.') },
  { weight: 1, arbitrary: of('Host: b.example.org', 'Host:', 'Host: [::1]:80', 'Host: a b', 'Host: a@b', 'Host : a.example.org', 'X: y', 'Host: a..b', 'Host: -a', 'Host: a:99999', 'Host: [::g]', 'Host: a.example.org, b') },
)
const plain = of('X: y', 'Accept: */*', 'Cookie: a=b', 'X-Forwarded-For: 6.6.6.6', 'X_Y: 1', 'Empty:', 'Obs: \xe9\xff', 'Connection: keep-alive', 'TE: trailers', 'Expect: 100-continue', 'Via: 1.1 x')
const poison = of(
  'Content-Length: 5', 'Content-Length: 0', 'Content-Length: +5', 'Content-Length: 5, 5', 'Content-Length : 5', 'Content-Length:\x0b5', 'Content_Length: 5', 'Transfer-Encoding: chunked', 'Transfer-Encoding: identity',
  'Transfer-Encoding:\tCHUNKED \t', 'Transfer-Encoding: x, chunked', 'Transfer-Encoding : chunked', 'Transfer_Encoding: chunked', ' folded', '\tfolded', ': no name', 'no colon', 'X: \0', 'X\0: y', 'X: a\rb', 'X: a\nY: b',
  'Connection: close', 'Connection: content-length', 'Connection: transfer-encoding, host', 'Host: a.example.org', 'Expect: x', 'Upgrade: websocket', 'Connection: Upgrade', 'X: \x7f', 'X(: y', 'X\xe9: y',
)
const fields = fc.array(fc.oneof({ weight: 12, arbitrary: plain }, { weight: 1, arbitrary: poison }), { maxLength: 5 })
const text = fc.oneof(of('', 'hello', 'GET /smuggled HTTP/1.1\r\nHost: a.example.org\r\n\r\n', '0\r\n\r\n', '\r\n\r\n', '\n'), fc.string({ maxLength: 20 }).map((each) => each.replace(/[^\x00-\xff]/g, '?')))
const sizeSpelling = fc.oneof({ weight: 20, arbitrary: of('', '0', '00') }, { weight: 1, arbitrary: of('+', ' ', '0x', '0000000000000', '-') })
const extension = fc.oneof({ weight: 15, arbitrary: of('') }, { weight: 3, arbitrary: of(';a=b', ';a="b;c"', ';') }, { weight: 1, arbitrary: of(' ', ';\n', ';\0', ' ;a', `;${'x'.repeat(4097)}`) })
const chunk = fc.tuple(text, sizeSpelling, extension, crlf, crlf, fc.boolean()).map(([data, zeros, ext, first, second, upper]) => {
  const size = data.length.toString(16)
  return data === '' ? '' : `${zeros}${upper ? size.toUpperCase() : size}${ext}${first}${data}${second}`
})
const trailers = fc.oneof({ weight: 10, arbitrary: of('') }, { weight: 4, arbitrary: of('X-Sum: 1\r\n', 'Content-Length: 9\r\n', 'A: b\r\nC: d\r\n') }, { weight: 1, arbitrary: of('X : y\r\n', 'X: y\n', ' fold\r\n', 'none\r\n', '\n') })
const chunkedBody = fc.tuple(fc.array(chunk, { maxLength: 4 }), of('0', '000', '0;x'), crlf, trailers, crlf).map(([chunks, zero, a, trailer, b]) => chunks.join('') + zero + a + trailer + b)

const body = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ fields: [] as string[], body: '' }) },
  { weight: 6, arbitrary: text.map((body) => ({ fields: [`Content-Length: ${body.length}`], body })) },
  { weight: 6, arbitrary: chunkedBody.map((body) => ({ fields: ['Transfer-Encoding: chunked'], body })) },
  { weight: 1, arbitrary: fc.tuple(text, fc.nat(30)).map(([body, length]) => ({ fields: [`Content-Length: ${length}`], body })) },
  { weight: 1, arbitrary: chunkedBody.map((body) => ({ fields: ['Transfer-Encoding: chunked', 'Content-Length: 5'], body })) },
)

/** Request lines, most of them good. */
export const requestLines = fc.tuple(method, space, target, space, version).map((parts) => parts.join(''))

const request = fc.tuple(fc.oneof({ weight: 15, arbitrary: of('') }, { weight: 1, arbitrary: of('\r\n', '\r\n\r\n', '\r\n\r\n\r\n', '\n', '\r') }), requestLines, host, fields, body, crlf, crlf)
  .map(([before, line, hostField, others, { fields: framing, body: content }, lineEnd, headEnd]) => {
    const lines = [...others.slice(0, 2), hostField, ...others.slice(2), ...framing]
    return `${before}${line}${lineEnd}${lines.join('\r\n')}\r\n${headEnd}${content}`
  })

interface Mutation {
  readonly at: number
  readonly kind: 'insert' | 'remove' | 'replace' | 'double' | 'cut'
  readonly octets: string
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  at: fc.nat(100_000),
  kind: fc.constantFrom('insert', 'remove', 'replace', 'double', 'cut'),
  octets: fc.oneof(of('\r', '\n', '\r\n', '\r\n\r\n', ' ', '\t', ':', ',', ';', '\0', '0', '5', 'a', '\x7f', '\xa0', '\x85', '_', '"'), fc.nat(255).map((code) => String.fromCharCode(code))),
})

function mutate(stream: string, { at: anywhere, kind, octets }: Mutation): string {
  const at = stream.length === 0 ? 0 : anywhere % stream.length
  switch (kind) {
    case 'insert': return stream.slice(0, at) + octets + stream.slice(at)
    case 'remove': return stream.slice(0, at) + stream.slice(at + octets.length)
    case 'replace': return stream.slice(0, at) + octets + stream.slice(at + octets.length)
    case 'double': return stream.slice(0, at) + stream.slice(at, at + 20) + stream.slice(at)
    case 'cut': return stream.slice(0, at)
  }
}

/** Streams of a few requests, most of them with something wrong; octets as latin1. */
export const streams: fc.Arbitrary<string> = fc.oneof(
  { weight: 10, arbitrary: fc.tuple(fc.array(request, { minLength: 1, maxLength: 4 }), fc.array(mutation, { maxLength: 2 })).map(([requests, mutations]) => mutations.reduce(mutate, requests.join(''))) },
  { weight: 1, arbitrary: fc.array(fc.nat(255), { maxLength: 80 }).map((codes) => String.fromCharCode(...codes)) },
)

/** Where a stream is split: shares of its length; `each` splits it everywhere. */
export const splits: fc.Arbitrary<readonly number[] | 'each'> = fc.oneof({ weight: 6, arbitrary: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 }) }, { weight: 1, arbitrary: fc.constant('each' as const) })

/** The pieces of a stream. */
export function splitAt(stream: string, at: readonly number[] | 'each'): Buffer[] {
  const cuts = at === 'each' ? Array.from({ length: stream.length }, (_, index) => index) : at.map((share) => Math.floor(share * stream.length)).sort((a, b) => a - b)
  const edges = [0, ...cuts, stream.length]
  return edges.slice(1).map((end, index) => Buffer.from(stream.slice(edges[index], end), 'latin1')).filter((piece) => piece.length > 0)
}
