// Client certificates by host: who has none, or another's, is not let in, and upstreams learn the subject from us alone.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { connect as connectSocket, createServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { makeAuthority } from '#test/support/certificates.ts'
import { connect, get } from '#test/support/client.ts'
import { makeFolder } from '#test/support/folder.ts'
import { startHttpBackend, type HttpBackend } from '#test/support/http-backend.ts'
import { authority, connectTls, startHttps, type Https } from '#test/support/https.ts'
import { needs } from '#test/support/real-servers.ts'
import { run } from '#test/support/run.ts'
import { DEADLINE_MS, until, within } from '#test/support/until.ts'

const people = makeAuthority('People')
const alice = people.issue([], 30, { subject: 'alice' })
const FIELD = 'x-forwarded-tls-client-subject'

/** `a` requires client certificates, `b` asks for them, `c` does not; one certificate for all. */
async function start(): Promise<Https & { readonly backend: HttpBackend }> {
  await using cleanUp = new AsyncDisposableStack()
  const backend = cleanUp.use(await startHttpBackend((request, response) => response.end(String(request.headers[FIELD] ?? 'nobody'))))
  const hosts = ['a.example.org', 'b.example.org', 'c.example.org']
  const folder = cleanUp.use(await makeFolder())
  const ca = await folder.write('people.pem', people.ca)
  const https = cleanUp.use(await startHttps({
    services: [{ name: 'web', tags: hosts.map((host) => `serai.host=${host}`), instances: [backend.address] }],
    certificates: { all: authority.issue(hosts) },
    tls: { clients: [{ hosts: ['a.example.org'], ca }, { hosts: ['b.example.org'], mode: 'request', ca }] },
    config: { trust: { forwarded: ['127.0.0.1/32'] } },
  }))
  const running = cleanUp.move()
  return { ...https, backend, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

async function ask(https: Https, host: string, options: object, servername = host): Promise<{ readonly status: number; readonly text: string }> {
  await using client = await connectTls(https.port, { servername, ...options })
  client.get('/', host, `${FIELD}: forged`, 'X_Forwarded_Tls_Client_Subject: forged', `Connection: ${FIELD}`)
  return await client.receiveResponse()
}

/** Reloads with client certificates required for one host more. */
async function requireFor({ serai }: Https, host: string): Promise<void> {
  const file = `${serai.folder}/serai.yaml`
  const config = JSON.parse(await readFile(file, 'utf8')) as { tls: { clients: { hosts: string[] }[] } }
  config.tls.clients[0]!.hosts.push(host)
  await writeFile(`${file}.new`, JSON.stringify(config))
  await rename(`${file}.new`, file)
  await until(() => serai.logs.some(({ msg }) => msg === 'the config was read again'), { what: 'the reload' })
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`${version}: a host that requires one serves those who have it, and nobody else`, async () => {
    await using https = await start()
    const versions = { minVersion: version, maxVersion: version }
    assert.equal((await ask(https, 'a.example.org', { ...alice, ...versions })).text, 'CN=alice')
    const strangers = makeAuthority('Strangers').issue([], 30, { subject: 'alice' })
    const expired = people.issue([], -1, { subject: 'alice' })
    for (const wrong of [{}, strangers, expired]) await assert.rejects(ask(https, 'a.example.org', { ...wrong, ...versions }))
    assert.equal(https.backend.count, 1)
    await until(async () => /reason="client_certificate"\} 3/.test(String((await https.serai.ask('/metrics')).body)), { what: 'three failures' })
  })
}

test('a host that asks for one takes nobody too, but no other; what clients, or trusted peers, say of a subject goes no further', async () => {
  await using https = await start()
  assert.equal((await ask(https, 'b.example.org', alice)).text, 'CN=alice')
  assert.equal((await ask(https, 'b.example.org', {})).text, 'nobody')
  await assert.rejects(ask(https, 'b.example.org', makeAuthority('Strangers').issue([], 30, { subject: 'alice' })))
  assert.equal((await ask(https, 'c.example.org', alice)).text, 'nobody')
})

test('no way round it: by another SNI, without one, in the clear, or by a session of another host', async () => {
  await using https = await start()
  assert.equal((await ask(https, 'a.example.org', {}, 'c.example.org')).status, 421)
  assert.equal((await ask(https, 'a.example.org', alice, 'b.example.org')).status, 421)
  assert.equal((await get(https.serai.port, '/', 'a.example.org')).status, 421)
  assert.equal((await get(https.serai.port, '/', 'c.example.org')).status, 200)
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    await using first = await connectTls(https.port, { servername: 'c.example.org', maxVersion })
    const session = Promise.withResolvers<Buffer>()
    first.socket.on('session', session.resolve)
    first.get('/', 'c.example.org')
    await first.receiveResponse()
    const ticket = maxVersion === 'TLSv1.2' ? first.socket.getSession()! : await session.promise
    await using again = await connectTls(https.port, { servername: 'c.example.org', maxVersion, session: ticket })
    assert.equal(again.socket.isSessionReused(), true, 'the session is good where it is from')
    await assert.rejects(ask(https, 'a.example.org', { session: ticket, maxVersion }))
  }
  assert.equal(https.backend.count, 3)
})

test('a subject with whatever characters is one line that says no more than it is', async () => {
  await using https = await start()
  const odd = people.issue([], 30, { subject: 'Ål, +1\r\nX-Admin: 1' })
  const { text } = await ask(https, 'b.example.org', odd)
  assert.match(text, /^CN=[ -~]+$/)
  assert.equal(text.includes('\n'), false)
  assert.match(text, /^CN=%C3%85l\\, \\\+1\\0D\\0AX-Admin: 1$/)
})

test('curl and openssl with a client certificate', async (t) => {
  const [curl, openssl] = [needs(t, 'curl'), needs(t, 'openssl')]
  if (curl === undefined || openssl === undefined) return
  await using https = await start()
  const [cert, key] = [await https.folder.write('alice.pem', alice.cert), await https.folder.write('alice.key', alice.key)]
  const to = ['--silent', '--show-error', '--cacert', https.folder.file('ca.pem'), '--resolve', `a.example.org:${https.port}:127.0.0.1`, `https://a.example.org:${https.port}/`]
  assert.equal((await run(curl, ['--cert', cert, '--key', key, ...to])).stdout, 'CN=alice')
  const refused = await run(curl, to)
  assert.notEqual(refused.code, 0)
  for (const version of ['-tls1_2', '-tls1_3']) {
    const { stdout } = await run(openssl, ['s_client', '-connect', `127.0.0.1:${https.port}`, '-servername', 'a.example.org', '-cert', cert, '-key', key, version, '-ign_eof'], {
      input: 'GET / HTTP/1.1\r\nHost: a.example.org\r\nConnection: close\r\n\r\n',
    })
    assert.match(stdout, /Acceptable client certificate CA names\s+CN = People/)
    assert.match(stdout, /HTTP\/1\.1 200 OK[^]*CN=alice/)
  }
})

test('a connection from before the policy may not be used after it', async () => {
  await using https = await start()
  await using client = await connectTls(https.port, { servername: 'c.example.org' })
  client.get('/', 'c.example.org')
  assert.equal((await client.receiveResponse()).status, 200)
  await requireFor(https, 'c.example.org')
  client.get('/', 'c.example.org')
  assert.equal((await client.receiveResponse()).status, 421)
  await using plain = await connect(https.serai.port)
  plain.get('/', 'c.example.org')
  assert.equal((await plain.receiveResponse()).status, 421)
})

test('a handshake from before the policy, ended after it, does not count as one under it', async () => {
  await using https = await start()
  await using cleanUp = new AsyncDisposableStack()
  const gate = Promise.withResolvers<void>()
  const held = Promise.withResolvers<void>()
  // Lets the ClientHello through, and what follows only when the gate opens.
  const relay = createServer((client) => {
    const onward = connectSocket(https.port, '127.0.0.1')
    onward.pipe(client)
    client.once('data', (hello) => {
      onward.write(hello)
      client.once('data', (rest) => {
        client.pause()
        held.resolve()
        void gate.promise.then(() => { onward.write(rest); client.pipe(onward) })
      })
    })
    for (const side of [client, onward]) side.on('error', () => { client.destroy(); onward.destroy() })
  }).listen(0, '127.0.0.1')
  cleanUp.defer(() => { relay.close() })
  await once(relay, 'listening')
  await using client = await connectTls((relay.address() as AddressInfo).port, { servername: 'c.example.org', minVersion: 'TLSv1.3' })
  await within(held.promise, DEADLINE_MS, () => 'the second flight')
  await requireFor(https, 'c.example.org')
  gate.resolve()
  for (let time = 0; time < 2; time++) {
    client.get('/', 'c.example.org')
    assert.equal((await client.receiveResponse()).status, 421)
  }
  assert.equal(https.backend.count, 0)
})

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`${maxVersion}: no session stands in for a client certificate, which may have expired since`, async () => {
    await using https = await start()
    for (const [host, without] of [['a.example.org', 'refused'], ['b.example.org', 'nobody']] as const) {
      await using first = await connectTls(https.port, { servername: host, maxVersion, ...alice })
      let session: Buffer | undefined = first.socket.getSession()
      first.socket.on('session', (issued: Buffer) => { session = issued })
      first.get('/', host)
      assert.equal((await first.receiveResponse()).text, 'CN=alice')
      await using again = await connectTls(https.port, { servername: host, maxVersion, session, ...alice })
      again.get('/', host)
      assert.equal((await again.receiveResponse()).text, 'CN=alice')
      assert.equal(again.socket.isSessionReused(), false)
      assert.equal(await ask(https, host, { maxVersion, session }).then(({ text }) => text, () => 'refused'), without)
    }
  })
}
