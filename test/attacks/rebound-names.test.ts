// A job registers a name of its own, and lets it resolve to what it may not reach: loopback, the cloud's metadata, another address later.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startBackend } from '#test/support/backend.ts'
import { get } from '#test/support/client.ts'
import { service, startDataPlane } from '#test/support/data-plane.ts'
import { startDnsServer } from '#test/support/dns-server.ts'
import { until } from '#test/support/until.ts'

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

test('a name that moves after the permission to read its catalog went leads where it led; one that was never resolved, nowhere', async () => {
  await using old = await startBackend({ respond: 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nold' })
  await using _ = await startBackend({ host: '127.0.0.2', port: old.port, respond: 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnext' })
  await using dns = await startDnsServer({ 'moving.test': ['127.0.0.1'], 'late.test': ['127.0.0.2'] }, 1)
  await using plane = await startDataPlane({ workers: 1, settings: (defaults) => ({ ...defaults, upstream: { ...defaults.upstream, dns: [dns.address], allowAddresses: ['127.0.0.0/8'] } }) })
  const [web, late, witness] = [service('web', [`moving.test:${old.port}`]), service('late', [`late.test:${old.port}`]), service('witness', [`moving.test:${old.port}`])]
  const mark = (each: typeof web, marks: { guarded: true; pinned?: true }): typeof web => ({ ...each, endpoints: each.endpoints.map((endpoint) => ({ ...endpoint, ...marks })) })
  const ask = async (name: string): Promise<string | number> => {
    const { status, body } = await get(plane.port, '/', `${name}.example.org`)
    return status === 200 ? String(body) : status
  }
  plane.publish([mark(web, { guarded: true }), witness])
  await plane.settled()
  assert.equal(await ask('web'), 'old')
  plane.publish([mark(web, { guarded: true, pinned: true }), mark(late, { guarded: true, pinned: true })])
  await plane.settled()
  dns.names.set('moving.test', ['127.0.0.2'])
  await until(async () => await ask('witness') === 'next', { what: 'the new answer to be used' })
  assert.equal(await ask('web'), 'old')
  assert.equal(await ask('late'), 502)
  plane.publish([mark(web, { guarded: true })])
  await plane.settled()
  assert.equal(await ask('web'), 'next')
})
