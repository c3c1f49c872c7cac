// When an instance that Nomad lists gets its first request: never before it listens, and with a check not before that has passed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startControl } from '#test/support/control.ts'
import type { Control } from '#test/support/control.ts'
import { makeFolder } from '#test/support/folder.ts'
import { makeJob } from '#test/support/nomad-job.ts'
import { startNomad } from '#test/support/nomad-catalog.ts'
import type { NomadUnderTest, NomadUnderTestOptions } from '#test/support/nomad-catalog.ts'
import { until } from '#test/support/until.ts'

interface Followed extends AsyncDisposable {
  readonly subject: NomadUnderTest
  readonly control: Control
  /** What the catalog says of the instances of a service, as `health: why`. */
  states(service: string): string[]
}

async function follow(options: NomadUnderTestOptions = {}): Promise<Followed> {
  await using cleanUp = new AsyncDisposableStack()
  const folder = cleanUp.use(await makeFolder())
  const subject = cleanUp.use(await startNomad(options))
  const control = cleanUp.use(startControl({ catalogs: [subject.catalog], path: folder.file('state') }))
  await until(() => control.complete, { what: 'the first reading' })
  const running = cleanUp.move()
  return {
    subject, control,
    states: (service) => (control.known.instances ?? []).filter((instance) => instance.service === service).map(({ health, why = '' }) => `${health}: ${why}`),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

test('without a check, when a connection from this node succeeds', async () => {
  await using followed = await follow()
  const { subject, control, states } = followed
  subject.nomad.run(makeJob('web', { tags: ['serai.host=web.example.org'], env: { START_DELAY: '400' } }))
  await until(() => states('web')[0] === 'pending: a connection from this node failed: connection refused', { what: 'the refused connection' })
  assert.deepEqual(control.routes(), ['web.example.org/ web@nomad/default: '])
  await until(() => control.addresses().length === 1, { what: 'the endpoint' })
  assert.deepEqual(states('web'), ['passing: '])
  assert.equal(subject.client.counts.get('checks'), undefined, 'nothing is asked that the job does not define')
})

test('with a check, not before it has passed, however long it listens', async () => {
  await using followed = await follow()
  const { subject, control, states } = followed
  subject.nomad.run(makeJob('web', { tags: ['serai.host=web.example.org'], checkMs: 200, check: { Path: '/health' }, env: { START_DELAY: '300' } }))
  await until(() => states('web')[0]?.startsWith("pending: check 'up' has not passed yet") === true, { what: 'the reason' })
  assert.deepEqual(control.addresses(), [])
  await until(() => control.addresses().length === 1, { what: 'the endpoint' })
})

test('a check that never passes keeps its instance out, and the reason is shown', async () => {
  await using followed = await follow()
  const { subject, control, states } = followed
  subject.nomad.run(makeJob('web', { tags: ['serai.host=web.example.org'], checkMs: 100, check: { Path: '/', Method: 'GET', Type: 'http', Header: {} }, service: { OnUpdate: 'ignore' }, env: {} }))
  subject.nomad.run(makeJob('ill', { tags: ['serai.host=ill.example.org'], checkMs: 100, check: { PortLabel: '1' } }))
  await until(() => control.addresses().length === 1, { what: 'the healthy one' })
  await until(() => states('ill')[0]?.startsWith("pending: check 'up' has not passed yet: failure") === true, { what: 'the failure as the reason' })
  assert.deepEqual(control.routes(), ['ill.example.org/ ill@nomad/default: ', `web.example.org/ web@nomad/default: ${control.addresses()[0]}`])
})

test('a check whose results are unknown (null) keeps the instance out; a check endpoint that fails takes nothing away', async () => {
  await using followed = await follow()
  const { subject, control, states } = followed
  subject.gateway.only = (path) => (path.includes('/checks') ? 'error' : 'pass')
  subject.nomad.run(makeJob('web', { tags: ['serai.host=web.example.org'], checkMs: 100 }))
  await until(() => states('web')[0]?.includes('failed to get conn') === true, { what: 'the reason' })
  assert.deepEqual(control.addresses(), [])
  subject.gateway.only = undefined
  await until(() => control.addresses().length === 1, { what: 'the endpoint' })
  subject.gateway.only = (path) => (path.includes('/checks') ? 'error' : 'pass')
  subject.nomad.run(makeJob('other', { tags: ['serai.host=other.example.org'] }))
  await until(() => control.addresses().length === 2, { what: 'the other' })
})

test('checks that may not be read: one loud problem, and one connection decides', async () => {
  await using followed = await follow({ allowAddresses: ['127.0.0.0/8'] })
  const { subject, control } = followed
  subject.gateway.only = (path) => (path.includes('/allocation') ? 'forbidden' : 'pass')
  subject.nomad.run(makeJob('web', { count: 3, tags: ['serai.host=web.example.org'], checkMs: 60_000 }))
  await until(() => control.addresses().length === 3, { what: 'the endpoints' })
  await until(() => control.source.problems.length === 1, { what: 'one problem' })
  assert.match(control.source.problems[0]!.reason, /namespace default: allocations and checks may not be read .*the token needs read-job/)
})

test('what was there when the program starts is one reading, and is asked for in bulk', async () => {
  await using folder = await makeFolder()
  await using subject = await startNomad()
  for (let at = 0; at < 15; at++) subject.nomad.run(makeJob(`s${at}`, { mock: true, tags: [`serai.host=s${at}.example.org`], minHealthyMs: 1 }))
  await until(() => subject.nomad.cluster.store.services.size === 15, { what: 'the registrations' })
  await until(() => subject.nomad.cluster.store.all('allocations').every(({ health }) => health?.healthy === true), { what: 'healthy deployments' })
  await using control = startControl({ catalogs: [subject.catalog], path: folder.file('state') })
  await until(() => control.complete, { what: 'the first reading', deadline: 10_000 })
  assert.equal(control.routes().length, 15, 'not one after the other')
  assert.equal(subject.client.counts.get('allocations'), 1)
  assert.equal(subject.client.counts.get('allocation') ?? 0, 0)
})

test('removal: an instance that is deregistered is gone, and its service answers 503', async () => {
  await using followed = await follow()
  const { subject, control } = followed
  subject.nomad.run(makeJob('web', { count: 2, tags: ['serai.host=web.example.org'] }))
  await until(() => control.addresses().length === 2, { what: 'two endpoints' })
  await until(() => subject.nomad.cluster.store.deploymentsOf('default', 'web').every(({ status }) => status !== 'running'), { what: 'the end of the deployment' })
  subject.nomad.scale('web', 1)
  await until(() => control.addresses().length === 1, { what: 'one endpoint' })
  subject.nomad.stop('web', { purge: true })
  await until(() => control.routes()[0] === 'web.example.org/ web@nomad/default: vanished', { what: '503' })
})

test('canary promotion is the same endpoint with other tags', async () => {
  await using followed = await follow()
  const { subject, control } = followed
  const job = (version: string): ReturnType<typeof makeJob> => makeJob('shop', { count: 1, tags: ['serai.host=shop.example.org'], canaryTags: ['serai.host=canary.example.org'], canaries: 1, env: { VERSION: version }, minHealthyMs: 50 })
  subject.nomad.run(job('1'))
  await until(() => control.routes().some((route) => /^shop.*:\d+$/.test(route)), { what: 'the stable one' })
  await until(() => subject.nomad.cluster.store.deploymentsOf('default', 'shop').every(({ status }) => status !== 'running'), { what: 'the end of the deployment' })
  subject.nomad.run(job('2'))
  const canary = await until(() => /^canary\.example\.org\/ .*: (127\.0\.0\.1:\d+)$/.exec(control.routes().find((route) => route.startsWith('canary')) ?? '')?.[1], { what: 'the canary' })
  await until(() => {
    try {
      subject.nomad.promote('shop')
      return true
    } catch {
      return false
    }
  }, { what: 'the promotion' })
  await until(() => control.routes().some((route) => route.startsWith('shop.example.org/ shop@nomad/default: ') && route.includes(`: ${canary}`) || route.endsWith(` ${canary}`)), { what: 'the canary as the stable one' })
})
