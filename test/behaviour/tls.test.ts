// TLS with clients: the certificate for the name that is asked for, the same HTTP behind it, and clear answers where nothing fits.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { test } from 'node:test'
import tls from 'node:tls'
import { connect, get } from '#test/support/client.ts'
import { startHttpBackend } from '#test/support/http-backend.ts'
import { authority, connectTls, startHttps } from '#test/support/https.ts'
import { needs } from '#test/support/real-servers.ts'
import { run } from '#test/support/run.ts'
import type { ServiceEntry } from '#test/support/serai.ts'
import { DEADLINE_MS, until, within } from '#test/support/until.ts'

const web = (address: string, ...hosts: string[]): ServiceEntry => ({ name: 'web', tags: hosts.map((host) => `serai.host=${host}`), instances: [address] })
const UNRECOGNIZED_NAME = [21, 3, 3, 0, 2, 2, 112]

test('the certificate is that of the name: exact before wildcard, whatever its case', async () => {
  await using backend = await startHttpBackend((request, response) => response.end(request.headers['x-forwarded-proto'] as string))
  await using https = await startHttps({
    services: [web(backend.address, 'a.example.org', '*.example.org')],
    certificates: { a: authority.issue(['a.example.org'], 30, { subject: 'exact' }), wild: authority.issue(['*.example.org'], 30, { subject: 'wildcard' }) },
  })
  for (const [servername, subject] of [['a.example.org', 'exact'], ['A.EXAMPLE.ORG', 'exact'], ['b.example.org', 'wildcard']] as const) {
    await using client = await connectTls(https.port, { servername })
    assert.equal(client.socket.getPeerCertificate().subject.CN, subject)
    assert.equal(client.socket.getProtocol(), 'TLSv1.3')
    client.get('/', servername)
    assert.equal((await client.receiveResponse()).text, 'https')
  }
})

test('a name without a certificate, or none at all, gets the alert unrecognized_name and is counted', async () => {
  await using https = await startHttps({})
  for (const servername of ['b.example.org', 'x.a.example.org', '']) {
    await assert.rejects(connectTls(https.port, { servername }), (error: NodeJS.ErrnoException) => {
      assert.match(String(error.code), /UNRECOGNIZED_NAME/)
      return true
    })
  }
  assert.match(String((await https.serai.ask('/metrics')).body), /^serai_tls_handshake_failures_total\{reason="unknown_name"\} 3$/m)
  const told = https.serai.logs.filter(({ reason }) => reason === 'unknown_name')
  assert.deepEqual(told.map(({ serverName, address, level }) => [serverName, address, level]), ['b.example.org', 'x.a.example.org', ''].map((name) => [name, '127.0.0.1', 'debug']))
})

test('the default certificate is for clients without a name, and for names that no other has', async () => {
  await using backend = await startHttpBackend('ok')
  await using https = await startHttps({
    services: [web(backend.address, 'a.example.org', 'c.example.org')], default: 'other',
    certificates: { a: authority.issue(['a.example.org']), other: authority.issue(['other.example.org']) },
  })
  for (const servername of ['', 'c.example.org']) {
    await using client = await connectTls(https.port, { servername, checkServerIdentity: () => undefined })
    assert.equal(client.socket.getPeerCertificate().subject.CN, 'other.example.org')
    client.get('/', 'c.example.org')
    assert.equal((await client.receiveResponse()).status, 200)
  }
})

test('both kinds of key for one name: clients get what they can verify', async () => {
  await using https = await startHttps({ certificates: { ec: authority.issue(['a.example.org']), rsa: authority.issue(['a.example.org'], 30, { kind: 'rsa' }) } })
  for (const [sigalgs, kind] of [['ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256', 'ec'], ['rsa_pss_rsae_sha256:ecdsa_secp256r1_sha256', 'rsa']] as const) {
    await using client = await connectTls(https.port, { sigalgs: kind === 'rsa' ? 'rsa_pss_rsae_sha256' : sigalgs, rejectUnauthorized: false })
    assert.equal(client.socket.getPeerX509Certificate()?.publicKey.asymmetricKeyType, kind)
  }
})

test('curl: a request, a large response and a large upload, over TLS 1.2 and 1.3, HTTP/1.1 and HTTP/2', async (t) => {
  const curl = needs(t, 'curl')
  if (curl === undefined) return
  const large = randomBytes(8 * 1024 * 1024)
  const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
  await using backend = await startHttpBackend((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => response.end(request.method === 'PUT' ? digest(Buffer.concat(parts)) : large))
  })
  await using https = await startHttps({ services: [web(backend.address, 'a.example.org')] })
  const body = await https.folder.write('body', large)
  const to = ['--silent', '--show-error', '--cacert', https.folder.file('ca.pem'), '--resolve', `a.example.org:${https.port}:127.0.0.1`]
  for (const version of ['1.2', '1.3']) {
    for (const [wanted, spoken] of [['--http1.1', '1.1'], ['--http2', '2']] as const) {
      const by = [...to, `--tlsv${version}`, '--tls-max', version, wanted]
      const down = await run(curl, [...by, '--output', https.folder.file('down'), '--write-out', '%{http_code} %{http_version} %{size_download}', `https://a.example.org:${https.port}/`])
      assert.deepEqual([down.code, down.stdout], [0, `200 ${spoken} ${large.length}`], down.stderr)
      const up = await run(curl, [...by, '--upload-file', body, '--write-out', ' %{http_version}', `https://a.example.org:${https.port}/up`])
      assert.deepEqual([up.code, up.stdout], [0, `${digest(large)} ${spoken}`], up.stderr)
    }
  }
})

test('openssl: versions, ciphers and protocols of old are refused with their alerts; nobody renegotiates', async (t) => {
  const openssl = needs(t, 'openssl')
  if (openssl === undefined) return
  await using https = await startHttps({ certificates: { a: authority.issue(['a.example.org'], 30, { kind: 'rsa' }) } })
  const ask = (...args: string[]): ReturnType<typeof run> => run(openssl, ['s_client', '-connect', `127.0.0.1:${https.port}`, '-servername', 'a.example.org', '-CAfile', https.folder.file('ca.pem'), ...args])
  for (const [args, expected] of [
    [['-tls1_3'], /Protocol *: TLSv1\.3|New, TLSv1\.3/], [['-tls1_2'], /Protocol *: TLSv1\.2/], [['-alpn', 'http/1.1'], /ALPN protocol: http\/1\.1/],
    [['-alpn', 'spdy/3'], /alert no application protocol|alert number 120/], [['-tls1_2', '-cipher', 'AES128-SHA:@SECLEVEL=0'], /alert handshake failure|alert number 40/],
    [['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'], /alert protocol version|alert number 70/], [['-groups', 'X25519'], /X25519/],
  ] as const) {
    const { stdout, stderr } = await ask(...args)
    assert.match(stdout + stderr, expected, args.join(' '))
    if (args.length === 1) assert.match(stdout, /Verify return code: 0 \(ok\)/)
  }
  const { stdout, stderr } = await run(openssl, ['s_client', '-connect', `127.0.0.1:${https.port}`, '-servername', 'a.example.org', '-tls1_2', '-comp'], { input: 'R\n' })
  assert.match(stdout, /Compression: NONE/)
  assert.match(stdout + stderr, /no renegotiation|Secure Renegotiation IS NOT/i)
})

test('HTTP/2 over TLS 1.2: nobody renegotiates (RFC 9113 9.2.1)', async () => {
  await using https = await startHttps({})
  const socket = tls.connect({ host: '127.0.0.1', port: https.port, ca: authority.ca, servername: 'a.example.org', maxVersion: 'TLSv1.2', ALPNProtocols: ['h2'] })
  socket.on('error', () => undefined)
  await within(once(socket, 'data'), DEADLINE_MS, () => 'its SETTINGS') // what came in the middle of a handshake would be another error
  assert.equal(socket.alpnProtocol, 'h2')
  const refusal = Promise.withResolvers<Error | null>()
  socket.renegotiate({}, refusal.resolve)
  socket.once('error', refusal.resolve)
  assert.match(String(await within(refusal.promise, DEADLINE_MS, () => 'an answer')), /no renegotiation/i)
  socket.destroy()
})

test('TLS 1.2: of all that OpenSSL can do, only suites with ephemeral keys and authenticated encryption are taken, so HTTP/2 never runs over another (RFC 9113 9.2.2)', async () => {
  await using https = await startHttps({
    certificates: { rsa: authority.issue(['a.example.org'], 30, { kind: 'rsa' }), ec: authority.issue(['a.example.org'], 30, { kind: 'ec' }) },
  })
  const suites = tls.getCiphers().filter((name) => !name.startsWith('tls_'))
  assert.ok(suites.some((name) => name.endsWith('-cbc-sha') || name.endsWith('-sha')) && suites.includes('aes128-gcm-sha256'), 'OpenSSL has suites of the appendix')
  const taken = []
  for (const name of suites) {
    const client = await connectTls(https.port, { ciphers: `${name.toUpperCase()}:@SECLEVEL=0`, maxVersion: 'TLSv1.2', ALPNProtocols: ['h2', 'http/1.1'] }).catch(() => undefined)
    if (client === undefined) continue
    await using open = client
    assert.equal(open.socket.alpnProtocol, 'h2')
    taken.push(open.socket.getCipher().standardName)
  }
  // What appendix A of RFC 9113 prohibits is all else: no ephemeral key exchange, or a null, stream or block cipher.
  assert.deepEqual(taken.filter((name) => !/^TLS_(?:EC)?DHE_(?:RSA|ECDSA)_WITH_(?:AES_(?:128|256)_GCM|CHACHA20_POLY1305)_/.test(name)), [])
  assert.equal(taken.length, 6)
})

test('minVersion 1.3 refuses 1.2', async () => {
  await using https = await startHttps({ tls: { minVersion: '1.3' } })
  await assert.rejects(connectTls(https.port, { maxVersion: 'TLSv1.2' }), /protocol version/)
  await using client = await connectTls(https.port)
  assert.equal(client.socket.getProtocol(), 'TLSv1.3')
  await until(async () => /reason="no_common_terms"\} 1/.test(String((await https.serai.ask('/metrics')).body)), { what: 'the count' })
})

test('plain HTTP on the TLS port is a 400 that says so, and TLS on the plain port is refused at once', async () => {
  await using https = await startHttps({})
  await using plain = await connect(https.port)
  plain.get('/', 'a.example.org')
  const response = await plain.receiveResponse()
  assert.deepEqual([response.status, response.headers.get('connection')], [400, 'close'])
  assert.match(response.text, /plain HTTP was sent to a port that speaks TLS/)
  assert.equal(await plain.closed, 'fin')
  await assert.rejects(connectTls(https.serai.port), /wrong version number|packet length too long/)
  await until(() => https.serai.accessLog.some(({ reason }) => reason === 'malformed: TLS where plain HTTP is spoken'), { what: 'the reason in the access log' })
})

test('a Host of another certificate gets 421, one of the same certificate is served', async () => {
  await using backend = await startHttpBackend('ok')
  await using https = await startHttps({
    services: [web(backend.address, 'a.example.org', 'also.example.org', 'b.example.org')],
    certificates: { a: authority.issue(['a.example.org', 'also.example.org']), b: authority.issue(['b.example.org']) },
  })
  await using client = await connectTls(https.port)
  for (const [host, status] of [['a.example.org', 200], ['A.example.org:8443', 200], ['also.example.org', 200], ['b.example.org', 421], ['none.example.org', 421], ['a.example.org', 200]] as const) {
    client.get('/', host)
    assert.equal((await client.receiveResponse()).status, status, host)
  }
})

test('HSTS is in every response over TLS that has none of its own, and never in one without TLS', async () => {
  await using backend = await startHttpBackend((request, response) => {
    if (request.url === '/own') response.setHeader('Strict-Transport-Security', 'max-age=0')
    response.end('ok')
  })
  await using https = await startHttps({ services: [web(backend.address, 'a.example.org')], tls: { hsts: { maxAge: '365d', includeSubdomains: true } } })
  await using client = await connectTls(https.port)
  for (const [target, host, expected] of [['/', 'a.example.org', 'max-age=31536000; includeSubDomains'], ['/own', 'a.example.org', 'max-age=0'], ['/', 'none.example.org', 'max-age=31536000; includeSubDomains']] as const) {
    client.get(target, host)
    const response = await client.receiveResponse()
    assert.equal(response.headers.get('strict-transport-security'), expected, target + host)
  }
  assert.equal((await get(https.serai.port, '/', 'a.example.org')).headers.get('strict-transport-security'), undefined)
})

test('a response that breaks off is cut without the end of TLS, and an orderly one has it', async () => {
  await using backend = await startHttpBackend((_, response) => {
    response.writeHead(200, { 'Content-Length': '1000000' })
    response.write('x'.repeat(1000))
    setImmediate(() => response.destroy())
  })
  await using https = await startHttps({ services: [web(backend.address, 'a.example.org')] })
  await using client = await connectTls(https.port)
  client.get('/', 'a.example.org')
  await assert.rejects(client.receiveResponse(), /cut|ended|closed/i)
})

test('the alert is those seven octets, and nothing else', async () => {
  await using https = await startHttps({})
  await using client = await connect(https.port)
  const name = Buffer.from('b.example.org')
  const sni = Buffer.concat([Buffer.from([0, 0, 0, name.length + 5, 0, name.length + 3, 0, 0, name.length]), name])
  const body = Buffer.concat([Buffer.from([3, 3]), Buffer.alloc(32), Buffer.from([0, 0, 2, 0x13, 1, 1, 0, 0, sni.length]), sni])
  client.send(Buffer.concat([Buffer.from([22, 3, 1, 0, body.length + 4, 1, 0, 0, body.length]), body]))
  assert.deepEqual([...await client.receiveUntilClose()], UNRECOGNIZED_NAME)
})
