// Hostile HTTP/2 over real sockets: floods end their own connection with the right code, smuggling ends its stream, and nobody else notices.
import assert from 'node:assert/strict'
import http2 from 'node:http2'
import { after, before, suite, test } from 'node:test'
import type { DataPlaneSettings } from '#src/snapshot.ts'
import { startBackend, type Backend } from '#test/support/backend.ts'
import { service, startDataPlane, type DataPlane } from '#test/support/data-plane.ts'
import { connectHttp2, type RawHttp2 } from '#test/support/http2-client.ts'
import { block, frame, get, post, rst, settings, windowUpdate } from '#test/support/http2-frames.ts'
import { until } from '#test/support/until.ts'

const ENHANCE_YOUR_CALM = 11
let plane: DataPlane
const MANY = Buffer.alloc(64 * 1024 * 1024)
let backend: Backend
let silent: Backend
let bystander: http2.ClientHttp2Session
const change = (same: DataPlaneSettings): DataPlaneSettings => ({
  ...same, listeners: same.listeners.map((each) => ({ ...each, h2c: true })), client: { headMs: 400, bodyMs: 400, keepAliveMs: 60_000 },
  tunnel: { ...same.tunnel, idleMs: 1200 },
})

before(async () => {
  backend = await startBackend()
  plane = await startDataPlane({ workers: 1, settings: change })
  silent = await startBackend({ onRequest: () => undefined })
  plane.publish([service('web', [backend.address]), service('silent', [silent.address])])
  await plane.settled()
  bystander = http2.connect(`http://127.0.0.1:${plane.port}`)
  bystander.on('error', () => undefined)
})
after(async () => {
  bystander.destroy()
  await plane[Symbol.asyncDispose]()
  await backend[Symbol.asyncDispose]()
  await silent[Symbol.asyncDispose]()
})

const gauge = async (name: string): Promise<number> => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)`, 'm').exec(await plane.metrics())?.[1])

/** Another client's request on a connection of its own, which stays the same all the time. */
const ask = (): Promise<number> => new Promise((resolve, reject) => {
  const request = bystander.request({ ':path': '/bystander', ':authority': 'web.example.org' })
  request.on('response', (head) => resolve(Number(head[':status'])))
  request.on('error', reject)
  request.resume()
})

/** Frames that say so little that a client may send them for ever, until somebody minds. */
const floods: readonly { readonly name: string; readonly code?: number; send(client: RawHttp2, at: number): void; readonly first?: (client: RawHttp2) => void }[] = [
  { name: 'rapid reset (CVE-2023-44487)', send: (client, at) => client.send(frame('HEADERS', 5, 1 + 2 * at, get('/', 'silent.example.org')), rst(1 + 2 * at, 8)) },
  { name: 'streams that we are made to reset (MadeYouReset, CVE-2025-8671)', send: (client, at) => client.send(frame('HEADERS', 5, 1 + 2 * at, get('/', 'silent.example.org')), windowUpdate(1 + 2 * at, 0)) },
  { name: 'malformed requests one after the other', send: (client, at) => client.send(frame('HEADERS', 5, 1 + 2 * at, block([[':method', 'GET'], ['x', 'y'], [':path', '/']]))) },
  { name: 'streams above the limit', send: (client, at) => client.send(frame('HEADERS', 5, 1 + 2 * at, get('/', 'silent.example.org'))) },
  { name: 'CONTINUATION without end (CVE-2024-27316)', first: (client) => client.send(frame('HEADERS', 0, 1, get('/', 'web.example.org'))), send: (client) => client.send(frame('CONTINUATION', 0, 1, block([['x', 'y']]))) },
  { name: 'empty CONTINUATION', first: (client) => client.send(frame('HEADERS', 0, 1, get('/', 'web.example.org'))), send: (client) => client.send(frame('CONTINUATION', 0, 1)) },
  { name: 'SETTINGS (CVE-2019-9515)', send: (client, at) => client.send(settings([4, 60_000 + (at % 100)])) },
  { name: 'PING (CVE-2019-9512)', send: (client) => client.send(frame('PING', 0, 0, Buffer.alloc(8))) },
  { name: 'PRIORITY (CVE-2019-9513)', send: (client) => client.send(frame('PRIORITY', 0, 7, Buffer.alloc(5))) },
  { name: 'empty DATA on a stream that was answered', first: (client) => client.send(frame('HEADERS', 4, 1, post())), send: (client) => client.send(frame('DATA', 0, 1)) },
  { name: 'empty DATA (CVE-2019-9518)', first: (client) => client.send(frame('HEADERS', 4, 1, post('/', 'silent.example.org'))), send: (client) => client.send(frame('DATA', 0, 1)) },
  { name: 'WINDOW_UPDATE by one', first: (client) => client.send(frame('HEADERS', 5, 1, get('/', 'silent.example.org'))), send: (client) => client.send(windowUpdate(0, 1)) },
  { name: 'frames of no known type', send: (client) => { const odd = frame('PING', 0, 0); odd[3] = 0x99; client.send(odd) } },
]

suite('floods', () => {
  for (const { name, code = ENHANCE_YOUR_CALM, send, first } of floods) {
    test(name, async () => {
      const before = backend.requests.length
      await using client = await connectHttp2(plane.port)
      first?.(client)
      for (let at = 0; at < 20_000 && client.closed === undefined; at++) {
        send(client, at)
        if (at % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      assert.equal(await client.ended(), code)
      assert.equal(await ask(), 200)
      assert.ok(backend.requests.length - before < 600)
      await until(async () => await gauge('serai_exchanges') === 0, { what: 'nothing left of it' })
    })
  }

  test('an HPACK bomb: a head that means a hundred times what it is gets 431, and the tables stay in order', async () => {
    await using client = await connectHttp2(plane.port)
    const value = 'v'.repeat(4000)
    const literal = Buffer.concat([Buffer.from([0x40, 1]), Buffer.from('b'), Buffer.from([0x7f, ((4000 - 127) & 127) | 128, (4000 - 127) >> 7]), Buffer.from(value)])
    client.send(frame('HEADERS', 5, 1, Buffer.concat([get('/', 'web.example.org'), literal])))
    client.send(frame('HEADERS', 5, 3, Buffer.concat([get('/', 'web.example.org'), Buffer.alloc(15_000, 0xbe)])))
    client.send(frame('HEADERS', 5, 5, get('/', 'web.example.org')))
    assert.deepEqual([await client.over(3), client.heads.get(3)?.[0]?.[':status']], [-1, '431'])
    assert.deepEqual([await client.over(5), client.heads.get(5)?.[0]?.[':status']], [-1, '200'])
  })

  test('a header block larger than we take ends the connection', async () => {
    await using client = await connectHttp2(plane.port)
    client.send(frame('HEADERS', 0, 1, Buffer.alloc(16_000)))
    for (let at = 0; at < 10; at++) client.send(frame('CONTINUATION', 0, 1, Buffer.alloc(16_000)))
    assert.equal(await client.ended(), ENHANCE_YOUR_CALM)
  })

  test('octets that are no HPACK, frames that are too large, and frames cut off', async () => {
    await using garbled = await connectHttp2(plane.port)
    garbled.send(frame('HEADERS', 5, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff])))
    assert.equal(await garbled.ended(), 9)
    await using large = await connectHttp2(plane.port)
    large.send(Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]))
    assert.equal(await large.ended(), 6)
    await using cut = await connectHttp2(plane.port)
    cut.send(frame('HEADERS', 5, 1, get('/', 'web.example.org')).subarray(0, 12))
    cut.socket.end()
    await until(() => cut.closed !== undefined, { what: 'the end' })
    assert.equal(await ask(), 200)
  })
})

suite('slowness', () => {
  test('a client that says nothing, half a preface, or half a frame, is not waited for', async () => {
    await using mute = await connectHttp2(plane.port, { quiet: true })
    await using half = await connectHttp2(plane.port, { quiet: true })
    half.send(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'))
    await using slow = await connectHttp2(plane.port)
    slow.send(frame('HEADERS', 5, 1, get('/', 'web.example.org')).subarray(0, 20))
    await until(() => half.closed !== undefined && slow.closed !== undefined, { what: 'both to be ended' })
    assert.equal(mute.frames.length, 0)
  })

  test('a window that is never opened: the stream ends, the service is let go, the connection lives', async () => {
    const large = await startBackend({ respond: `HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n${'x'.repeat(300_000)}` })
    plane.publish([service('large', [large.address])])
    await plane.settled()
    await using client = await connectHttp2(plane.port, { greeting: [settings([4, 0])] })
    client.send(frame('HEADERS', 5, 1, get('/', 'large.example.org')))
    assert.equal(await client.over(1), 8)
    client.send(settings([4, 65_535]), frame('HEADERS', 5, 3, get('/', 'web.example.org')))
    assert.equal(await client.over(3), -1)
    await until(async () => await gauge('serai_exchanges') === 0, { what: 'nothing left of it' })
    await large[Symbol.asyncDispose]()
  })

  test('a body that does not come is 408, and the connection lives', async () => {
    await using client = await connectHttp2(plane.port)
    client.send(frame('HEADERS', 4, 1, post('/', 'silent.example.org', ['content-length', '100'])))
    await client.over(1)
    assert.equal(client.heads.get(1)?.[0]?.[':status'], '408')
    client.send(frame('HEADERS', 5, 3, get('/', 'web.example.org')))
    assert.equal(await client.over(3), -1)
  })

  test('a body that waits while its client sends others is not late; when it sends nothing any more, it is', async () => {
    await using client = await connectHttp2(plane.port)
    client.send(frame('HEADERS', 4, 1, post('/', 'silent.example.org', ['content-length', '2'])))
    client.send(frame('HEADERS', 4, 3, post('/', 'silent.example.org', ['content-length', '10000000'])))
    for (let piece = 0; piece < 6; piece++) {
      client.send(frame('DATA', 0, 3, Buffer.alloc(16_384)))
      const due = performance.now() + 200
      await until(() => performance.now() >= due, { what: 'half of the deadline' })
    }
    assert.equal(client.heads.get(1), undefined, 'after three times its deadline')
    await client.over(1)
    assert.equal(client.heads.get(1)?.[0]?.[':status'], '408')
  })

  test('a call of gRPC may be silent for longer than a body, but not for ever: whoever is no more sends no reset', async () => {
    await using client = await connectHttp2(plane.port)
    const call = post('/shop.Cart/Watch', 'silent.example.org', ['content-type', 'application/grpc'])
    client.send(frame('HEADERS', 4, 1, call), frame('HEADERS', 4, 3, call))
    const begun = performance.now()
    for (let piece = 1; piece <= 3; piece++) {
      await until(() => performance.now() >= begun + piece * 700, { what: 'a part of the time that it may be silent' })
      client.send(frame('DATA', 0, 3, Buffer.alloc(20)))
    }
    await client.over(1)
    assert.equal(client.heads.get(1)?.[0]?.[':status'], '408')
    assert.equal(client.heads.get(3), undefined, 'one that says something now and then')
    await client.over(3)
    assert.equal(client.heads.get(3)?.[0]?.[':status'], '408')
    await until(async () => await gauge('serai_exchanges') === 0, { what: 'nothing left of them' })
  })

  test('a peer that asks and does not read is cut off, whatever we owe it', async () => {
    const large = await startBackend({ respond: `HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n${'x'.repeat(3_000_000)}`, record: false })
    plane.publish([service('flood', [large.address])])
    await plane.settled()
    await using client = await connectHttp2(plane.port, { greeting: [settings([4, 0x7fff_ffff]), windowUpdate(0, 0x7fff_0000)] })
    client.socket.pause()
    for (let id = 1; id < 100; id += 2) client.send(frame('HEADERS', 5, id, get('/', 'flood.example.org')))
    await until(async () => await gauge('serai_exchanges') > 0, { what: 'the requests to begin' })
    assert.ok(await gauge('serai_body_buffer_bytes') < 40 * 1024 * 1024)
    await until(async () => await gauge('serai_exchanges') === 0, { what: 'it to be cut off', deadline: 8000 })
    assert.equal(await ask(), 200)
    await large[Symbol.asyncDispose]()
  })
})

suite('answers that nobody reads', () => {
  test('a client that asks on and reads nothing is not read from, and then cut off', async () => {
    let asked = 0
    const large = await startBackend({ record: false, onRequest: async (_, connection) => { asked++; await connection.send(`HTTP/1.1 204 No Content\r\nX-Large: ${'x'.repeat(8000)}\r\n\r\n`) } })
    plane.publish([service('heads', [large.address])])
    await plane.settled()
    await using client = await connectHttp2(plane.port)
    client.socket.pause()
    for (let sent = 0, stopped = false; !stopped && sent < 8000;) {
      for (let at = 0; at < 40; at++, sent++) client.send(frame('HEADERS', 5, 1 + 2 * sent, get('/', 'heads.example.org')))
      stopped = await until(() => asked === sent, { what: 'answers', deadline: 1000 }).then(() => false, () => true)
    }
    assert.ok(asked < 5000, `${asked} requests were answered to a client that reads nothing`)
    await until(async () => await gauge('serai_exchanges') === 0, { what: 'it to be cut off', deadline: 8000 })
    assert.equal(await ask(), 200)
    await large[Symbol.asyncDispose]()
  })

  test('a frame in two pieces takes nothing off the time in which its client has to read', async () => {
    const large = await startBackend({ record: false, onRequest: async (_, connection) => { await connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${MANY.length}\r\n\r\n`); await connection.send(MANY) } })
    plane.publish([service('web', [backend.address]), service('large', [large.address])])
    await plane.settled()
    const others = await gauge('serai_connections')
    await using client = await connectHttp2(plane.port, { greeting: [settings([4, 2 ** 31 - 1]), windowUpdate(0, 2 ** 31 - 1 - 65_535)] })
    client.socket.pause()
    client.send(frame('HEADERS', 5, 1, get('/', 'large.example.org')))
    await until(async () => await gauge('serai_body_buffer_bytes') > 0, { what: 'the kernel to take no more' })
    const ping = frame('PING', 0, 0, Buffer.alloc(8))
    for (const piece of [ping.subarray(0, 5), ping.subarray(5)]) {
      client.send(piece)
      assert.equal(await ask(), 200) // by then it has been read
    }
    await until(async () => await gauge('serai_connections') === others, { what: 'it to be cut off' })
    await large[Symbol.asyncDispose]()
  })

  test('PINGs do not keep a connection that nobody uses', async () => {
    const short = await startDataPlane({ workers: 1, settings: (same) => ({ ...change(same), client: { headMs: 10_000, bodyMs: 400, keepAliveMs: 500 } }) })
    await using client = await connectHttp2(short.port)
    const pings = setInterval(() => client.send(frame('PING', 0, 0, Buffer.alloc(8))), 50)
    assert.equal(await client.ended(), 0)
    clearInterval(pings)
    await short[Symbol.asyncDispose]()
  })
})

/** Requests that HTTP/2 can carry and HTTP/1.1 must not: what would be two requests, or another one, one hop on. */
const smuggled: readonly (readonly [name: string, fields: readonly (readonly [string, string])[], body?: string])[] = [
  ['CR LF in a value', [['x', 'a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: web.example.org\r\n\r\n']]],
  ['LF in a value', [['x', 'a\nX-Evil: 1']]],
  ['CR in a value', [['x', 'a\rb']]],
  ['NUL in a value', [['x', 'a\0b']]],
  ['DEL in a value', [['x', 'a\x7fb']]],
  ['white space before a value', [['x', ' a']]],
  ['a space in a name', [['x y', 'a']]],
  ['a colon in a name', [['x: y\r\nz', 'a']]],
  ['an upper-case name', [['X-Upper', 'a']]],
  ['an empty name', [['', 'a']]],
  ['transfer-encoding', [['transfer-encoding', 'chunked']], '0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n'],
  ['connection', [['connection', 'x-forwarded-for']]],
  ['keep-alive', [['keep-alive', 'timeout=1']]],
  ['proxy-connection', [['proxy-connection', 'close']]],
  ['upgrade', [['upgrade', 'h2c']]],
  ['te other than trailers', [['te', 'gzip, trailers']]],
  ['two content-lengths', [['content-length', '3'], ['content-length', '3']], 'abc'],
  ['a content-length with a sign', [['content-length', '+3']], 'abc'],
  ['a content-length of less than the body', [['content-length', '1']], 'abc'],
  ['a content-length of more than the body', [['content-length', '9']], 'abc'],
  ['two hosts', [['host', 'web.example.org'], ['host', 'web.example.org']]],
  ['a pseudo-header field behind others', [['x', 'y'], [':path', '/other']]],
  ['an unknown pseudo-header field', [[':version', '1']]],
]
const lines: readonly (readonly [name: string, fields: readonly (readonly [string, string])[]])[] = [
  ['a space in the path', [[':method', 'GET'], [':scheme', 'http'], [':path', '/a HTTP/1.1\r\nX: y'], [':authority', 'web.example.org']]],
  ['a space alone in the path', [[':method', 'GET'], [':scheme', 'http'], [':path', '/a b'], [':authority', 'web.example.org']]],
  ['a path without a slash', [[':method', 'GET'], [':scheme', 'http'], [':path', 'a'], [':authority', 'web.example.org']]],
  ['an absolute path', [[':method', 'GET'], [':scheme', 'http'], [':path', 'http://other/'], [':authority', 'web.example.org']]],
  ['a space in the method', [[':method', 'GET / HTTP/1.1'], [':scheme', 'http'], [':path', '/'], [':authority', 'web.example.org']]],
  ['no path', [[':method', 'GET'], [':scheme', 'http'], [':authority', 'web.example.org']]],
  ['two paths', [[':method', 'GET'], [':scheme', 'http'], [':path', '/'], [':path', '/b'], [':authority', 'web.example.org']]],
  ['no method', [[':scheme', 'http'], [':path', '/'], [':authority', 'web.example.org']]],
  ['no authority', [[':method', 'GET'], [':scheme', 'http'], [':path', '/']]],
  ['user information in the authority', [[':method', 'GET'], [':scheme', 'http'], [':path', '/'], [':authority', 'a@web.example.org']]],
  ['a host that differs from the authority', [[':method', 'GET'], [':scheme', 'http'], [':path', '/'], [':authority', 'web.example.org'], ['host', 'other.example.org']]],
  ['CONNECT', [[':method', 'CONNECT'], [':authority', 'web.example.org:25']]],
  [':protocol without CONNECT', [[':method', 'GET'], [':scheme', 'http'], [':path', '/'], [':authority', 'web.example.org'], [':protocol', 'websocket']]],
]

suite('smuggling from HTTP/2 to HTTP/1.1', () => {
  const refusedAs = async (client: RawHttp2, id: number): Promise<string> => {
    const code = await client.over(id)
    const status = client.heads.get(id)?.[0]?.[':status']
    return status ?? `RST ${code}`
  }

  test('whatever is sent, the service sees no other request than ours', async (t) => {
    const seen: string[] = []
    for (const [name, fields, body] of [...smuggled.map(([name, more, body]) => [name, [[':method', body === undefined ? 'GET' : 'POST'], [':scheme', 'http'], [':path', '/'], [':authority', 'web.example.org'], ...more], body] as const), ...lines.map(([name, all]) => [name, all, undefined] as const)]) {
      await using client = await connectHttp2(plane.port)
      const before = backend.requests.length
      client.send(frame('HEADERS', body === undefined ? 5 : 4, 1, block(fields as [string, string][])), ...(body === undefined ? [] : [frame('DATA', 1, 1, body)]))
      const refused = await refusedAs(client, 1)
      seen.push(`${name}: ${refused}`)
      assert.match(refused, /^(RST 1|400|405)$/, name)
      client.send(frame('HEADERS', 5, 3, get('/after', 'web.example.org')))
      assert.equal(await client.over(3), -1, `${name}: the connection lives`)
      const asked = backend.requests.slice(before).map(({ method, target }) => `${method} ${target}`)
      assert.deepEqual(asked.filter((each) => each !== 'GET /after'), [], name)
    }
    t.diagnostic(seen.join('; '))
    assert.deepEqual(backend.errors, [])
    assert.doesNotMatch(backend.bytes.toString('latin1'), /smuggled|X-Evil/)
  })

  test('what strangers say of who was before them goes no further, by any spelling', async () => {
    await using client = await connectHttp2(plane.port)
    client.send(frame('HEADERS', 5, 1, get('/spoofed', 'web.example.org', ['x-forwarded-for', '6.6.6.6'], ['x_forwarded_for', '6.6.6.6'], ['x_forwarded_ssl', 'evil'], ['x.forwarded.ssl', 'evil'], ['x-forwarded-tls-client-subject', 'evil'], ['x-real-ip', '6.6.6.6'], ['forwarded', 'for=6.6.6.6'], ['proxy', 'evil'], ['http2-settings', 'x'])))
    assert.equal(await client.over(1), -1)
    assert.ok(backend.requests.some(({ target }) => target === '/spoofed'))
    assert.doesNotMatch(backend.bytes.toString('latin1'), /6\.6\.6\.6|evil|http2-settings/i)
  })

  test('trailers with framing or control octets end the stream', async () => {
    for (const bad of [[':path', '/x'], ['x', 'a\r\nb'], ['transfer-encoding', 'chunked']] as const) {
      await using client = await connectHttp2(plane.port)
      client.send(frame('HEADERS', 4, 1, post('/', 'silent.example.org')), frame('DATA', 0, 1, 'abc'), frame('HEADERS', 5, 1, block([bad])))
      assert.equal(await client.over(1), 1)
    }
  })
})

test('nothing of all that was a mistake of ours', async () => {
  assert.equal(await gauge('serai_internal_errors_total'), 0)
  assert.equal(await gauge('serai_exchanges'), 0)
  assert.equal(await gauge('serai_body_buffer_bytes'), 0)
})
