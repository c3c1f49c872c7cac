// Certificates from files, while running: what is good is taken without a failed handshake, what is not leaves the last good one in force and is told.
import assert from 'node:assert/strict'
import { chmod, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { makeAuthority } from '#test/support/certificates.ts'
import { startHttpBackend } from '#test/support/http-backend.ts'
import { authority, connectTls, startHttps, type Https } from '#test/support/https.ts'
import { runSerai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'

interface Row {
  readonly file: string
  readonly state: string
  readonly names: readonly string[]
  readonly daysLeft: number | null
  readonly problems: readonly string[]
}
const rowsOf = async ({ serai }: Https): Promise<readonly Row[]> => ((await serai.ask('/api/certificates')).body as { certificates: Row[] }).certificates
const problemsOf = async (https: Https): Promise<string> => (await rowsOf(https)).flatMap(({ problems }) => problems).join('; ')

async function subjectAt(port: number, servername = 'a.example.org'): Promise<string> {
  await using client = await connectTls(port, { servername })
  return String(client.socket.getPeerCertificate().subject.CN)
}

test('a new certificate is in force within a second of its rename, in every worker, and no handshake or request fails meanwhile', async (t) => {
  await using backend = await startHttpBackend('ok')
  await using https = await startHttps({
    services: [{ name: 'web', tags: ['serai.host=a.example.org'], instances: [backend.address] }],
    certificates: { a: authority.issue(['a.example.org'], 30, { subject: 'number 0' }) }, config: { workers: 2 },
  })
  let stop = false
  let handshakes = 0
  const seen = new Set<string>()
  const clients = Array.from({ length: 4 }, async () => {
    for (; !stop; handshakes++) {
      await using client = await connectTls(https.port)
      seen.add(String(client.socket.getPeerCertificate().subject.CN))
      client.get('/', 'a.example.org')
      assert.equal((await client.receiveResponse()).status, 200)
    }
  })
  await using open = await connectTls(https.port)
  for (let number = 1; number <= 5; number++) {
    await https.put('a', authority.issue(['a.example.org'], 30, { subject: `number ${number}` }))
    await until(() => seen.has(`number ${number}`), { what: `number ${number} in force` })
  }
  stop = true
  await Promise.all(clients)
  open.get('/', 'a.example.org')
  assert.equal((await open.receiveResponse()).status, 200, 'a connection from before goes on')
  for (let each = 0; each < 8; each++) assert.equal(await subjectAt(https.port), 'number 5')
  t.diagnostic(`${handshakes} handshakes during 5 changes, none failed`)
})

test('a key of another certificate, a broken or missing file, an expired one: told, and the last good one stays; others are untouched', async () => {
  await using https = await startHttps({ certificates: { a: authority.issue(['a.example.org'], 30, { subject: 'good' }), b: authority.issue(['b.example.org'], 30, { subject: 'other' }) } })
  const wrong: readonly (readonly [() => Promise<unknown>, RegExp])[] = [
    [() => https.folder.write('a.key', authority.issue(['a.example.org']).key, 0o600), /the key does not belong to the certificate; the last good one stays in force/],
    [() => https.folder.write('a.pem', 'nonsense'), /expected a PEM file with a certificate/],
    [() => https.folder.write('a.pem', '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'), /a certificate in it cannot be read/],
    [() => rm(https.folder.file('a.pem')), /a\.pem: there is no such file/],
    [() => https.put('a', authority.issue(['a.example.org'], -1)), /the new certificate expired at .*; the last good one stays in force/],
    [() => https.put('a', authority.issue(['a.example.org'], 30, { begins: 1 })), /the new certificate is not valid before/],
    [() => https.folder.write('a.key', '-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n', 0o600), /the key is encrypted/],
  ]
  for (const [spoil, said] of wrong) {
    await spoil()
    await until(async () => said.test(await problemsOf(https)), { what: `the problem ${String(said)}` })
    assert.equal(await subjectAt(https.port), 'good')
    assert.equal(await subjectAt(https.port, 'b.example.org'), 'other')
  }
  assert.match(JSON.stringify((await https.serai.ask('/api/problems')).body), /"service":"@tls"/)
  await https.put('a', authority.issue(['a.example.org'], 30, { subject: 'new' }))
  await until(async () => await problemsOf(https) === '', { what: 'no problem' })
  await until(async () => await subjectAt(https.port) === 'new', { what: 'the new one in force' })
  assert.ok(https.serai.logs.some(({ msg }) => msg === 'problems solved'))
})

test('what is bad from the start is told and served as far as it goes: an expired one is shown, a missing one is nobody', async () => {
  await using https = await startHttps({ certificates: { a: authority.issue(['a.example.org'], -1), b: { cert: 'none', key: 'none' }, soon: authority.issue(['soon.example.org'], 0.1), none: authority.issue([]) } })
  assert.deepEqual((await rowsOf(https)).map(({ state }) => state), ['expired', 'missing', 'good', 'good'])
  const problems = await problemsOf(https)
  for (const said of [/expired at/, /expected a PEM file with a certificate.*; there is none in force/, /expires at/, /names no host/]) assert.match(problems, said)
  await assert.rejects(connectTls(https.port), /certificate has expired/)
  assert.match(String((await https.serai.ask('/metrics')).body), /^serai_certificate_expiry_seconds\{name="a\.example\.org"\} -/m)
  assert.equal((await https.serai.ask('/ready')).status, 200)
})

test('a chain in any order is sent in order, without its root; one file may hold it all', async () => {
  const upper = authority.intermediate('Upper')
  const issuing = upper.intermediate('Issuing')
  const leaf = issuing.issue(['a.example.org'])
  await using https = await startHttps({ certificates: { a: leaf } })
  await assert.rejects(connectTls(https.port), /unable to verify the first certificate|unable to get/)
  await https.folder.write('a.pem', [authority.ca, makeAuthority('Unrelated').ca, upper.ca, leaf.cert, issuing.ca].join(''))
  const chain = await until(async () => {
    try {
      await using client = await connectTls(https.port)
      const names: string[] = []
      for (let each = client.socket.getPeerX509Certificate(); each !== undefined; each = each.issuerCertificate) names.push(each.subject)
      return names
    } catch {
      return undefined
    }
  }, { what: 'a chain that verifies' })
  assert.deepEqual(chain.slice(0, 3), ['CN=a.example.org', 'CN=Issuing', 'CN=Upper'])
})

test('a key that everybody may read is told; nothing of a key is ever shown', async () => {
  const certificate = authority.issue(['a.example.org'])
  await using https = await startHttps({ certificates: { a: certificate } })
  assert.equal(await problemsOf(https), '')
  await chmod(https.folder.file('a.key'), 0o644)
  await until(async () => /every user may read the key/.test(await problemsOf(https)), { what: 'the problem' })
  await chmod(https.folder.file('a.key'), 0o600)
  await until(async () => await problemsOf(https) === '', { what: 'no problem' })
  const shown = JSON.stringify([https.serai.logs, (await https.serai.ask('/api/certificates')).body, (await https.serai.ask('/api/status')).body, (await https.serai.ask('/')).body])
  const secret = certificate.key.split('\n')[1]!
  assert.equal(shown.includes(secret), false)
  assert.equal(shown.includes('PRIVATE KEY'), false)
})

test('serai certs, explain and the page say which certificate a host gets; offline too', async () => {
  await using https = await startHttps({ certificates: { a: authority.issue(['a.example.org', '*.b.example.org']) } })
  const { stdout } = await runSerai(['certs', '--admin', https.serai.admin])
  assert.match(stdout, /^NAMES +DAYS +KEY +ISSUER +FILE\n\*\.b\.example\.org a\.example\.org +29 +ec +Test authority +.*a\.pem\n$/)
  assert.equal((await runSerai(['certs', '--json', '--config', `${https.serai.folder}/serai.yaml`])).stdout, (await runSerai(['certs', '--json', '--admin', https.serai.admin])).stdout)
  for (const [url, said] of [
    [`https://a.example.org:${https.port}/`, /certificate +yes +.*a\.pem +is for a\.example\.org; 29 days left/],
    [`https://x.b.example.org:${https.port}/`, /certificate +yes +.*is for \*\.b\.example\.org/],
    [`https://c.example.org:${https.port}/`, /no connection: no certificate is for it.*\n[^]*certificate +no/],
    [`http://a.example.org:${https.port}/`, /speaks TLS: plain HTTP is answered 400 there/],
  ] as const) {
    assert.match((await runSerai(['explain', url, '--admin', https.serai.admin])).stdout, said)
    assert.match((await runSerai(['explain', url, '--config', `${https.serai.folder}/serai.yaml`])).stdout.replace(/port \d+/, ''), url.startsWith('https') ? /certificate/ : /404/)
  }
  assert.match(String((await https.serai.ask('/')).body), /<h2>Certificates/)
})

test('certificates and TLS listeners come and go with the config', async () => {
  await using https = await startHttps({ certificates: { a: authority.issue(['a.example.org']), b: authority.issue(['b.example.org']) } })
  const file = `${https.serai.folder}/serai.yaml`
  const config = JSON.parse(await readFile(file, 'utf8')) as { listeners: Record<string, unknown>; tls: { certificates: unknown[] } }
  const reload = async (change: (config: { listeners: Record<string, unknown>; tls: { certificates: unknown[] } }) => void): Promise<void> => {
    const before = https.serai.logs.length
    change(config)
    await writeFile(`${file}.new`, JSON.stringify(config))
    await rename(`${file}.new`, file)
    await until(() => https.serai.logs.slice(before).some(({ msg }) => msg === 'the config was read again'), { what: 'the reload' })
  }
  await reload((given) => { given.tls.certificates.pop() })
  // The log says that it was read; the workers have it a moment later.
  const subjectIs = (port: number, name: string, wanted: string): Promise<unknown> =>
    until(() => subjectAt(port, name).then((subject) => subject === wanted, (error: Error) => error.message.includes(wanted)), { what: `${wanted} for ${name}` })
  await subjectIs(https.port, 'b.example.org', 'unrecognized name')
  assert.equal(await subjectAt(https.port), 'a.example.org')
  await https.put('c', authority.issue(['c.example.org']))
  await reload((given) => {
    given.tls.certificates.push({ cert: https.folder.file('c.pem'), key: https.folder.file('c.key') })
    given.listeners['http'] = { address: given.listeners['http'] === undefined ? '' : '127.0.0.1:0', tls: true }
  })
  await subjectIs(https.port, 'c.example.org', 'c.example.org')
  await subjectIs(https.serai.port, 'c.example.org', 'c.example.org') // the plain listener speaks TLS now, on the same socket
})
