// What is fuzzed over the wire in HTTP/2: requests and answers that are nearly right, and the frames that carry them.
import fc from 'fast-check'
import { block, frame, rst } from '#test/support/http2-frames.ts'
import type { Pair } from './hpack-oracle.ts'

/** A message as HTTP/2 has it. */
export interface Http2Message {
  /** Header blocks before the last are interim answers. */
  readonly heads: readonly (readonly Pair[])[]
  /** Pieces of the body; none: the head ends the stream. */
  readonly body: readonly string[] | undefined
  readonly trailers: readonly Pair[] | undefined
  /** How the stream ends, where body and trailers do not end it. */
  readonly reset: number | undefined
  readonly padding: number
  /** Octets of the first frame of each head; what is left goes into CONTINUATIONs of as many. */
  readonly frameSize: number
}

const of = <T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values)
const seldom = <T>(usual: fc.Arbitrary<T>, other: fc.Arbitrary<T>, weight = 20): fc.Arbitrary<T> => fc.oneof({ weight, arbitrary: usual }, { weight: 1, arbitrary: other })

const plain: fc.Arbitrary<Pair> = fc.oneof(
  of<Pair>(['accept', '*/*'], ['x-empty', ''], ['x-obs', '\xe9\xff'], ['x-tab', 'a\tb'], ['user-agent', 'fuzz/1'], ['x_own', '1'], ['priority', 'u=1'], ['content-type', 'text/plain'], ['x-colon', ': a'], ['authorization', 'Basic eA=='], ['x-long', 'v'.repeat(300)]),
  fc.tuple(fc.stringMatching(/^x-[a-z]{1,6}$/), fc.stringMatching(/^([\x21-\x7e]([\x20-\x7e]{0,20}[\x21-\x7e])?)?$/)),
)
const poison = of<Pair>(
  ['x', 'a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.example.org\r\n\r\n'], ['x', 'a\nb: c'], ['x', 'a\rb'], ['x', 'a\0b'], ['x', '\x7f'], ['x', ' a'], ['x', 'a\t'], ['x', '\x01'],
  ['x y', 'a'], ['x:', 'a'], ['x\r\ny', 'a'], ['X-Upper', 'a'], ['', 'a'], ['x\0', 'a'], ['\xe9', 'a'], ['x(', 'a'],
  ['transfer-encoding', 'chunked'], ['transfer-encoding', 'identity'], ['connection', 'close'], ['connection', 'x-serial'], ['keep-alive', 'timeout=5'], ['proxy-connection', 'close'], ['upgrade', 'websocket'],
  ['te', 'gzip'], ['te', 'trailers, chunked'], ['content-length', '+5'], ['content-length', '5, 5'], ['content-length', ''], ['content-length', '5'], ['content-length', '0'], ['host', 'b.example.org'], ['host', 'a.example.org'],
  ['host', 'a.example.org\r\nX: y'], [':path', '/late'], [':unknown', 'x'], [':', 'x'], [':status', '200'], ['expect', 'x'],
  // Look-alikes: they go no further.
  ['content_length', '5'], ['transfer_encoding', 'chunked'], ['x-forwarded-for', '6.6.6.6'], ['x_forwarded_for', '6.6.6.6'], ['http2-settings', 'x'], ['proxy', 'x'],
)
const cookies = fc.array(of<Pair>(['cookie', 'a=1'], ['cookie', 'b=2; c=3']), { maxLength: 3 })
const regular = fc.tuple(fc.array(seldom(plain, poison), { maxLength: 5 }), seldom(of<Pair[]>([]), cookies, 2), seldom(of<Pair[]>([]), of([['te', 'trailers'] as Pair]), 4)).map(([fields, cookie, te]) => [...fields, ...cookie, ...te])
const pieces = fc.array(fc.oneof(of('hello', '', '0\r\n\r\n', 'GET /smuggled HTTP/1.1\r\nHost: a.example.org\r\n\r\n', 'x'.repeat(5000)), fc.string({ maxLength: 12 }).map((text) => text.replace(/[^\x00-\xff]/g, '?'))), { maxLength: 4 })
const lengthOf = (body: readonly string[]): number => body.reduce((sum, { length }) => sum + length, 0)
const lengths = (body: readonly string[]): fc.Arbitrary<Pair[]> => fc.oneof({ weight: 5, arbitrary: of<Pair[]>([]) }, { weight: 5, arbitrary: of<Pair[]>([['content-length', String(lengthOf(body))]]) }, { weight: 1, arbitrary: fc.nat(12).map((size): Pair[] => [['content-length', String(size)]]) })
const trailers = seldom(fc.array(of<Pair>(['x-sum', '1'], ['grpc-status', '0'], ['content-length', '5'], ['x-end', '']), { maxLength: 3 }), fc.array(poison, { minLength: 1, maxLength: 1 }), 6)
const shape = fc.record({ padding: seldom(of(0), of(1, 20), 4), frameSize: seldom(of(16_384), of(1, 7, 30), 8) })
const content = fc.oneof(of(undefined), pieces)

// ── requests ──

export const HOST = 'a.example.org'
/** Paths, and how the upstream has to see them. */
export const paths: ReadonlyMap<string, string | undefined> = new Map([
  ['/', '/'], ['/a/b?c=d', '/a/b?c=d'], ['//x', '/x'], ['/%61', '/a'], ['/a/../b', '/b'], ['/?', '/?'], ['/a?b c', undefined], ['/a b', undefined], ['/a HTTP/1.1\r\nX: y', undefined], ['/\t', undefined], ['/\xe9', undefined],
  ['/#', undefined], ['', undefined], ['a', undefined], ['*', undefined], ['http://a.example.org/', undefined], ['/..', undefined], ['/%2f', undefined], ['/\\', undefined], ['/\0', undefined], ['/%', undefined],
])
const goodPaths = [...paths].filter(([, seen]) => seen !== undefined).map(([path]) => path)
const badPaths = [...paths].filter(([, seen]) => seen === undefined).map(([path]) => path)
const pseudo = fc.tuple(
  seldom(of('GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'FROB'), of('', 'G T', 'GET / HTTP/1.1\r\nX:', 'CONNECT', 'TRACE', 'get', 'X'.repeat(33), 'G(T')),
  seldom(of('http', 'https'), of('', 'h ttp', 'http\r\n')), seldom(of(...goodPaths), of(...badPaths), 15),
  seldom(of(HOST, 'A.Example.org:80', 'a.example.org.'), of('', 'a b', 'x@a.example.org', 'a.example.org\r\nX: y', 'b.example.org', 'a.example.org, b'), 25),
).map(([method, scheme, path, authority]): Pair[] => [[':method', method], [':scheme', scheme], [':path', path], [':authority', authority]])
type Change = 'none' | 'drop' | 'double' | 'last' | 'host' | 'protocol'
const requestHeads = fc.tuple(pseudo, fc.nat(3), seldom(of<Change>('none'), of<Change>('drop', 'double', 'last', 'host', 'protocol'), 12)).map(([all, at, change]): { first: Pair[]; last: Pair[] } => {
  const each = all[at]!
  switch (change) {
    case 'drop': return { first: all.filter((other) => other !== each), last: [] }
    case 'double': return { first: [...all, each], last: [] }
    case 'last': return { first: all.filter((other) => other !== each), last: [each] }
    case 'host': return { first: all.slice(0, 3), last: [['host', all[3]![1]]] }
    case 'protocol': return { first: all[0]![1] === 'CONNECT' ? all : [...all, [':protocol', 'websocket']], last: [] } // what RFC 8441 makes of the two has tests of its own
    default: return { first: all, last: [] }
  }
})

/** A request; `x-serial` says which it is. */
export const requests: fc.Arbitrary<(serial: string) => Http2Message> = content.chain((body) => fc.tuple(requestHeads, regular, lengths(body ?? []), seldom(of(undefined), trailers, 4), shape).map(([{ first, last }, own, length, end, { padding, frameSize }]) => (serial: string): Http2Message => ({
  heads: [[...first, ['x-serial', serial], ...own, ...length, ...last]], body, trailers: body === undefined ? undefined : end, reset: undefined, padding, frameSize,
})))

// ── answers ──

const status = seldom(of('200', '204', '304', '404', '500', '299'), of('', '20', '2000', '2OO', '101', '103', '099', '200 OK', '200\r\n'), 15)
const interim = fc.tuple(of('100', '103', '102'), fc.array(seldom(plain, poison, 40), { maxLength: 2 })).map(([code, own]): Pair[] => [[':status', code], ...own])

export const answers: fc.Arbitrary<Http2Message> = content.chain((body) => fc.tuple(
  fc.array(interim, { maxLength: 2 }), status, seldom(of('first'), of('none', 'double', 'last'), 25), fc.array(seldom(plain, poison), { maxLength: 4 }), lengths(body ?? []), seldom(of(undefined), trailers, 4), seldom(of(undefined), of(0, 2, 7, 8, 999), 10), shape,
).map(([before, code, place, own, length, end, reset, { padding, frameSize }]): Http2Message => {
  const field: Pair = [':status', code]
  const head = [...(place === 'first' ? [field] : place === 'double' ? [field, field] : []), ...own, ...length, ...(place === 'last' ? [field] : [])]
  return { heads: [...before, head], body, trailers: body === undefined ? undefined : end, reset, padding, frameSize }
}))

// ── frames ──

/** The frames of a message on a stream. */
export function framesOf({ heads, body, trailers: end, reset, padding, frameSize }: Http2Message, id: number): Buffer {
  const open = reset !== undefined
  const out: Buffer[] = []
  const headers = (fields: readonly Pair[], last: boolean): void => {
    const bytes = block(fields)
    for (let at = 0; at === 0 || at < bytes.length; at += size) {
      const rest = at + size >= bytes.length ? 4 : 0
      out.push(frame(at === 0 ? 'HEADERS' : 'CONTINUATION', rest | (at === 0 && last ? 1 : 0), id, bytes.subarray(at, at + size)))
    }
  }
  // Not more frames than a block may have.
  const size = Math.max(frameSize, Math.ceil(Math.max(...[...heads, end ?? []].map((fields) => block(fields).length)) / 20))
  heads.forEach((fields, at) => headers(fields, at === heads.length - 1 && body === undefined && !open))
  body?.forEach((piece, at) => {
    const last = at === body.length - 1 && end === undefined && !open
    out.push(padding === 0 ? frame('DATA', last ? 1 : 0, id, piece) : frame('DATA', last ? 9 : 8, id, Buffer.concat([Buffer.from([padding]), Buffer.from(piece, 'latin1'), Buffer.alloc(padding)])))
  })
  if (end !== undefined && body !== undefined) headers(end, !open)
  else if (body?.length === 0 && !open) out.push(frame('DATA', 1, id))
  if (open) out.push(rst(id, reset))
  return Buffer.concat(out)
}
