// Clients that mean ill before TLS stands: slow, endless, broken or silent ones are ended in time, and nobody else notices.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { test } from 'node:test'
import tls from 'node:tls'
import { connect, type Client } from '#test/support/client.ts'
import { startHttpBackend } from '#test/support/http-backend.ts'
import { authority, connectTls, startHttps, type Https } from '#test/support/https.ts'
import { realHello } from '#test/support/real-hello.ts'
import { until } from '#test/support/until.ts'

const count = async ({ serai }: Https, reason: string): Promise<number> =>
  Number(new RegExp(`^serai_tls_handshake_failures_total\\{reason="${reason}"\\} (\\d+)$`, 'm').exec(String((await serai.ask('/metrics')).body))?.[1] ?? -1)

test('a ClientHello that comes octet by octet is a handshake like any other', async () => {
  await using backend = await startHttpBackend('ok')
  await using https = await startHttps({ services: [{ name: 'web', tags: ['serai.host=a.example.org'], instances: [backend.address] }] })
  // A relay that passes on what it gets in single octets, each in a segment of its own.
  const relay = net.createServer({ noDelay: true }, (from) => {
    const to = net.connect({ port: https.port, host: '127.0.0.1', noDelay: true })
    for (const socket of [from, to]) socket.on('error', () => undefined)
    to.pipe(from)
    from.on('data', (bytes) => { for (const octet of bytes as Buffer) to.write(Buffer.from([octet])) })
    from.on('close', () => to.destroy())
  }).listen(0, '127.0.0.1')
  await once(relay, 'listening')
  await using client = await connectTls((relay.address() as net.AddressInfo).port, { ecdhCurve: 'X25519MLKEM768' })
  client.get('/', 'a.example.org')
  assert.equal((await client.receiveResponse()).text, 'ok')
  relay.close()
})

test('who says nothing, stops in the middle, or stalls after our answer is ended after client.handshake, and holds nothing', async () => {
  await using https = await startHttps({ config: { client: { handshake: '300ms' } } })
  const hello = await realHello({ servername: 'a.example.org' })
  const openers: Readonly<Record<string, Buffer>> = { nothing: Buffer.alloc(0), 'half a hello': hello.subarray(0, 100), 'a hello': hello }
  const clients: Client[] = []
  for (const bytes of Object.values(openers)) {
    const client = await connect(https.port)
    if (bytes.length > 0) client.send(bytes)
    clients.push(client)
  }
  for (const client of clients) assert.match(await client.closed, /fin|reset/)
  assert.equal(await count(https, 'timeout'), 3)
  await until(async () => /^serai_connections\{listener="https"\} 0$/m.test(String((await https.serai.ask('/metrics')).body)), { what: 'no connection' })
  for (const client of clients) await client[Symbol.asyncDispose]()
})

test('hellos that are none: each is ended with its alert and counted', async () => {
  await using https = await startHttps({})
  const hello = await realHello({ servername: 'a.example.org' })
  const broken = Buffer.from(hello)
  broken[43] = 200 // the length of the session id
  for (const [bytes, answer] of [
    [Buffer.from([0x80, 0x2e, 1, 3, 1, 0, 0x15]), [21, 3, 3, 0, 2, 2, 70]],
    [broken, [21, 3, 3, 0, 2, 2, 50]],
    [Buffer.from([22, 3, 1, 0x40, 0, 1, 1, 0, 0]), [21, 3, 3, 0, 2, 2, 50]],
    [Buffer.concat(Array.from({ length: 40 }, () => Buffer.from([22, 3, 1, 0, 1, 1]))), [21, 3, 3, 0, 2, 2, 50]],
  ] as const) {
    await using client = await connect(https.port)
    client.send(bytes)
    assert.deepEqual([...await client.receiveUntilClose()], answer)
  }
  assert.equal(await count(https, 'bad_hello'), 4)
  await using random = await connect(https.port)
  random.send(Buffer.from([0, 1, 2, 3, 4, 5, 6, 7]))
  assert.equal((await random.receiveUntilClose()).length, 0)
  assert.equal(await count(https, 'not_tls'), 1)
})

test('what cannot be decrypted after the handshake ends that connection', async () => {
  await using https = await startHttps({})
  const raw = net.connect({ port: https.port, host: '127.0.0.1' })
  const client = tls.connect({ socket: raw, ca: authority.ca, servername: 'a.example.org' })
  client.on('error', () => undefined)
  await once(client, 'secureConnect')
  raw.write(Buffer.from([23, 3, 3, 0, 20, ...Array.from({ length: 20 }, () => 7)]))
  await new Promise((resolve) => client.once('close', resolve))
  await until(async () => /^serai_connections\{listener="https"\} 0$/m.test(String((await https.serai.ask('/metrics')).body)), { what: 'no connection' })
  await using next = await connectTls(https.port)
  assert.equal(next.socket.authorized, true)
})

test('under hundreds of handshakes that go nowhere, others are served', async (t) => {
  await using backend = await startHttpBackend('ok')
  await using https = await startHttps({ services: [{ name: 'web', tags: ['serai.host=a.example.org'], instances: [backend.address] }] })
  const hello = await realHello({ servername: 'a.example.org' })
  const stalled = await Promise.all(Array.from({ length: 300 }, async (_, at) => {
    const client = await connect(https.port)
    if (at % 3 > 0) client.send(at % 3 === 1 ? hello : hello.subarray(0, 50))
    return client
  }))
  await using client = await connectTls(https.port)
  const times: number[] = []
  for (let request = 0; request < 200; request++) {
    const begun = performance.now()
    client.get('/', 'a.example.org')
    assert.equal((await client.receiveResponse()).status, 200)
    times.push(performance.now() - begun)
  }
  t.diagnostic(`300 stalled; p99 of others ${times.sort((a, b) => a - b)[198]!.toFixed(1)} ms`)
  for (const each of stalled) each.reset()
  await until(async () => /^serai_connections\{listener="https"\} 1$/m.test(String((await https.serai.ask('/metrics')).body)), { what: 'the stalled ones to be gone' })
})
