// `serai routes` and `serai explain` ask the running program; the log tells what changed in its routes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startHttpBackend } from '#test/support/http-backend.ts'
import { runSerai, startSerai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'

test('routes and explain tell of the running program where a request goes, and why not', async () => {
  await using backend = await startHttpBackend('hello')
  await using serai = await startSerai({
    services: [
      { name: 'web', tags: ['serai.host=a.example.org'], instances: [backend.address] },
      { name: 'api', tags: ['serai.host=a.example.org', 'serai.path=/api', 'serai.auht=x'], instances: [backend.address] },
    ],
  })
  const admin = ['--admin', serai.admin]
  const routes = await runSerai(['routes', ...admin])
  assert.equal(routes.code, 0, routes.stderr)
  assert.match(routes.stdout, /a\.example\.org\s.*web@file\/default/)
  assert.match(routes.stdout, /auht/)
  const goes = await runSerai(['explain', 'http://a.example.org/x', ...admin])
  assert.match(goes.stdout, new RegExp(`goes to web@file/default.*${backend.address}`))
  const refused = await runSerai(['explain', 'http://a.example.org/api/x', ...admin])
  assert.match(refused.stdout, /503/)
  assert.match(refused.stdout, /auht/)
  const nowhere = await runSerai(['explain', 'http://b.example.org/', ...admin])
  assert.match(nowhere.stdout, /404/)
  assert.equal(nowhere.code, 0)
})

test('a change of routes is one log line with its difference; a file that says the same is none', async () => {
  await using backend = await startHttpBackend('hello')
  const web = { name: 'web', tags: ['serai.host=a.example.org'], instances: [backend.address] }
  const api = { name: 'api', tags: ['serai.host=b.example.org'], instances: [backend.address] }
  await using serai = await startSerai({ services: [web] })
  const changes = (): unknown[] => serai.logs.filter(({ msg }) => msg === 'routes changed').map(({ routes }) => routes)
  await serai.services([web, api])
  await until(() => changes().length === 2, { what: 'the second line' })
  // Order is no difference: services, and with them instances, come in any.
  await serai.services([{ ...api, instances: [backend.address] }, web], async () => true)
  await serai.services([api, { ...web, instances: [backend.address, '127.0.0.1:1'] }])
  await until(() => changes().length === 3, { what: 'the third line' })
  assert.deepEqual(changes(), [
    ['+ a.example.org -> web@file/default (1 endpoint)'],
    ['+ b.example.org -> api@file/default (1 endpoint)'],
    ['~ a.example.org -> web@file/default (2 endpoints, +127.0.0.1:1)'],
  ])
  assert.equal(((await serai.ask('/api/status')).body as { revision: number }).revision, 3)
})
