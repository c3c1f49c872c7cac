// A smoke test of the development registry by its methods; what it answers is held by test/contract.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startRegistry } from '#src/development/registry.ts'
import { NomadClient } from '#test/support/nomad-client.ts'
import { ManualClock } from '#test/support/manual-clock.ts'
import { changeOne, runMany } from '#test/support/many-services.ts'
import { makeJob, ms } from '#test/support/nomad-job.ts'
import { until } from '#test/support/until.ts'

test('a job runs until it is stopped, and leaves no process', async () => {
  await using nomad = await startRegistry()
  const client = new NomadClient(nomad.address)
  nomad.run(makeJob('web', { count: 2, tags: ['serai.host=a.example.org'], checkMs: 50 }))
  const { body } = await client.askUntil<{ readonly Address: string; readonly Port: number }[]>('/v1/service/web', (answer) => answer.body.length === 2, 'two instances')
  for (const { Address, Port } of body) await until(async () => (await fetch(`http://${Address}:${Port}/`)).ok, { what: 'the task to listen' })
  await until(() => nomad.allocations('web').every(({ health }) => health?.healthy === true), { what: 'both to be healthy' })
  const pids = nomad.allocations('web').flatMap(({ id }) => nomad.pids(id))
  assert.equal(pids.length, 2)
  nomad.stop('web')
  await client.askUntil<unknown[]>('/v1/services', (answer) => answer.body.length === 0, 'no service')
  await until(() => nomad.allocations('web').every(({ client: status }) => status === 'complete'), { what: 'the tasks to end' })
  for (const pid of pids) assert.throws(() => process.kill(pid, 0), /ESRCH/)
})

test('a node that is drained gives its allocations away one by one, and its system job last', async () => {
  await using nomad = await startRegistry({ nodes: ['node-1', 'node-2'] })
  const { store, operations } = nomad.cluster
  nomad.run(makeJob('web', { count: 2, mock: true }))
  nomad.run(makeJob('edge', { type: 'system', mock: true }))
  await until(() => store.all('deployments').filter(({ status }) => status === 'successful').length === 2, { what: 'both deployments' })
  const first = nomad.nodes[0] ?? assert.fail('no node')
  operations.drain(first, true)
  await until(() => nomad.allocations('web').filter(({ client, desired }) => client === 'running' && desired === 'run').every(({ nodeId }) => nodeId !== first.id), { what: 'web to move' })
  await until(() => store.liveOn(first.id).size === 0, { what: 'the node to be empty' })
  const ends = [...nomad.allocations('web'), ...nomad.allocations('edge')].filter(({ nodeId }) => nodeId === first.id)
  assert.ok(ends.every(({ migrate, client }) => migrate && client === 'complete'))
  await until(() => nomad.nodes.some(({ id, draining, eligible }) => id === first.id && !draining && !eligible), { what: 'the drain to end' })
})

test('a deployment that makes no progress fails, and the last stable version comes back', async () => {
  const clock = new ManualClock()
  await using nomad = await startRegistry({ clock })
  const { store } = nomad.cluster
  const web = (VERSION: string, minHealthyMs: number): ReturnType<typeof makeJob> => makeJob('web', { mock: true, env: { VERSION }, group: { Update: { MaxParallel: 1, AutoRevert: true, MinHealthyTime: ms(minHealthyMs), HealthyDeadline: ms(20_000), ProgressDeadline: ms(30_000) } } })
  nomad.run(web('v1', 1000))
  await clock.advance(5000)
  assert.deepEqual(store.deploymentsOf('default', 'web').map(({ status }) => status), ['successful'])
  nomad.run(web('v2', 60_000))
  await clock.advance(60_000)
  const [, failed, reverted] = store.deploymentsOf('default', 'web')
  assert.deepEqual([failed?.status, failed?.description, reverted?.status], ['failed', 'Failed due to progress deadline - rolling back to job version 0', 'successful'])
  const running = nomad.allocations('web').filter(({ client }) => client === 'running')
  assert.deepEqual(running.map(({ job }) => job.TaskGroups[0]?.Tasks[0]?.Env?.['VERSION']), ['v1'])
})

test('a thousand services are listed in random order, and one that changes wakes who waits', async () => {
  await using nomad = await startRegistry()
  const options = { services: 1000, instances: 2, port: 9 }
  await runMany(nomad, options)
  const client = new NomadClient(nomad.address)
  const names = async (): Promise<readonly string[]> => (await client.ask<readonly { readonly Services: readonly { readonly ServiceName: string }[] }[]>('/v1/services')).body[0]?.Services.map(({ ServiceName }) => ServiceName) ?? []
  const [one, other] = [await names(), await names()]
  assert.deepEqual([one.length, one.toSorted()], [1000, other.toSorted()])
  assert.notDeepEqual(one, other)
  const { index = 0 } = await client.ask('/v1/services')
  const waiting = client.ask(`/v1/service/many-7?index=${index}&wait=20s`)
  changeOne(nomad, 7, 1, options)
  assert.ok(((await waiting).index ?? 0) > index)
})
