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

async function startBackend(certificate: Certificate): Promise<Backend> {
  const requests: string[] = []
  const sessions = new Set<http2.ServerHttp2Session>()
  const server = http2.createSecureServer({ ...certificate, allowHTTP1: true }, (request, response) => {
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
}
