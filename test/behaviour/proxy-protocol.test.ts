// The PROXY protocol in front of HTTP and of TLS: the client is who the balancer says, and nobody gets in without a header.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import tls from 'node:tls'
import { Client, connect } from '#test/support/client.ts'
import { startHttpBackend, type HttpBackend } from '#test/support/http-backend.ts'
import { authority, startHttps, type Https } from '#test/support/https.ts'
import { until } from '#test/support/until.ts'

const HEADER = 'PROXY TCP4 203.0.113.7 192.0.2.1 50000 8443\r\n'
const V2 = Buffer.from([13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10, 0x21, 0x11, 0, 12, 203, 0, 113, 8, 192, 0, 2, 1, 0xc3, 0x50, 0x01, 0xbb])
const LOCAL = Buffer.from([13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10, 0x20, 0, 0, 0])

async function start(config: Readonly<Record<string, unknown>> = {}): Promise<Https & { readonly backend: HttpBackend }> {
  await using cleanUp = new AsyncDisposableStack()
  // It answers when it has read everything: before that, Serai would be right to send no more.
  const backend = cleanUp.use(await startHttpBackend((request, response) => {
    const { headers } = request
    request.resume().on('end', () => response.end(`${String(headers['x-forwarded-for'])} ${String(headers['x-forwarded-port'])} ${String(headers['x-forwarded-proto'])}`))
  }))
  const https = cleanUp.use(await startHttps({
    services: [{ name: 'web', tags: ['serai.host=a.example.org'], instances: [backend.address] }],
    listeners: {
      http: { address: '127.0.0.1:0', proxyProtocol: ['127.0.0.1/32'] }, https: { address: '127.0.0.1:0', tls: true, proxyProtocol: ['127.0.0.1/32'] },
      elsewhere: { address: '127.0.0.1:0', proxyProtocol: ['192.0.2.0/24'] },
    },
    config,
  }))
  const running = cleanUp.move()
  return { ...https, backend, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

test('plain: version 1, version 2 and LOCAL; in one piece with the request or octet by octet', async () => {
  await using https = await start()
  const { port } = https.serai
  for (const [header, expected] of [[Buffer.from(HEADER), '203.0.113.7 8443 http'], [V2, '203.0.113.8 443 http'], [LOCAL, `127.0.0.1 ${port} http`]] as const) {
    await using whole = await connect(port)
    whole.send(Buffer.concat([header, Buffer.from('GET / HTTP/1.1\r\nHost: a.example.org\r\n\r\n')]))
    assert.equal((await whole.receiveResponse()).text, expected)
    whole.get('/', 'a.example.org')
    assert.equal((await whole.receiveResponse()).text, expected, 'and each request after it')
    await using pieces = await connect(port)
    for (const octet of header) await pieces.sendAll(Buffer.from([octet]))
    pieces.get('/', 'a.example.org')
    assert.equal((await pieces.receiveResponse()).text, expected)
  }
  await until(() => https.serai.accessLog.some(({ client }) => client === '203.0.113.7'), { what: 'the client in the access log' })
})

test('a large upload right behind the header arrives whole', async () => {
  await using https = await start()
  await using client = await connect(https.serai.port)
  const body = Buffer.alloc(3_000_000, 'x')
  await client.sendAll(Buffer.concat([Buffer.from(`${HEADER}POST / HTTP/1.1\r\nHost: a.example.org\r\nContent-Length: ${body.length}\r\n\r\n`), body]))
  assert.equal((await client.receiveResponse()).text, '203.0.113.7 8443 http')
  await until(() => https.serai.accessLog.some(({ bytes_in: bytes }) => bytes === body.length), { what: 'all of it in the access log' })
})

test('TLS behind the header', async () => {
  await using https = await start()
  for (const [header, expected] of [[Buffer.from(HEADER), '203.0.113.7 8443 https'], [V2, '203.0.113.8 443 https']] as const) {
    const below = await connect(https.port)
    below.send(header)
    const socket = tls.connect({ socket: below.socket, servername: 'a.example.org', ca: authority.ca })
    await once(socket, 'secureConnect')
    await using client = new Client(socket, 5000, true)
    client.get('/', 'a.example.org')
    assert.equal((await client.receiveResponse()).text, expected)
  }
})

test('without a good header, or from somebody who is no balancer, nobody gets in', async () => {
  await using https = await start()
  for (const bytes of ['GET / HTTP/1.1\r\nHost: a.example.org\r\n\r\n', 'PROXY TCP4 nobody nobody 1 1\r\n']) {
    await using client = await connect(https.serai.port)
    client.send(bytes)
    assert.equal((await client.receiveUntilClose()).length, 0)
  }
  const elsewhere = Number(https.serai.listeners['elsewhere']!.split(':').at(-1))
  await using stranger = await connect(elsewhere)
  stranger.send(`${HEADER}GET / HTTP/1.1\r\nHost: a.example.org\r\n\r\n`)
  assert.equal((await stranger.receiveUntilClose().catch(() => Buffer.alloc(0))).length, 0)
  assert.match(String((await https.serai.ask('/metrics')).body), /^serai_tls_handshake_failures_total\{reason="proxy_header"\} 3$/m)
  assert.equal(https.backend.count, 0)
})

test('the limit for one address counts clients, not the balancer', async () => {
  await using https = await start({ limits: { connectionsPerAddress: 2 } })
  const open = async (address: string): Promise<Client> => {
    const client = await connect(https.serai.port)
    client.send(`PROXY TCP4 ${address} 192.0.2.1 50000 443\r\nGET / HTTP/1.1\r\nHost: a.example.org\r\n\r\n`)
    return client
  }
  await using clients = new AsyncDisposableStack()
  for (const address of ['203.0.113.1', '203.0.113.1', '203.0.113.2', '203.0.113.2', '203.0.113.3']) {
    assert.equal((await clients.use(await open(address)).receiveResponse()).status, 200)
  }
  const third = clients.use(await open('203.0.113.1'))
  assert.equal((await third.receiveUntilClose().catch(() => Buffer.alloc(0))).length, 0)
  assert.match(String((await https.serai.ask('/metrics')).body), /^serai_connections_refused_total 1$/m)
})
