// A job registers a name of its own, and lets it resolve to what it may not reach: loopback, the cloud's metadata, another address later.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startBackend } from '#test/support/backend.ts'
import { get } from '#test/support/client.ts'
import { service, startDataPlane } from '#test/support/data-plane.ts'
import { startDnsServer } from '#test/support/dns-server.ts'

for (const { what, guarded, allowAddresses, status } of [
  { what: 'a job’s name for a loopback address is not followed', guarded: true, allowAddresses: [], status: 502 },
  { what: 'unless the operator allows it', guarded: true, allowAddresses: ['127.0.0.0/8'], status: 200 },
  { what: 'an operator’s own name is', guarded: false, allowAddresses: [], status: 200 },
] as const) {
  test(what, async () => {
    await using backend = await startBackend()
    await using dns = await startDnsServer({ 'inside.test': ['127.0.0.1'] })
    await using plane = await startDataPlane({ workers: 1, settings: (defaults) => ({ ...defaults, upstream: { ...defaults.upstream, dns: [dns.address], allowAddresses } }) })
    const web = service('web', [`inside.test:${backend.port}`])
    plane.publish([guarded ? { ...web, endpoints: web.endpoints.map((endpoint) => ({ ...endpoint, guarded: true as const })) } : web])
    await plane.settled()
    assert.equal((await get(plane.port, '/', 'web.example.org')).status, status)
    assert.equal(backend.connections.length > 0, status === 200)
  })
}

test('of several addresses only those that a job may name are used', async () => {
  await using backend = await startBackend({ host: '127.0.0.2' })
  await using dns = await startDnsServer({ 'mixed.test': ['127.0.0.2', '169.254.169.254', '127.0.0.3'] })
  await using plane = await startDataPlane({ workers: 1, settings: (defaults) => ({ ...defaults, upstream: { ...defaults.upstream, dns: [dns.address], allowAddresses: ['127.0.0.2/32'] } }) })
  const web = service('web', [`mixed.test:${backend.port}`])
  plane.publish([{ ...web, endpoints: web.endpoints.map((endpoint) => ({ ...endpoint, guarded: true as const })) }])
  await plane.settled()
  for (let time = 0; time < 10; time++) assert.equal((await get(plane.port, '/', 'web.example.org')).status, 200)
})
