// The table changes while requests run: none fails, none goes astray, and what began under the old table ends under it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, get } from '#test/support/client.ts'
import { service, startDataPlane } from '#test/support/data-plane.ts'
import { startHttpBackend } from '#test/support/http-backend.ts'
import { startCheckedLoad } from '#test/support/checked-load.ts'
import { until } from '#test/support/until.ts'

test('200 changes under full load on two workers: no failed and no misrouted request', async (t) => {
  await using stack = new AsyncDisposableStack()
  const names = ['ant', 'bee', 'cat', 'dog', 'eel', 'fox']
  // Two backends for each service, which move from one to the other; each answers with its service's name.
  const backends = await Promise.all(names.map(async (name) => [stack.use(await startHttpBackend(name)), stack.use(await startHttpBackend(name))] as const))
  const plane = stack.use(await startDataPlane({ workers: 2 }))
  const services = names.map((name, at) => service(name, [backends[at]![0].address]))
  plane.publish(services)
  await plane.settled()
  const load = startCheckedLoad({ port: plane.port, clients: 16, hosts: names.map((name) => `${name}.example.org`) })
  const passers = Array.from({ length: 10 }, (_, at) => service(`passer-${at}`, [backends[0]![0].address]))
  for (let change = 0; change < 200; change++) {
    const moved = names.flatMap((name, at) => {
      if ((change + at) % 3 !== 0) return []
      const [one, two] = backends[at]!
      const addresses = [[one.address], [two.address], [one.address, two.address]][(change + at) % 9 / 3] ?? []
      return [service(name, addresses, { slot: services[at]!.slot }, [`${name}.example.org`, `${name}-${change}.example.org`])]
    })
    const passer = passers[change % passers.length]!
    plane.publish([...moved, ...(change % 2 === 0 ? [passer] : [])], change % 2 === 0 ? [] : [passers[(change - 1) % passers.length]!.key])
    const before = load.requests
    await until(() => load.requests > before + 5, { what: 'some requests between two changes' })
  }
  await plane.settled()
  const { requests, wrong, cut } = await load.stop()
  t.diagnostic(`${requests} requests while the table changed 200 times`)
  assert.deepEqual(wrong, [])
  assert.deepEqual(cut, [])
  assert.equal(plane.wholes, 2, 'only the start needs the whole table')
})

test('an exchange keeps the table that it began with: its service may go meanwhile', async () => {
  const begun = Promise.withResolvers<() => void>()
  await using backend = await startHttpBackend((_, response) => {
    response.writeHead(200, { 'content-length': 10 })
    response.write('begin')
    begun.resolve(() => response.end('-done'))
  })
  await using plane = await startDataPlane({ workers: 1 })
  const web = service('web', [backend.address])
  plane.publish([web])
  await plane.settled()
  await using client = await connect(plane.port)
  client.get('/', 'web.example.org')
  const finish = await begun.promise
  plane.publish([], [web.key])
  await plane.settled()
  assert.equal((await get(plane.port, '/', 'web.example.org')).status, 404)
  finish()
  assert.equal((await client.receiveResponse()).text, 'begin-done')
})

test('a worker that missed a change asks for the whole table and serves on with what it has', async () => {
  await using one = await startHttpBackend('one')
  await using two = await startHttpBackend('two')
  await using plane = await startDataPlane({ workers: 1 })
  plane.publish([service('one', [one.address])])
  await plane.settled()
  const { wholes } = plane
  const [worker] = plane.workers.live
  plane.publisher.publish([service('two', [two.address])], [], true) // this change reaches nobody
  plane.publish([service('three', [one.address])])
  await plane.settled()
  assert.equal(plane.wholes, wholes + 1)
  assert.equal(worker?.revision, 3)
  assert.equal((await get(plane.port, '/', 'two.example.org')).text, 'two')
  assert.equal((await get(plane.port, '/', 'one.example.org')).text, 'one')
})

test('a service that cannot be compiled stays as it was; the others change', async () => {
  await using backend = await startHttpBackend('web')
  await using plane = await startDataPlane({ workers: 1 })
  const [web, api] = [service('web', [backend.address]), service('api', [backend.address])]
  plane.publish([web, api])
  await plane.settled()
  plane.publish([{ ...web, routes: web.routes.map((route) => ({ ...route, endpoints: [7] })) }, service('api', [], { slot: api.slot })])
  await plane.settled()
  assert.equal((await get(plane.port, '/', 'web.example.org')).status, 200)
  assert.equal((await get(plane.port, '/', 'api.example.org')).status, 503)
  await until(() => plane.logs.some((line) => /kept one service from changing/.test(line)), { what: 'the log line' })
  assert.equal(plane.workers.restarts, 0)
})
