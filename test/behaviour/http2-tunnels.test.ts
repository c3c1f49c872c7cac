// WebSockets over HTTP/2 (extended CONNECT, RFC 8441) to services of either protocol, and what is not let through.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import type { DataPlaneSettings } from '#src/snapshot.ts'
import { startBackend, type Backend } from '#test/support/backend.ts'
import { connect } from '#test/support/client.ts'
import { service, startDataPlane, type DataPlane } from '#test/support/data-plane.ts'
import { startFrameService } from '#test/support/frame-service.ts'
import { block, frame, settings } from '#test/support/http2-frames.ts'
import { DEADLINE_MS, until, within } from '#test/support/until.ts'

let plane: DataPlane
let old: Backend
let own: http2.Http2Server
let client: http2.ClientHttp2Session
const change = (same: DataPlaneSettings): DataPlaneSettings => ({ ...same, listeners: same.listeners.map((each) => ({ ...each, h2c: true })) })

before(async () => {
  old = await startBackend({
    async onHead({ target, headers }, connection) {
      if (target === '/no') await connection.send('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno')
      else if (target === '/plain') await connection.send('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok')
      else {
        await connection.send(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${headers.get('upgrade')}\r\nSec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: chat\r\nX-Key: ${String(headers.get('sec-websocket-key')?.length)}\r\n\r\n`)
        connection.socket.pipe(connection.socket)
      }
      return true
    },
  })
  own = http2.createServer({ settings: { enableConnectProtocol: true } })
  own.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
    stream.on('error', () => undefined)
    if (headers[':protocol'] !== 'websocket') return void stream.respond({ ':status': 400 }, { endStream: true })
    stream.respond({ ':status': 200, 'sec-websocket-protocol': 'chat' })
    if (headers[':path'] !== '/ends') stream.pipe(stream)
  })
  own.listen(0, '127.0.0.1')
  await once(own, 'listening')
  plane = await startDataPlane({ workers: 1, settings: change })
  plane.publish([service('old', [old.address]), service('own', [`127.0.0.1:${(own.address() as AddressInfo).port}`], { scheme: 'h2c' })])
  await plane.settled()
  client = http2.connect(`http://127.0.0.1:${plane.port}`)
  await once(client, 'remoteSettings')
})
after(async () => {
  client.destroy()
  own.close()
  await plane[Symbol.asyncDispose]()
  await old[Symbol.asyncDispose]()
})

function open(host: string, path = '/chat', protocol = 'websocket'): http2.ClientHttp2Stream {
  const stream = client.request({ ':method': 'CONNECT', ':protocol': protocol, ':scheme': 'http', ':path': path, ':authority': `${host}.example.org`, 'sec-websocket-version': '13' }, { endStream: false })
  stream.on('error', () => undefined)
  return stream
}
const headOf = async (stream: http2.ClientHttp2Stream): Promise<http2.IncomingHttpHeaders & { readonly ':status'?: number }> => ((await once(stream, 'response')) as [http2.IncomingHttpHeaders])[0]

test('our SETTINGS offer extended CONNECT', () => {
  assert.equal(client.remoteSettings.enableConnectProtocol, true)
})

for (const host of ['old', 'own']) {
  test(`a WebSocket over HTTP/2 to a service that speaks HTTP/${host === 'old' ? '1.1' : '2'}`, async () => {
    const stream = open(host)
    const head = await headOf(stream)
    assert.deepEqual([head[':status'], head['sec-websocket-protocol'], head['sec-websocket-accept']], [200, 'chat', undefined])
    if (host === 'old') assert.equal(head['x-key'], '24')
    const sent = Buffer.alloc(200_000, host)
    stream.write(sent)
    const parts: Buffer[] = []
    let size = 0
    for await (const part of stream) {
      parts.push(part as Buffer)
      if ((size += (part as Buffer).length) === sent.length) stream.end()
    }
    assert.ok(Buffer.concat(parts).equals(sent))
  })
}

for (const host of ['old', 'own']) {
  test(`what a client says before HTTP/${host === 'old' ? '1.1' : '2'} has agreed to the tunnel goes first, none of it is lost`, async () => {
    const sent = Buffer.from(Array.from({ length: 200_000 }, (_, at) => at % 251))
    const stream = open(host)
    stream.end(sent) // more than a window
    const parts: Buffer[] = []
    stream.on('data', (part: Buffer) => parts.push(part))
    await headOf(stream)
    await once(stream, 'end')
    assert.ok(Buffer.concat(parts).equals(sent))
  })
}

test('a service that ends its side with its head has agreed all the same: the client hears of the end, and says what it has to say', async () => {
  let heard = ''
  await using mute = await startFrameService((id, socket) => {
    socket.on('data', (octets: Buffer) => { heard += octets.toString('latin1') })
    socket.write(frame('HEADERS', 5, id, block([[':status', '200']])))
  }, (socket) => void socket.write(settings([8, 1])))
  await using plane = await startDataPlane({ workers: 1, settings: change })
  plane.publish([service('mute', [mute.address], { scheme: 'h2c' })])
  await plane.settled()
  const session = http2.connect(`http://127.0.0.1:${plane.port}`)
  await once(session, 'remoteSettings')
  const stream = session.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':scheme': 'http', ':path': '/', ':authority': 'mute.example.org' }, { endStream: false })
  assert.equal((await headOf(stream))[':status'], 200)
  stream.resume()
  await within(once(stream, 'end'), DEADLINE_MS, () => 'the end of what the service says')
  stream.end('said all the same')
  await until(() => heard.includes('said all the same'), { what: 'what the client says' })
  await until(async () => /^serai_tunnels 0/m.test(await plane.metrics()), { what: 'no tunnel left' })
  session.destroy()
})

for (const slow of ['client', 'service'] as const) {
  test(`an orderly end of both sides waits for a ${slow} that has not read all yet`, async () => {
    const sent = Buffer.from(Array.from({ length: 1_000_000 }, (_, at) => at % 251))
    const asked = once(own, 'stream')
    const clientEnd = open('own', '/ends')
    const [service] = await asked as [http2.ServerHttp2Stream]
    const [reader, writer] = slow === 'client' ? [clientEnd, service] : [service, clientEnd]
    await headOf(clientEnd)
    reader.pause() // else Node's server takes it for one that never reads, and closes the stream
    reader.end()
    writer.end(sent)
    writer.resume()
    await within(once(writer, 'end'), DEADLINE_MS, () => 'the end of what the slow one said')
    const parts: Buffer[] = []
    reader.on('data', (part: Buffer) => parts.push(part))
    reader.resume()
    await within(once(reader, 'close'), DEADLINE_MS, () => 'the end of the tunnel')
    assert.deepEqual([reader.rstCode, Buffer.concat(parts).equals(sent)], [0, true])
    await until(async () => /^serai_tunnels 0/m.test(await plane.metrics()), { what: 'no tunnel left' })
  })
}

test('a client that waits for its tunnel need not say anything: what it asked for may take longer than a pause in a body', async () => {
  await using slow = await startBackend({
    async onHead({ headers }, connection) {
      if (headers.get('upgrade') === undefined) return true
      await gaveUp // by then the tunnel, which was asked for first, would have been given up too
      await connection.send('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
      return true
    },
  })
  await using own = await startDataPlane({ workers: 1, settings: (same) => ({ ...change(same), client: { ...same.client, bodyMs: 100 } }) })
  own.publish([service('slow', [slow.address])])
  await own.settled()
  const session = http2.connect(`http://127.0.0.1:${own.port}`)
  await once(session, 'remoteSettings')
  const ask = (fields: http2.OutgoingHttpHeaders): http2.ClientHttp2Stream => session.request({ ':authority': 'slow.example.org', ...fields }, { endStream: false }).on('error', () => undefined)
  const waiting = headOf(ask({ ':method': 'CONNECT', ':protocol': 'websocket', ':scheme': 'http', ':path': '/', 'sec-websocket-version': '13' }))
  const gaveUp = headOf(ask({ ':method': 'POST', ':path': '/' }))
  assert.deepEqual([(await gaveUp)[':status'], (await waiting)[':status']], [408, 200])
  session.destroy()
})

test('what a client says before its tunnel is refused reaches nobody', async () => {
  const stream = open('old', '/no')
  stream.write('GET /smuggled HTTP/1.1\r\nHost: old.example.org\r\n\r\n')
  assert.equal((await headOf(stream))[':status'], 403)
  const connection = old.connections.at(-1)!
  await connection.closed
  assert.doesNotMatch(connection.bytes.toString('latin1'), /smuggled/)
  await until(async () => /^serai_body_buffer_bytes 0/m.test(await plane.metrics()), { what: 'nothing kept' })
})

test('a WebSocket over HTTP/1.1 to a service that speaks HTTP/2', async () => {
  await using raw = await connect(plane.port)
  raw.get('/chat', 'own.example.org', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13')
  const { status, headers } = await raw.receiveHead()
  assert.deepEqual([status, headers.get('sec-websocket-accept'), headers.get('sec-websocket-protocol')], [101, 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=', 'chat'])
  raw.send('over and back')
  assert.equal((await raw.receiveBytes(13)).toString(), 'over and back')
})

test('a service that says no is passed on; 2xx without an upgrade is a 502; another protocol is 501', async () => {
  assert.equal((await headOf(open('old', '/no')))[':status'], 403)
  assert.equal((await headOf(open('old', '/plain')))[':status'], 502)
  assert.equal((await headOf(open('old', '/chat', 'connect-udp')))[':status'], 501)
})

test('a client that goes away closes the tunnel for the service', async () => {
  const stream = open('old')
  await headOf(stream)
  const connection = old.connections.at(-1)!
  stream.close(http2.constants.NGHTTP2_CANCEL)
  await connection.closed
  await until(async () => /^serai_tunnels 0/m.test(await plane.metrics()) || !/^serai_tunnels(\{.*\})? [1-9]/m.test(await plane.metrics()), { what: 'no tunnel left' })
})
