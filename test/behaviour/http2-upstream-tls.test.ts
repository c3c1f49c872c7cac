// scheme=h2 and grpcs: HTTP/2 over TLS to services, verified as https is, and only where the service offers it by ALPN.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { makeAuthority, type Certificate } from '#test/support/certificates.ts'
import { get } from '#test/support/client.ts'
import { makeFolder } from '#test/support/folder.ts'
import { startSerai, type Serai, type ServiceEntry } from '#test/support/serai.ts'
import { startTlsBackend } from '#test/support/tls-backend.ts'

const authority = makeAuthority()

interface Backend extends AsyncDisposable {
  readonly address: string
  /** `version scheme alpn serverName`, of each request. */
  readonly requests: readonly string[]
}

async function startBackend(certificate: Certificate, options: Pick<http2.SecureServerOptions, 'ciphers' | 'maxVersion'> = {}): Promise<Backend> {
  const requests: string[] = []
  const sessions = new Set<http2.ServerHttp2Session>()
  const server = http2.createSecureServer({ ...certificate, ...options, allowHTTP1: true }, (request, response) => {
    const { alpnProtocol, servername } = request.stream.session!.socket as TLSSocket & { readonly servername?: string }
    requests.push(`${request.httpVersion} ${request.headers[':scheme'] ?? ''} ${String(alpnProtocol)} ${servername ?? ''}`)
    if (request.headers['content-type'] === 'application/grpc') response.setHeader('content-type', 'application/grpc')
    response.end('ok')
  })
  server.on('session', (session) => sessions.add(session))
  server.on('tlsClientError', () => undefined) // the client did not like the certificate
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`, requests,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy()
      server.close()
    },
  }
}

async function start(services: readonly ServiceEntry[]): Promise<Serai & AsyncDisposable> {
  const folder = await makeFolder()
  const serai = await startSerai({ services, config: { workers: 1, trust: { forwarded: ['127.0.0.1/32'] }, upstream: { ca: await folder.write('ca.pem', authority.ca) } } })
  await folder[Symbol.asyncDispose]()
  return serai
}

for (const scheme of ['h2', 'grpcs'] as const) {
  const service = (name: string, address: string): ServiceEntry => ({ name, tags: [`serai.scheme=${scheme}`, `serai.host=${name}.test`], instances: [address] })

  test(`${scheme}: HTTP/2 by ALPN, with the host as SNI; a certificate that does not do, and a service that offers no h2, get nothing`, async () => {
    await using good = await startBackend(authority.issue(['good.test']))
    await using other = await startBackend(authority.issue(['elsewhere.test']))
    await using unknown = await startBackend(makeAuthority('Somebody').issue(['unknown.test']))
    await using old = await startTlsBackend(authority.issue(['old.test']))
    await using serai = await start([service('good', good.address), service('other', other.address), service('unknown', unknown.address), service('old', old.address)])
    for (let time = 0; time < 3; time++) assert.equal((await get(serai.port, '/', 'good.test')).status, 200)
    assert.deepEqual(good.requests, Array.from({ length: 3 }, () => '2.0 https h2 good.test'))
    for (const [name, why] of [['other', 'ERR_TLS_CERT_ALTNAME_INVALID'], ['unknown', 'UNABLE_TO_'], ['old', '']] as const) {
      const response = await get(serai.port, '/', `${name}.test`, 'Serai-Debug: 1')
      assert.equal(response.status, 502)
      assert.match(response.headers.get('serai-debug') ?? '', new RegExp(`failure=connect: ${why}`))
    }
    assert.deepEqual([other.requests, unknown.requests, old.requests], [[], [], []])
  })
  test(`${scheme}: over TLS 1.2 only what RFC 9113 9.2.2 permits is offered: a service that has nothing better gets no request, others do`, async () => {
    const suites = { gcm: 'ECDHE-ECDSA-AES128-GCM-SHA256', chacha: 'ECDHE-ECDSA-CHACHA20-POLY1305', cbc: 'ECDHE-ECDSA-AES128-SHA256', sha1: 'ECDHE-ECDSA-AES256-SHA' }
    await using started = new AsyncDisposableStack()
    const backends = new Map<string, Backend>()
    for (const [name, ciphers] of Object.entries(suites)) backends.set(name, started.use(await startBackend(authority.issue([`${name}.test`]), { ciphers: `${ciphers}:@SECLEVEL=0`, maxVersion: 'TLSv1.2' })))
    await using serai = await start([...backends].map(([name, { address }]) => service(name, address)))
    for (const [name, { requests }] of backends) {
      const permitted = name === 'gcm' || name === 'chacha'
      assert.deepEqual([name, (await get(serai.port, '/', `${name}.test`)).status, requests.length], [name, permitted ? 200 : 502, permitted ? 1 : 0])
    }
  })
}
