// Request heads of HTTP/2 as the heads that HTTP/1.1's parser makes: what becomes of each field, and what is remembered of the last one.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Field } from '#src/http2/field.ts'
import { kindOfRequestField, readRequest, readTrailers, type Http2Request } from '#src/http2/request-fields.ts'
import { RequestMemory } from '#src/http2/request-memory.ts'

const fields = (...pairs: (readonly [string, string])[]): Field[] => pairs.map(([name, value]) => new Field(name, value, kindOfRequestField))
const usual = [[':method', 'GET'], [':scheme', 'https'], [':path', '/a?b=c'], [':authority', 'A.example.org:443']] as const
const read = (list: Field[], end = true): ReturnType<typeof readRequest> => readRequest(list, list.length, end, 'serai-test', () => 'key')

test('the usual head', () => {
  const request = read(fields(...usual, ['user-agent', 'x/1'], ['te', 'trailers'], ['x-own', 'y'], ['via', '2.0 other'], ['x-forwarded-for', '6.6.6.6'], ['priority', 'u=1'], ['expect', '100-continue']))
  assert.deepEqual((request as Http2Request).head, {
    method: 'GET', rawPath: '/a', query: '?b=c', host: 'a.example.org', authority: 'A.example.org:443', minor: 1, version: '2.0', close: false, contentLength: 0,
    expectContinue: false, upgrade: '', acceptsTrailers: true, ownHost: true, userAgent: 'x/1',
    fields: 'user-agent: x/1\r\nx-own: y\r\nvia: 2.0 other\r\npriority: u=1\r\n', forwarding: 'x-forwarded-for: 6.6.6.6\r\n', block: '',
  })
})

test('who was before us, by any spelling: fields of the family are told apart, look-alikes and what is ours alone are dropped, in heads and trailers', () => {
  const names = ['x-forwarded-ssl', 'x_forwarded_ssl', 'x.forwarded.ssl', 'x-forwarded_for', 'front_end-https', 'x-forwarded-tls-client-subject', 'x-own', 'x_own']
  const { head } = read(fields(...usual, ...names.map((name) => [name, 'y'] as const))) as Http2Request
  assert.deepEqual([head.forwarding, head.fields], ['x-forwarded-ssl: y\r\n', 'x-own: y\r\nx_own: y\r\n'])
  const trailers = fields(...[...names, 'grpc-status', 'x-original-url', 'x_rewrite.url'].map((name) => [name, 'y'] as const))
  assert.equal(readTrailers(trailers, trailers.length), 'x-own: y\r\nx_own: y\r\ngrpc-status: y\r\n')
})

test('a length that is announced, and a head that ends the stream, is malformed', () => {
  assert.ok('malformed' in read(fields(...usual, ['content-length', '7']), true))
  assert.equal((read(fields(...usual, ['content-length', '0']), true) as Http2Request).head.contentLength, 0)
})

test('lengths: announced, unknown, none; cookies are one field; our own Via is a loop', () => {
  const lengthOf = (list: Field[], end: boolean): number => (read(list, end) as Http2Request).head.contentLength
  assert.deepEqual([lengthOf(fields(...usual, ['content-length', '7']), false), lengthOf(fields(...usual), false), lengthOf(fields(...usual), true)], [7, -1, 0])
  assert.match((read(fields(...usual, ['cookie', 'a=1'], ['cookie', 'b=2'])) as Http2Request).head.fields, /^cookie: a=1; b=2\r\n$/)
  assert.deepEqual(read(fields(...usual, ['via', '1.1 serai-test'])), { status: 508, reason: 'loop: Via names this proxy' })
})

test('an empty pseudo-header field is one all the same, and :scheme is a scheme', () => {
  for (const name of [':method', ':scheme', ':path'] as const) assert.deepEqual(read(fields([name, ''], ...usual)), { malformed: 'a pseudo-header field repeated' })
  const connect = [[':method', 'CONNECT'], [':scheme', 'https'], [':path', '/'], [':authority', 'a.example.org']] as const
  assert.deepEqual(read(fields([':protocol', ''], [':protocol', 'websocket'], ...connect)), { malformed: 'a pseudo-header field repeated' })
  assert.deepEqual(read(fields([':protocol', ''], ...connect)), { malformed: 'no :protocol' })
  for (const scheme of ['h ttp', '', '1http', 'http:']) assert.deepEqual(read(fields([':scheme', scheme], ...usual.filter(([name]) => name !== ':scheme'))), { malformed: 'malformed :scheme' })
  assert.ok('head' in read(fields([':scheme', 'coap+tcp'], ...usual.filter(([name]) => name !== ':scheme'))))
})

test('extended CONNECT becomes the upgrade of HTTP/1.1, with a key of ours', () => {
  const { head, connect } = read(fields([':method', 'CONNECT'], [':protocol', 'websocket'], [':scheme', 'https'], [':path', '/chat'], [':authority', 'a.example.org']), false) as Http2Request
  assert.deepEqual([connect, head.method, head.upgrade, head.contentLength, head.fields], [true, 'GET', 'websocket', 0, 'Sec-WebSocket-Key: key\r\n'])
})

test('the same entries mean the same head; any other entry, or another end, is read anew', () => {
  const memory = new RequestMemory()
  const list = fields(...usual)
  const ask = (each: Field[], end = true): Http2Request => memory.read(each, each.length, end, 'serai-test', () => 'key') as Http2Request
  const first = ask(list)
  assert.equal(ask([...list]), first)
  assert.notEqual(ask(list, false), first)
  assert.equal(ask(list, false).head.contentLength, -1)
  assert.equal(ask([...list.slice(0, 2), ...fields([':path', '/other']), list[3]!]).head.rawPath, '/other')
  assert.equal(ask(list).head.rawPath, '/a')
  assert.equal(ask(list.slice(0, 3)).head, undefined, 'no authority')
  assert.equal(ask(list).head.rawPath, '/a')
  const long = fields(...usual, ['authorization', 'me'], ['x-own', 'y'], ['x-forwarded-for', '6.6.6.6'], ['cookie', 'a=b'], ['user-agent', 'x/1'])
  const another = fields([':method', 'HEAD'], [':scheme', 'http'], [':path', '/b'], [':authority', 'b.example.org'], ['authorization', 'you'], ['x-own', 'z'], ['x-forwarded-for', '7.7.7.7'], ['cookie', 'c=d'], ['user-agent', 'y/1'])
  for (let place = 0; place < long.length; place++) {
    const known = ask(long)
    assert.notEqual(ask(long.with(place, another[place]!)), known, `another ${long[place]!.name}`)
  }
})
