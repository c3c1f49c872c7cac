// scheme=https: the upstream is verified for the name that the request is for, unless a tag says otherwise; failing that, it is not reached.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { startBackend } from '#test/support/backend.ts'
import { makeAuthority } from '#test/support/certificates.ts'
import { connect, get } from '#test/support/client.ts'
import { startDnsServer } from '#test/support/dns-server.ts'
import { makeFolder } from '#test/support/folder.ts'
import { startSerai, type Serai, type ServiceEntry } from '#test/support/serai.ts'
import { settled } from '#test/support/settled.ts'
import { startTlsBackend } from '#test/support/tls-backend.ts'
import { until } from '#test/support/until.ts'

const authority = makeAuthority()
const goodFor = (...names: string[]): ReturnType<typeof authority.issue> => authority.issue(names)

/** Starts Serai, which trusts only our authority. */
async function start(services: readonly ServiceEntry[], upstream: Readonly<Record<string, unknown>> = {}): Promise<Serai & AsyncDisposable> {
  const folder = await makeFolder()
  const serai = await startSerai({ services, config: { workers: 1, trust: { forwarded: ['127.0.0.1/32'] }, upstream: { ca: await folder.write('ca.pem', authority.ca), ...upstream } } })
  await folder[Symbol.asyncDispose]()
  return serai
}

const service = (name: string, address: string | readonly string[], ...tags: string[]): ServiceEntry =>
  ({ name, tags: ['serai.scheme=https', `serai.host=${name}.test`, ...tags], instances: [address].flat() })

test('the certificate is verified for the host of the request, which is sent as SNI; an idle connection is used again', async () => {
  await using backend = await startTlsBackend(goodFor('a.test'))
  await using serai = await start([service('a', backend.address)])
  await using client = await connect(serai.port)
  for (let time = 0; time < 5; time++) {
    client.get('/', 'a.test:8080')
    assert.equal((await client.receiveResponse()).text, 'ok')
  }
  assert.deepEqual(backend.requests, Array.from({ length: 5 }, () => ({ line: 'GET /', serverName: 'a.test', connection: 0 })))
})

test('a certificate that does not do is a failed connect: 502, nothing is sent, and the debug header says why', async (t) => {
  await using stack = new AsyncDisposableStack()
  const cases = await Promise.all([
    { host: 'name', certificate: goodFor('other.test'), why: 'ERR_TLS_CERT_ALTNAME_INVALID' },
    { host: 'expired', certificate: authority.issue(['expired.test'], -1), why: 'CERT_HAS_EXPIRED' },
    { host: 'unknown', certificate: makeAuthority('Somebody').issue(['unknown.test']), why: 'UNABLE_TO_' },
  ].map(async (each) => ({ ...each, backend: stack.use(await startTlsBackend(each.certificate)) })))
  await using serai = await start(cases.map(({ host, backend }) => service(host, backend.address)))
  for (const { host, why, backend } of cases) {
    const response = await get(serai.port, '/', `${host}.test`, 'Serai-Debug: 1')
    assert.equal(response.status, 502)
    assert.match(response.headers.get('serai-debug') ?? '', new RegExp(`failure=connect: ${why}`))
    assert.deepEqual(backend.requests, [])
    await until(() => serai.accessLog.some((record) => record['host'] === `${host}.test` && record['reason'] === 'connect_failed'), { what: 'the access record' })
    t.diagnostic(response.headers.get('serai-debug') ?? '')
  }
})

test('an upstream that does not speak TLS, or says nothing, is a failed connect', async () => {
  await using fine = await startTlsBackend(goodFor('a.test'))
  await using plain = await startBackend()
  await using mute = await startBackend({ onConnection: (connection) => connection.pause() })
  await using serai = await start([service('plain', plain.address), service('mute', mute.address), service('fine', fine.address, 'serai.upstream.tls.servername=a.test')], { connect: '300ms' })
  assert.equal((await get(serai.port, '/', 'plain.test')).status, 502)
  assert.equal((await get(serai.port, '/', 'mute.test')).status, 502)
  assert.equal((await get(serai.port, '/', 'fine.test')).status, 200)
})

test('a failed handshake is safe to repeat: POSTs reach the other endpoint, each once', async (t) => {
  await using bad = await startTlsBackend(authority.issue(['a.test'], -1))
  await using good = await startTlsBackend(goodFor('a.test'))
  await using serai = await start([service('a', [bad.address, good.address])])
  for (let at = 0; at < 30; at++) {
    await using client = await connect(serai.port)
    client.send(`POST /${at} HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nbody`)
    assert.equal((await client.receiveResponse()).status, 200)
  }
  assert.deepEqual(good.requests.map(({ line }) => line), Array.from({ length: 30 }, (_, at) => `POST /${at}`))
  const states = (await serai.ask('/api/services')).body as { services: { endpoints: { address: string; state: string; why: string }[] }[] }
  const endpoint = states.services[0]!.endpoints.find(({ address }) => address === bad.address)
  t.diagnostic(`30 POSTs, 30 answered, ${good.requests.length} arrived; the bad endpoint: ${endpoint?.state} ${endpoint?.why}`)
})

test('a server name of its own, an unverified one, and a name by DNS', async () => {
  await using dns = await startDnsServer({ 'backend.test': ['127.0.0.1'] }, 30)
  await using named = await startTlsBackend(goodFor('internal.test'))
  await using unverified = await startTlsBackend(makeAuthority('Somebody').issue(['elsewhere.test']))
  await using serai = await start([
    service('named', named.address, 'serai.upstream.tls.servername=internal.test'),
    service('open', unverified.address, 'serai.upstream.tls.skipverify=true'),
    service('strict', unverified.address),
    service('dns', `backend.test:${named.port}`, 'serai.upstream.tls.servername=internal.test'),
  ], { dns: [dns.address] })
  assert.equal((await get(serai.port, '/', 'named.test')).status, 200)
  assert.equal((await get(serai.port, '/', 'open.test')).status, 200)
  // The same address, verified: it must not get hold of the unverified connection.
  assert.equal((await get(serai.port, '/', 'strict.test')).status, 502)
  assert.equal((await get(serai.port, '/', 'dns.test')).status, 200)
  assert.deepEqual(named.requests.map(({ serverName }) => serverName), ['internal.test', 'internal.test'])
  assert.deepEqual(unverified.requests.map(({ serverName }) => serverName), ['open.test'])
  const { services } = (await serai.ask('/api/services')).body as { services: { key: string; unverified?: true }[] }
  assert.deepEqual(services.filter((service) => service.unverified).map(({ key }) => key), ['open@file/default'])
})

test('a connection that was verified for one host is never used for another', async (t) => {
  await using backend = await startTlsBackend(goodFor('a.test', 'b.test', 'c.test'))
  await using serai = await start([{ name: 'web', tags: ['serai.scheme=https', 'serai.host=*.test'], instances: [backend.address] }])
  await using client = await connect(serai.port)
  for (let time = 0; time < 4; time++) {
    for (const [host, status] of [['a.test', 200], ['b.test', 200], ['c.test', 200], ['d.test', 502]] as const) {
      client.get(`/${host}`, host)
      assert.equal((await client.receiveResponse()).status, status)
    }
  }
  assert.ok(backend.requests.every(({ line, serverName }) => line === `GET /${String(serverName)}`), JSON.stringify(backend.requests))
  t.diagnostic(`12 requests to 3 names over ${new Set(backend.requests.map(({ connection }) => connection)).size} connections`)
})

test('bodies of 64 MiB both ways, to a reader that stops too, arrive as they were sent', async (t) => {
  const PIECES = 64
  const piece = randomBytes(1024 * 1024)
  const length = PIECES * piece.length
  const digest = createHash('sha256')
  for (let time = 0; time < PIECES; time++) digest.update(piece)
  const expected = digest.digest('hex')
  let sent = 0
  await using backend = await startTlsBackend(goodFor('a.test'), (request, response) => {
    if (request.method === 'POST') {
      const hash = createHash('sha256')
      request.on('data', (chunk: Buffer) => hash.update(chunk)).on('end', () => response.end(hash.digest('hex')))
      return
    }
    response.setHeader('Content-Length', length)
    const write = (): void => {
      while (sent < PIECES) if (sent++, !response.write(piece)) return void response.once('drain', write)
      response.end()
    }
    write()
  })
  await using serai = await start([service('a', backend.address)])

  await using up = await connect(serai.port)
  up.send(`POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${length}\r\n\r\n`)
  for (let time = 0; time < PIECES; time++) await up.sendAll(piece)
  assert.equal((await up.receiveResponse()).text, expected)

  await using down = await connect(serai.port, { record: false })
  down.get('/', 'a.test')
  await down.receiveHead()
  const hash = createHash('sha256')
  down.socket.pause()
  const reached = await settled(() => sent, 'the backend, which nobody reads from')
  down.socket.resume()
  for (let time = 0; time < PIECES; time++) hash.update(await down.receiveBytes(piece.length))
  assert.equal(hash.digest('hex'), expected)
  assert.ok(reached < PIECES, 'the backend was never held back')
  t.diagnostic(`64 MiB up and down over TLS: SHA-256 ${expected.slice(0, 16)}… both times; the upstream was held back after ${reached} MiB`)
})
