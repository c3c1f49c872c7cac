// Whatever Nomad answers, or does not: nothing changes for clients, and the right word is shown.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { startControl } from '#test/support/control.ts'
import type { Control } from '#test/support/control.ts'
import { FastClock } from '#test/support/fast-clock.ts'
import { makeFolder } from '#test/support/folder.ts'
import { makeJob } from '#test/support/nomad-job.ts'
import { startNomad } from '#test/support/nomad-catalog.ts'
import type { NomadUnderTest, NomadUnderTestOptions } from '#test/support/nomad-catalog.ts'
import type { GatewayMode } from '#test/support/registry-gateway.ts'
import { until } from '#test/support/until.ts'

interface Followed extends AsyncDisposable {
  readonly subject: NomadUnderTest
  readonly control: Control
  readonly path: string
}

const MINUTE = 60_000

/** Two services that are routed, a third without tags of ours. */
async function followTwo(options: NomadUnderTestOptions = {}): Promise<Followed> {
  await using cleanUp = new AsyncDisposableStack()
  const folder = cleanUp.use(await makeFolder())
  const subject = cleanUp.use(await startNomad({ connect: async () => Promise.resolve(''), deadlineMs: 400, ...options }))
  subject.nomad.run(makeJob('web', { mock: true, count: 2, tags: ['serai.host=web.example.org'] }))
  subject.nomad.run(makeJob('api', { mock: true, tags: ['serai.host=api.example.org'] }))
  subject.nomad.run(makeJob('db', { mock: true, tags: ['other'] }))
  await until(() => subject.nomad.cluster.store.services.size === 4, { what: 'the registrations' })
  const path = folder.file('state')
  const control = cleanUp.use(startControl({ catalogs: [subject.catalog], path }))
  await until(() => control.addresses().length === 3, { what: 'three endpoints' })
  const running = cleanUp.move()
  return { subject, control, path, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

describe('a registry that', () => {
  for (const [mode, answer] of [
    ['refuse', 'unreachable'], ['hang', 'unreachable'], ['slow', 'unreachable'], ['error', 'unreachable'], ['busy', 'unreachable'], ['empty', 'unreachable'],
    ['garbage', 'not understood'], ['forbidden', 'not allowed'], ['invisible', 'not allowed'],
  ] as const satisfies readonly (readonly [GatewayMode, string])[]) {
    test(`is asked and does this: ${mode}, is shown as ${answer}, changes nothing, and is read again when it is well`, async () => {
      const clock = new FastClock()
      await using followed = await followTwo({ clock })
      const { subject, control } = followed
      const routes = control.routes()
      const { revision } = control.source.publisher
      subject.gateway.mode = mode
      // What hangs is found by a plain read, which comes every quarter of a minute.
      clock.speed = 30
      await until(() => control.known.answer === answer, { what: answer })
      clock.speed = 1
      assert.deepEqual(control.routes(), routes)
      assert.equal(control.source.publisher.revision, revision)
      assert.equal(control.known.state, 'stale')
      await until(() => control.source.problems.some(({ service, reason }) => service === '@nomad' && reason !== ''), { what: 'the problem' })
      assert.ok(control.logs.some((line) => line.includes('the catalog cannot be read') && line.includes(`"answer":"${answer}"`)), control.logs.join('\n'))
      subject.nomad.run(makeJob('more', { mock: true, tags: ['serai.host=more.example.org'] }))
      subject.gateway.mode = 'pass'
      clock.speed = 20
      await until(() => control.known.answer === 'read' && control.addresses().length === 4, { what: 'the next reading' })
      await until(() => control.source.problems.length === 0, { what: 'no problem' })
    })
  }
})

test('an outage is over when the registry answers, not when something changes', async () => {
  await using followed = await followTwo()
  const { subject, control } = followed
  for (const mode of ['refuse', 'error'] as const) {
    subject.gateway.mode = mode
    await until(() => control.known.answer === 'unreachable', { what: 'the outage' })
    subject.gateway.mode = 'pass'
    await until(() => control.known.answer === 'read' && control.known.state === 'current', { what: 'its end' })
  }
})

test('ten minutes without a registry: served as before, tried again with patience, and right again at once', async () => {
  const clock = new FastClock()
  await using followed = await followTwo({ clock })
  const { subject, control } = followed
  const routes = control.routes()
  subject.gateway.mode = 'refuse'
  await until(() => control.known.answer === 'unreachable', { what: 'the outage to be noticed' })
  const before = [...subject.client.counts.values()].reduce((sum, count) => sum + count, 0)
  const begun = clock.now()
  clock.speed = 300
  await until(() => clock.now() - begun > 10 * MINUTE, { what: 'ten minutes' })
  clock.speed = 1
  const calls = [...subject.client.counts.values()].reduce((sum, count) => sum + count, 0) - before
  assert.deepEqual(control.routes(), routes)
  assert.equal(control.known.state, 'stale')
  assert.ok(calls / 600 <= 1, `${calls} calls in ten minutes`)
  subject.nomad.stop('api', { purge: true })
  subject.gateway.mode = 'pass'
  clock.speed = 20
  await until(() => control.known.answer === 'read' && control.addresses().length === 2, { what: 'the truth' })
})

test('a node that starts meanwhile serves what still listens from disk, and then the truth', async () => {
  await using folder = await makeFolder()
  await using subject = await startNomad()
  subject.nomad.run(makeJob('web', { count: 2, tags: ['serai.host=web.example.org'] }))
  const path = folder.file('state')
  {
    await using control = startControl({ catalogs: [subject.catalog], path })
    await until(() => control.addresses().length === 2, { what: 'two endpoints' })
  }
  subject.gateway.mode = 'refuse'
  const [gone] = subject.nomad.allocations('web')
  for (const pid of subject.nomad.pids(gone!.id)) process.kill(pid, 'SIGSTOP')
  await using control = startControl({ catalogs: [subject.catalog], path })
  await until(() => control.complete, { what: 'the table from disk' })
  assert.deepEqual([control.known.state, control.known.answer], ['restored', 'unreachable'])
  assert.equal(control.addresses().length, 2, 'a stopped process still accepts connections')
  for (const pid of subject.nomad.pids(gone!.id)) process.kill(pid, 'SIGCONT')
  subject.gateway.mode = 'pass'
  await until(() => control.known.state === 'current', { what: 'the registry' })
  assert.equal(control.addresses().length, 2)
})

test('a restored snapshot that knows less: what it lacks is kept for a minute, unless it refuses a connection', async () => {
  const clock = new FastClock()
  await using folder = await makeFolder()
  await using subject = await startNomad({ clock, connect: async () => Promise.resolve('') })
  subject.nomad.run(makeJob('web', { mock: true, tags: ['serai.host=web.example.org'] }))
  await until(() => subject.nomad.cluster.store.services.size === 1, { what: 'the first registration' })
  const snapshot = subject.nomad.save()
  subject.nomad.run(makeJob('late', { mock: true, count: 2, tags: ['serai.host=late.example.org'] }))
  await using control = startControl({ catalogs: [subject.catalog], path: folder.file('state') })
  await until(() => control.addresses().length === 3, { what: 'three endpoints' })
  const routes = control.routes()
  const late = control.addresses().filter((address) => routes.some((route) => route.startsWith('late') && route.includes(address)))
  subject.nomad.restore(snapshot)
  clock.speed = 20
  await until(() => subject.logs.some((line) => line.includes('restored from an older snapshot')), { what: 'the restore to be noticed' })
  clock.speed = 1
  await until(() => control.known.instances?.filter(({ unsure }) => unsure === true).length === 2, { what: 'the held instances' })
  assert.deepEqual(control.routes(), routes, 'nothing changes for clients')
  control.source.refused(late[0]!)
  await until(() => control.addresses().length === 2, { what: 'the one that refuses to go' })
  clock.speed = 60
  await until(() => control.routes().some((route) => route === 'late.example.org/ late@nomad/default: vanished'), { what: 'the rest to be let go' })
})

test('an index that goes back on a follower’s word alone changes nothing', async () => {
  const clock = new FastClock()
  await using followed = await followTwo({ clock })
  const { subject, control } = followed
  const { revision } = control.source.publisher
  subject.gateway.only = (path) => (path.startsWith('/v1/services') && path.includes('stale') ? 'empty' : 'pass')
  clock.speed = 20
  const asked = subject.gateway.calls.length
  await until(() => subject.gateway.calls.slice(asked).some((call) => call.includes('/v1/services') && !call.includes('stale')), { what: 'the leader to be asked' })
  clock.speed = 1
  assert.equal(control.source.publisher.revision, revision)
  assert.equal(control.known.answer, 'read')
})
