// Probes over gRPC: gRPC's own server says how it is, and whatever else answers is a failure in words that ends in time and leaves nothing behind.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import { before, suite, test } from 'node:test'
import tls from 'node:tls'
import grpc from '@grpc/grpc-js'
import type { GrpcProbe, ProbePace } from '#src/catalog/catalog.ts'
import { probeOnce } from '#src/catalog/probe/probe.ts'
import { makeAuthority } from '#test/support/certificates.ts'
import { startHealthServer } from '#test/support/health-server.ts'
import { block, frame, rst, settings, SETTINGS_ACK, windowUpdate, word } from '#test/support/http2-frames.ts'
import { until, within } from '#test/support/until.ts'

const ask = (port: number, given: Partial<GrpcProbe & ProbePace> = {}, host = '127.0.0.1', refuses?: (address: string) => string | undefined): Promise<string> =>
  probeOnce({ kind: 'grpc', secure: false, authority: '', service: '', port: 0, intervalMs: 1000, timeoutMs: 5000, failures: 2, passes: 1, ...given }, host, port, refuses)

/** A server that does with each connection what it is told to, from the first octet on; its end is that of all connections. */
async function startServer(begin: (socket: net.Socket) => void, given?: tls.TlsOptions): Promise<AsyncDisposable & { readonly port: number }> {
  const take = (socket: net.Socket): void => {
    socket.on('error', () => undefined)
    socket.once('data', () => {
      socket.resume()
      begin(socket)
    })
  }
  const server = given === undefined ? net.createServer(take) : tls.createServer(given, take)
  server.on('tlsClientError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as net.AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close()
      await within(once(server, 'close'), 2000, () => 'the end of its connections')
    },
  }
}

const headers = (fields: readonly (readonly [string, string])[], end = false): Buffer => frame('HEADERS', end ? 5 : 4, 1, block(fields))
const grpcHead = headers([[':status', '200'], ['content-type', 'application/grpc']])
const message = (octets: readonly number[], flag = 0, length = octets.length): Buffer => frame('DATA', 0, 1, [flag, ...word(length), ...octets])
const trailers = (status: string, ...more: (readonly [string, string])[]): Buffer => headers([['grpc-status', status], ...more], true)
const serving = [0x08, 0x01]
const answers = (...octets: readonly Buffer[]) => (socket: net.Socket): void => { socket.write(Buffer.concat([settings(), SETTINGS_ACK, ...octets])) }
/** The octets, and then others for as long as anybody takes them. */
const floods = (first: readonly Buffer[], again: Buffer) => (socket: net.Socket): void => {
  const many = Buffer.concat(Array.from({ length: 500 }, () => again))
  const more = (): void => { while (!socket.destroyed && socket.write(many)); }
  socket.write(Buffer.concat([settings(), ...first]))
  socket.on('drain', more)
  more()
}

suite('gRPC’s own server', () => {
  test('SERVING passes, NOT_SERVING does not, and SERVING does again', async () => {
    await using server = await startHealthServer()
    const seen: string[] = []
    for (const status of [1, 2, 1, 0, 3, 7]) {
      server.statuses.set('', status)
      seen.push(await ask(server.port))
    }
    assert.deepEqual(seen, ['', 'NOT_SERVING', '', 'UNKNOWN', 'SERVICE_UNKNOWN', 'serving status 7'])
  })

  test('it is asked for the service, by the authority, within the time, by Serai-Probe', async () => {
    await using server = await startHealthServer()
    const long = `shop.${'Cart'.repeat(40)}`
    server.statuses.set('shop.Cart', 1).set(long, 1)
    assert.deepEqual([await ask(server.port), await ask(server.port, { service: 'shop.Cart', authority: 'shop.example.org', timeoutMs: 3000 }), await ask(server.port, { service: long })], ['', '', ''])
    assert.deepEqual(server.asked.map(({ service, authority, agent }) => [service, authority, agent]), [
      ['', `127.0.0.1:${server.port}`, 'Serai-Probe'], ['shop.Cart', 'shop.example.org', 'Serai-Probe'], [long, `127.0.0.1:${server.port}`, 'Serai-Probe'],
    ])
    const { leftMs } = server.asked[1]!
    assert.ok(leftMs > 1000 && leftMs <= 3000, `${leftMs} ms`)
  })

  test('it is a call as gRPC’s protocol has it', async () => {
    let heard: unknown
    const server = http2.createServer()
    server.on('stream', (stream: http2.ServerHttp2Stream, { ':method': method, ':scheme': scheme, ':path': path, 'content-type': type, te, 'grpc-timeout': timeout }) => {
      const octets: Buffer[] = []
      stream.on('data', (chunk: Buffer) => octets.push(chunk))
      stream.on('end', () => {
        heard = { method, scheme, path, type, te, timeout, body: Buffer.concat(octets).toString('latin1') }
        stream.respond({ ':status': 404 }, { endStream: true })
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    assert.equal(await ask((server.address() as net.AddressInfo).port, { service: 'a.B', timeoutMs: 1500 }), 'HTTP status 404')
    server.close()
    assert.deepEqual(heard, { method: 'POST', scheme: 'http', path: '/grpc.health.v1.Health/Check', type: 'application/grpc', te: 'trailers', timeout: '1500m', body: '\0\0\0\0\x05\n\x03a.B' })
  })

  test('a service that it does not know, no health service, and other errors are told apart', async () => {
    await using server = await startHealthServer()
    await using without = await startHealthServer({ health: false })
    server.statuses.delete('')
    assert.equal(await ask(server.port), "grpc-status 5 NOT_FOUND: it does not know the service '', which is the whole server")
    assert.equal(await ask(server.port, { service: 'shop.Cart' }), "grpc-status 5 NOT_FOUND: it does not know the service 'shop.Cart'")
    assert.equal(await ask(without.port), 'grpc-status 12 UNIMPLEMENTED: the service has no grpc.health.v1.Health')
    server.statuses.set('', { code: grpc.status.UNAVAILABLE, details: 'die Datenbank schläft,\r\n\u001b[31m und wie' })
    assert.equal(await ask(server.port), 'grpc-status 14 UNAVAILABLE: die Datenbank schläft,\\u000d\\u000a\\u001b[31m und wie')
    server.statuses.set('', { code: grpc.status.UNAVAILABLE, details: 'ä'.repeat(3000) })
    assert.equal(await ask(server.port), `${`grpc-status 14 UNAVAILABLE: ${'ä'.repeat(300)}`.slice(0, 200)}…`)
  })

  test('no answer: the probe ends at its deadline, and the server is told', async () => {
    await using server = await startHealthServer()
    server.statuses.set('', 'hang')
    const begun = performance.now()
    assert.equal(await ask(server.port, { timeoutMs: 300 }), 'no answer in 300 ms')
    const took = performance.now() - begun
    assert.ok(took >= 299 && took < 1000, `${took} ms`)
    await until(() => server.cancelled === 1, { what: 'the cancellation' })
  })

  test('over TLS with ALPN, whoever has signed its certificate; without TLS there is nothing of HTTP/2', async () => {
    const { cert, key } = makeAuthority('Somebody').issue(['elsewhere.test'])
    await using server = await startHealthServer({ credentials: grpc.ServerCredentials.createSsl(null, [{ cert_chain: Buffer.from(cert), private_key: Buffer.from(key) }]) })
    assert.equal(await ask(server.port, { secure: true }), '')
    assert.equal(await ask(server.port, { secure: true, authority: 'shop.example.org' }), '')
    assert.deepEqual(server.asked.map(({ authority }) => authority), [`127.0.0.1:${server.port}`, 'shop.example.org'])
    assert.match(await ask(server.port), /^(it does not speak HTTP\/2|connection (closed before an answer|reset))$/)
  })
})

suite('TLS without h2', () => {
  const certificate = makeAuthority().issue(['probe.test'])

  test('an HTTPS server of HTTP/1.1 alone, and one that knows no ALPN', async () => {
    await using old = await startServer(() => undefined, { ...certificate, ALPNProtocols: ['http/1.1'] })
    await using none = await startServer(() => undefined, certificate)
    for (const { port } of [old, none]) assert.equal(await ask(port, { secure: true }), 'its TLS does not offer h2 (ALPN)')
    const server = https.createServer(certificate).listen(0, '127.0.0.1')
    await once(server, 'listening')
    assert.equal(await ask((server.address() as net.AddressInfo).port, { secure: true }), 'its TLS does not offer h2 (ALPN)')
    server.close()
  })

  test('a server in the clear', async () => {
    await using server = await startServer((socket) => { socket.write('HTTP/1.1 400 Bad Request\r\n\r\n') })
    assert.match(await ask(server.port, { secure: true }), /^TLS: \S/)
  })

  test('one that never finishes the handshake', async () => {
    await using server = await startServer(() => undefined)
    assert.equal(await ask(server.port, { secure: true, timeoutMs: 200 }), 'no answer in 200 ms')
  })
})

suite('whoever answers', () => {
  const NO_ANSWER = 'no answer in 1000 ms'
  const cases: readonly (readonly [name: string, begin: (socket: net.Socket) => void, expect: string | RegExp])[] = [
    ['a right answer, octet by octet', (socket) => {
      const octets = Buffer.concat([settings(), grpcHead, message(serving), trailers('0')])
      let at = 0
      const next = (): void => { if (at < octets.length) socket.write(octets.subarray(at, ++at), () => setImmediate(next)) }
      next()
    }, ''],
    ['a right answer and the end of the connection at once', (socket) => { socket.end(Buffer.concat([settings(), grpcHead, message(serving), trailers('0')])) }, ''],
    ['a right answer of another subtype, with fields that nobody knows', answers(
      headers([[':status', '200'], ['content-type', 'application/grpc+proto'], ['x-a', 'b']]),
      message([0x12, 0x02, 0x08, 0x02, 0x18, 0xff, 0x01, 0x21, 1, 2, 3, 4, 5, 6, 7, 8, 0x2d, 1, 2, 3, 4, ...serving]), trailers('0', ['x-a', 'b']),
    ), ''],
    ['a right answer before a GOAWAY takes effect', answers(frame('GOAWAY', 0, 0, [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]), grpcHead, message(serving), trailers('0')), ''],
    ['further messages: the first one counts', answers(grpcHead, message(serving), message([0x08, 0x02]), trailers('0')), ''],
    ['SERVING with an error behind it', answers(grpcHead, message(serving), trailers('13', ['grpc-message', '100%25 %zz'])), 'grpc-status 13 INTERNAL: 100%25 %zz'],
    ['SERVING without an end', answers(grpcHead, message(serving)), NO_ANSWER],
    ['SERVING without trailers', answers(grpcHead, message(serving), frame('DATA', 1, 1)), 'its answer ended without a status'],
    ['SERVING without grpc-status', answers(grpcHead, message(serving), headers([['x-a', 'b']], true)), 'malformed answer: no grpc-status'],
    ['SERVING with two of them', answers(grpcHead, message(serving), headers([['grpc-status', '0'], ['grpc-status', '0']], true)), 'malformed answer: grpc-status 0, 0'],
    ['grpc-status in the head of an answer that goes on', answers(headers([[':status', '200'], ['content-type', 'application/grpc'], ['grpc-status', '0']]), message(serving), frame('DATA', 1, 1)), 'its answer ended without a status'],
    ['NOT_SERVING, without waiting for the end', answers(grpcHead, message([0x08, 0x02])), 'NOT_SERVING'],
    ['trailers alone: an error', answers(headers([[':status', '200'], ['content-type', 'application/grpc'], ['grpc-status', '16'], ['grpc-message', 'no%20token']], true)), 'grpc-status 16 UNAUTHENTICATED: no token'],
    ['trailers alone: OK, but no message', answers(headers([[':status', '200'], ['content-type', 'application/grpc'], ['grpc-status', '0']], true)), 'malformed answer: no message'],
    ['a status that gRPC does not have', answers(grpcHead, trailers('99')), 'grpc-status 99'],
    ['no message before the trailers', answers(grpcHead, trailers('0')), 'malformed answer: no whole message'],
    ['another HTTP status', answers(headers([[':status', '503'], ['content-type', 'text/html']])), 'HTTP status 503'],
    ['a page', answers(headers([[':status', '200'], ['content-type', 'text/html']])), 'not gRPC: content-type text/html'],
    ['nothing said of the content', answers(headers([[':status', '200']])), 'not gRPC: content-type missing'],
    ['a compressed message', answers(grpcHead, message(serving, 1), trailers('0')), 'malformed answer: compressed, which nobody asked for'],
    ['another first octet', answers(grpcHead, message(serving, 0x3c), trailers('0')), 'malformed answer: not a message of gRPC'],
    ['a length that is too large for what comes', answers(grpcHead, message(serving, 0, 3), trailers('0')), 'malformed answer: no whole message'],
    ['a length that is too small', answers(grpcHead, message(serving, 0, 1), trailers('0')), 'malformed answer: not a message of protobuf'],
    ['a message that is too large', answers(grpcHead, message(serving, 0, 4097)), 'malformed answer: a message of 4097 octets'],
    ['a message of 4 GiB', answers(grpcHead, message(serving, 0, 0xffff_ffff)), 'malformed answer: a message of 4294967295 octets'],
    ['messages without end', floods([grpcHead], message(serving)), 'malformed answer: more than 4101 octets'],
    ['fields without end', floods([frame('HEADERS', 0, 1, block([[':status', '200']]))], frame('CONTINUATION', 0, 1, block([['a', 'b'.repeat(100)]]))), /^(stream error ENHANCE_YOUR_CALM|malformed HTTP\/2: .*CONTINUATION.*)$/],
    ['too many fields', answers(headers([[':status', '200'], ...Array.from({ length: 150 }, (_, at): readonly [string, string] => [`a${at}`, 'b'])])), 'stream error ENHANCE_YOUR_CALM'],
    ['interim answers without end', floods([], headers([[':status', '103']])), /^(stream error ENHANCE_YOUR_CALM|no answer in 1000 ms)$/],
    ['PINGs without end', floods([], frame('PING', 0, 0, '12345678')), /^malformed HTTP\/2: /],
    ['SETTINGS without end', floods([], settings()), /^malformed HTTP\/2: /],
    ['windows without end', floods([grpcHead], windowUpdate(0, 1)), /^(malformed HTTP\/2: .*|no answer in 1000 ms)$/],
    ['nothing', () => undefined, NO_ANSWER],
    ['SETTINGS, and nothing more', answers(), NO_ANSWER],
    ['a head, and nothing more', answers(grpcHead), NO_ANSWER],
    ['a refused stream', answers(rst(1, 7)), 'stream error REFUSED_STREAM'],
    ['a cancelled stream', answers(grpcHead, rst(1, 8)), 'stream error CANCEL'],
    ['a stream that ends by RST_STREAM without error', answers(grpcHead, message(serving), rst(1, 0)), 'its answer ended without a status'],
    ['GOAWAY that takes no request', answers(frame('GOAWAY', 0, 0, [...word(0), ...word(0)])), 'GOAWAY NO_ERROR'],
    ['GOAWAY for a reason', answers(frame('GOAWAY', 0, 0, [...word(1), ...word(11)])), 'GOAWAY ENHANCE_YOUR_CALM'],
    ['HTTP/1.1', (socket) => { socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n') }, 'it does not speak HTTP/2'],
    ['HTTP/1.1, staying open', (socket) => { socket.write('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n') }, 'it does not speak HTTP/2'],
    ['another protocol', (socket) => { socket.write('SSH-2.0-OpenSSH_9.6\r\n') }, 'it does not speak HTTP/2'],
    ['garbage behind SETTINGS', (socket) => { socket.write(Buffer.concat([settings(), Buffer.from('garbage garbage garbage garbage')])) }, /^malformed HTTP\/2: /],
    ['a head that cannot be decoded', answers(frame('HEADERS', 5, 1, 'ff'.repeat(11).replace(/ff/g, '\u00ff'))), /^malformed HTTP\/2: /],
    ['a connection that closes', (socket) => { socket.end() }, 'connection closed before an answer'],
    ['one that is reset', (socket) => { socket.resetAndDestroy() }, 'connection reset'],
  ]
  // What the suites before have left closes a moment later.
  before(async () => { await until(() => openHandles() === '', { what: `no socket and no timer: ${openHandles()}` }) })
  for (const [name, begin, expect] of cases) {
    test(name, async () => {
      await using server = await startServer(begin)
      // Where it is decided earlier, its timer would be seen to be left.
      const timeoutMs = typeof expect === 'string' && expect !== NO_ANSWER ? 60_000 : 1000
      const begun = performance.now()
      const why = await ask(server.port, { timeoutMs })
      const took = performance.now() - begun
      if (typeof expect === 'string') assert.equal(why, expect)
      else assert.match(why, expect)
      assert.ok(took < 5000, `${took} ms`)
      await server[Symbol.asyncDispose]()
      await until(() => openHandles() === '', { what: 'the end of all sockets and timers' })
    })
  }

  test('nobody listens', async () => {
    assert.equal(await ask(1), 'connection refused')
  })

  test('a name whose address a job may not name gets no connection', async () => {
    let connections = 0
    await using server = await startServer(() => { connections++ })
    assert.equal(await ask(server.port, {}, 'localhost', (address) => `${address} is refused`).then((why) => why.replace(/^\S+/, 'it')), 'it is refused')
    assert.equal(connections, 0)
  })

  test('a port that none can have is a reason, not an exception', async () => {
    assert.match(await ask(70_000), /port/i)
  })
})

/** Sockets and timers of this process. */
const openHandles = (): string => process.getActiveResourcesInfo().filter((kind) => /TCP|TLS|Timeout|GetAddrInfo/.test(kind)).sort().join()
