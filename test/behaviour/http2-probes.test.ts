// Probes by HTTP of services that speak HTTP/2: the status decides, as over HTTP/1.1, and a server of HTTP/2 alone understands them.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { HttpProbe, ProbePace } from '#src/catalog/catalog.ts'
import { probeOnce } from '#src/catalog/probe/probe.ts'
import { makeAuthority } from '#test/support/certificates.ts'
import { startHttpBackend } from '#test/support/http-backend.ts'
import { startTlsBackend } from '#test/support/tls-backend.ts'
import { within } from '#test/support/until.ts'

const authority = makeAuthority()
const ask = (port: number, given: Partial<HttpProbe & ProbePace> = {}): Promise<string> => probeOnce({
  kind: 'http', http2: true, secure: false, method: 'GET', path: '/health', headers: {}, body: '', statuses: [[200, 399]], port: 0, intervalMs: 1000, timeoutMs: 2000, failures: 2, passes: 1, ...given,
}, '127.0.0.1', port)

/** It answers with the status that the path names, or not at all; disposing waits until its clients have gone. */
async function startServer(secure: boolean): Promise<AsyncDisposable & { readonly port: number; readonly requests: string[] }> {
  const requests: string[] = []
  const server = secure ? http2.createSecureServer(authority.issue(['elsewhere.test'])) : http2.createServer()
  server.on('stream', (stream: http2.ServerHttp2Stream, { ':method': method = '', ':scheme': scheme = '', ':authority': host = '', ':path': path = '', 'user-agent': agent = '' }) => {
    stream.on('error', () => undefined)
    let body = ''
    stream.on('data', (octets: Buffer) => { body += octets.toString() })
    stream.on('end', () => {
      requests.push(`${method} ${scheme} ${host} ${path} ${agent} ${body}`.trim())
      if (path === '/hang') return
      stream.respond({ ':status': path === '/health' ? 200 : Number(path.slice(1)) })
      stream.write('and on it goes')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port, requests,
    async [Symbol.asyncDispose]() {
      server.close()
      await within(once(server, 'close'), 2000, () => 'the end of its connections')
    },
  }
}

for (const secure of [false, true]) {
  test(`${secure ? 'over TLS with ALPN' : 'in the clear'}: the status decides, without waiting for the body`, async () => {
    await using server = await startServer(secure)
    assert.equal(await ask(server.port, { secure }), '')
    assert.equal(await ask(server.port, { secure, path: '/503' }), 'status 503')
    assert.equal(await ask(server.port, { secure, path: '/418', statuses: [[200, 200], [418, 418]] }), '')
    assert.equal(await ask(server.port, { secure, method: 'POST', headers: { Host: ['shop.example.org'], 'X-A': ['b'] }, body: 'hello' }), '')
    assert.equal(await ask(server.port, { secure, path: '/hang', timeoutMs: 200 }), 'no answer in 200 ms')
    const scheme = secure ? 'https' : 'http'
    assert.deepEqual(server.requests, [
      `GET ${scheme} 127.0.0.1:${server.port} /health Serai-Probe`, `GET ${scheme} 127.0.0.1:${server.port} /503 Serai-Probe`, `GET ${scheme} 127.0.0.1:${server.port} /418 Serai-Probe`,
      `POST ${scheme} shop.example.org /health Serai-Probe hello`, `GET ${scheme} 127.0.0.1:${server.port} /hang Serai-Probe`,
    ])
  })
}

test('a service of HTTP/1.1 alone fails a probe by HTTP/2, and one of HTTP/2 alone a probe by HTTP/1.1', async () => {
  await using old = await startHttpBackend('ok')
  await using oldTls = await startTlsBackend(authority.issue(['old.test']))
  await using server = await startServer(false)
  assert.deepEqual([await ask(old.port), await ask(old.port, { http2: false })], ['it does not speak HTTP/2', ''])
  assert.deepEqual([await ask(oldTls.port, { secure: true }), await ask(oldTls.port, { secure: true, http2: false })], ['its TLS does not offer h2 (ALPN)', ''])
  assert.notEqual(await ask(server.port, { http2: false }), '')
})

test('a field that HTTP/2 forbids is a reason, not an exception', async () => {
  await using server = await startServer(false)
  assert.match(await ask(server.port, { headers: { Connection: ['close'] } }), /connection/i)
})
