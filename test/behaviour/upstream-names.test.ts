// Endpoints that are names: every address of a name counts, changes are followed, and a DNS that fails changes nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startBackend } from '#test/support/backend.ts'
import { connect, get } from '#test/support/client.ts'
import { startDnsServer, type DnsServer } from '#test/support/dns-server.ts'
import { startSerai, type Serai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'

const start = (dns: DnsServer, address: string): Promise<Serai> => startSerai({
  services: [{ name: 'web', tags: ['serai.host=a.test'], instances: [address] }],
  config: { workers: 1, upstream: { dns: [dns.address] } },
})

test('one of two addresses of a name is dead: the other answers, on the first attempt', async () => {
  await using backend = await startBackend()
  await using dns = await startDnsServer({ 'web.test': ['127.0.0.1', '127.0.0.9'] }, 60)
  await using serai = await start(dns, `web.test:${backend.port}`)
  for (let time = 0; time < 20; time++) {
    // Each with a connection of its own: `close` keeps none idle.
    assert.equal((await get(serai.port, '/', 'a.test')).status, 200)
    for (const { socket } of backend.connections) socket.destroy()
  }
  assert.deepEqual(dns.questions.sort(), ['A web.test', 'AAAA web.test'])
})

test('both families: a name with an IPv6 address alone', async () => {
  await using backend = await startBackend({ host: '::1' })
  await using dns = await startDnsServer({ 'web.test': ['::1'] }, 60)
  await using serai = await start(dns, `web.test:${backend.port}`)
  assert.equal((await get(serai.port, '/', 'a.test')).status, 200)
})

test('an IPv6 address in the services file', async () => {
  await using backend = await startBackend({ host: '::1' })
  await using dns = await startDnsServer()
  await using serai = await start(dns, backend.address)
  assert.equal((await get(serai.port, '/', 'a.test')).status, 200)
  assert.equal(backend.address, `[::1]:${backend.port}`)
})

test('a name that moves takes its requests with it after its TTL, busy connections too', async (t) => {
  await using old = await startBackend()
  await using next = await startBackend({ host: '127.0.0.2', port: old.port })
  await using dns = await startDnsServer({ 'web.test': ['127.0.0.1'] }, 1)
  await using serai = await start(dns, `web.test:${old.port}`)
  await using client = await connect(serai.port)
  let asked = 0
  const ask = async (): Promise<void> => {
    asked++
    client.get('/', 'a.test')
    assert.equal((await client.receiveResponse()).status, 200)
  }
  await ask()
  dns.names.set('web.test', ['127.0.0.2'])
  const moved = performance.now()
  await until(async () => {
    await ask()
    return next.requests.length > 0
  }, { what: 'a request at the new address' })
  t.diagnostic(`TTL 1 s: the first request at the new address after ${((performance.now() - moved) / 1000).toFixed(1)} s; ${asked} requests, none failed`)
  const before = old.requests.length
  for (let time = 0; time < 5; time++) await ask()
  assert.equal(old.requests.length, before)
})

test('DNS goes down, then its answers run out: requests go on with the last ones', async () => {
  await using backend = await startBackend({ respond: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok' })
  await using dns = await startDnsServer({ 'web.test': ['127.0.0.1'] }, 1)
  await using serai = await start(dns, `web.test:${backend.port}`)
  assert.equal((await get(serai.port, '/', 'a.test')).status, 200)
  dns.mode = 'silent'
  const asked = dns.questions.length
  await until(async () => {
    assert.equal((await get(serai.port, '/', 'a.test')).status, 200)
    return dns.questions.length > asked
  }, { what: 'the answer running out' })
  for (let time = 0; time < 10; time++) assert.equal((await get(serai.port, '/', 'a.test')).status, 200)
})

test('a name that does not exist is a failed connect, and no more', async () => {
  await using dns = await startDnsServer()
  await using serai = await start(dns, 'web.test:80')
  assert.equal((await get(serai.port, '/', 'a.test')).status, 502)
  await until(() => serai.accessLog.some(({ reason, endpoint }) => reason === 'connect_failed' && endpoint === 'web.test:80'), { what: 'the access record' })
})
