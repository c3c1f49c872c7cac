// Recorded: failing checks, canaries, scaling and stopping, crashes, garbage collection, a system job (fixtures 02 to 07 and 12).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startRegistry } from '#src/development/registry.ts'
import type { Registry } from '#src/development/registry.ts'
import type { Allocation } from '#src/development/state/rows.ts'
import { NomadClient } from '#test/support/nomad-client.ts'
import { makeJob, ms } from '#test/support/nomad-job.ts'
import { agrees, readRecording } from '#test/support/agreement.ts'
import { until } from '#test/support/until.ts'
import { agreesWith } from './subject.ts'

const running = (nomad: Registry, job: string): readonly Allocation[] => nomad.allocations(job).filter(({ client, desired }) => client === 'running' && desired === 'run')
const deployed = (nomad: Registry, job: string, version = 0): Promise<true> =>
  until(() => nomad.cluster.store.deploymentsOf('default', job).some((each) => each.job.Version === version && each.status === 'successful'), { what: `deployment ${version} of ${job} to succeed` })
const first = <T>(list: readonly T[]): T => list[0] ?? assert.fail('empty')
const portOf = (allocation: Allocation): number => first(allocation.ports).value

test('a failing check changes its result and nothing else', async () => {
  await using nomad = await startRegistry()
  nomad.run(makeJob('web', { count: 2, tags: ['serai.host=web.example.org', 'v1'], checkMs: 50 }))
  await deployed(nomad, 'web')
  const allocation = nomad.allocations('web')[1] ?? assert.fail('no second allocation')
  const client = new NomadClient(nomad.address)
  const before = nomad.cluster.store.indexOf('services')
  for (const each of nomad.allocations('web')) await fetch(`http://127.0.0.1:${portOf(each)}/fail`)
  const checks = `/v1/client/allocation/${allocation.id}/checks`
  await client.askUntil<Readonly<Record<string, { readonly Status: string }>>>(checks, ({ body }) => Object.values(body).every(({ Status }) => Status === 'failure'), 'the failure')
  const ours = new Map([['3e8e09f5-79c8-2527-df88-6db748865262', allocation.id]])
  for (const name of ['checks-failing', 'service-while-failing', 'allocation-while-failing']) await agreesWith(nomad, `02-failing-check/${name}.json`, ours)
  assert.equal(nomad.cluster.store.indexOf('services'), before)
})

test('check_restart: deregistered, registered again under the same ID, and only then signalled', async () => {
  await using nomad = await startRegistry()
  nomad.run(makeJob('web-restart', { tags: ['serai.host=restart.example.org'], checkMs: 40, check: { CheckRestart: { Limit: 2, Grace: ms(1500), IgnoreWarnings: false } }, env: { STOP_DELAY: '100' }, group: { Name: 'web' } }))
  await deployed(nomad, 'web-restart')
  const client = new NomadClient(nomad.address)
  await using stream = await client.follow(`topic=Service&index=${nomad.cluster.store.indexOf('services') + 1}`)
  const allocation = first(running(nomad, 'web-restart'))
  const pid = first(nomad.pids(allocation.id))
  await fetch(`http://127.0.0.1:${portOf(allocation)}/fail`)
  const registered = await stream.event(({ Type }) => Type === 'ServiceRegistration', 'registered again')
  assert.deepEqual(stream.events.map(({ Type, Key }) => [Type, Key]), [['ServiceDeregistration', registered.Key], ['ServiceRegistration', registered.Key]])
  assert.equal(registered.Payload['Service']?.['CreateIndex'], registered.Index)
  assert.equal(process.kill(pid, 0), true)
  const ours = new Map([['e4b977c9-fb8a-0c8c-3e38-a2830c94ab41', allocation.id]])
  await agreesWith(nomad, '02-failing-check/b-checks-restarting.json', ours)
  await until(() => nomad.pids(allocation.id).some((each) => each !== pid), { what: 'a new process' })
})

test('a canary beside the stable ones, promoted: tags change, the registration stays, the old ones go at once', async () => {
  await using nomad = await startRegistry()
  const shop = (VERSION: string): ReturnType<typeof makeJob> => makeJob('shop', {
    count: 2, tags: ['serai.host=shop.example.org', 'stable'], canaryTags: ['serai.host=shop.example.org', 'serai.weight=10', 'canary'], checkMs: 50, canaries: 1, env: { VERSION },
  })
  nomad.run(shop('v1'))
  await deployed(nomad, 'shop')
  for (const name of ['1-service-before', '1-services-before']) await agreesWith(nomad, `03-canary/${name}.json`)

  nomad.run(shop('v2'))
  const canary = await until(() => nomad.allocations('shop').find(({ health }) => health?.canary === true && health.healthy === true), { what: 'a healthy canary' })
  const deployment = first(nomad.cluster.store.deploymentsOf('default', 'shop').filter(({ status }) => status === 'running'))
  const ours = new Map([['14ca96da-9eb4-7172-62bc-c1c1a773d837', canary.id], ['faae67b7-bdc3-f569-9912-ddb50b403886', deployment.id]])
  for (const name of ['2-service-canary', '2-services-canary', '2-allocation-canary', '2-deployment-canary']) await agreesWith(nomad, `03-canary/${name}.json`, ours)

  await using stream = await new NomadClient(nomad.address).follow(`topic=Service&index=${nomad.cluster.store.indexOf('services') + 1}`)
  nomad.promote('shop')
  const again = await stream.event(({ Key }) => Key.includes(canary.id), 'the canary registered with the stable tags')
  assert.deepEqual([again.Type, again.Payload['Service']?.['Tags']], ['ServiceRegistration', ['serai.host=shop.example.org', 'stable']])
  await until(() => stream.events.filter(({ Type }) => Type === 'ServiceDeregistration').length === 2, { what: 'both old ones to go' })
  await deployed(nomad, 'shop', 1)
  for (const name of ['4-service-done', '4-services-done']) await agreesWith(nomad, `03-canary/${name}.json`)
})

test('stopping: the group\'s service, its delay, the task\'s service, its delay, then the signal', async () => {
  await using nomad = await startRegistry()
  const job = makeJob('slow', { count: 2, service: { Name: 'slow-group' }, taskService: 'slow-task', groupDelayMs: 300, taskDelayMs: 100, group: { Name: 'g' } })
  nomad.run(job)
  await deployed(nomad, 'slow')
  const client = new NomadClient(nomad.address)
  const [allocation, other] = [nomad.allocations('slow')[1] ?? assert.fail('no second'), first(nomad.allocations('slow'))]
  const ours = new Map([['ef12dac3-a1f6-e47a-7a2a-6dda1097caa4', allocation.id], ['f1ea2471-da33-802f-ee96-635e87acff67', other.id]])
  await until(async () => (await fetch(`http://127.0.0.1:${portOf(allocation)}/`)).ok, { what: 'the task to listen' })
  await using stream = await client.follow('topic=Service&topic=Allocation&index=999999')
  nomad.stop('slow')
  await client.askUntil<unknown[]>('/v1/service/slow-group', ({ body }) => body.length === 0, 'the group service to go')
  for (const name of ['slow-service-in-delay', 'slow-service-task-in-delay', 'slow-allocation-in-delay']) await agreesWith(nomad, `04-scale-stop/${name}.json`, ours)
  assert.equal((await fetch(`http://127.0.0.1:${portOf(allocation)}/`)).status, 200)
  await until(() => nomad.allocations('slow').every(({ client: status }) => status === 'complete'), { what: 'the tasks to end' })
  for (const name of ['slow-service-stopped', 'slow-allocation-stopped', 'slow-job-stopped']) await agreesWith(nomad, `04-scale-stop/${name}.json`, ours)
  const waiting = stream.events.find(({ Payload }) => Payload['Allocation']?.['ClientStatus'] === 'pending')
  assert.equal(waiting?.Payload['Allocation']?.['DesiredStatus'], 'stop', 'an allocation in its task\'s delay is shown as pending')
})

test('a restart by the API registers the group\'s service again before the signal, under a new index', async () => {
  await using nomad = await startRegistry()
  nomad.run(makeJob('web', { groupDelayMs: 150, env: { STOP_DELAY: '150' } }))
  await deployed(nomad, 'web')
  const client = new NomadClient(nomad.address)
  const allocation = first(running(nomad, 'web'))
  const pid = first(nomad.pids(allocation.id))
  await using stream = await client.follow(`topic=Service&index=${nomad.cluster.store.indexOf('services') + 1}`)
  await client.ask(`/v1/client/allocation/${allocation.id}/restart`, { method: 'POST', body: {} })
  await stream.event(({ Type }) => Type === 'ServiceRegistration', 'registered again')
  assert.equal(process.kill(pid, 0), true)
  await until(() => nomad.pids(allocation.id).some((each) => each !== pid), { what: 'a new process' })
  assert.deepEqual(stream.events.map(({ Type }) => Type), ['ServiceDeregistration', 'ServiceRegistration'])
})

test('scaling while a deployment runs is refused', async () => {
  await using nomad = await startRegistry()
  nomad.run(makeJob('slow', { minHealthyMs: 60_000 }))
  await until(() => nomad.allocations('slow').length === 1, { what: 'an allocation' })
  const answer = await new NomadClient(nomad.address).ask('/v1/job/slow/scale', { method: 'POST', body: { Count: 3, Target: { Group: 'slow' } } })
  agrees(answer, readRecording('04-scale-stop/scale-blocked-by-deployment.json'))
})

test('at every new version healthy allocations lose their verdict until they are judged again', async () => {
  await using nomad = await startRegistry()
  nomad.run(makeJob('web', { count: 2 }))
  await deployed(nomad, 'web')
  await using stream = await new NomadClient(nomad.address).follow('topic=Allocation&index=999999')
  nomad.scale('web', 3)
  await deployed(nomad, 'web', 1)
  const planned = stream.events.filter(({ Type }) => Type === 'PlanResult').map(({ Payload }) => Payload['Allocation'] ?? {})
  assert.deepEqual(planned.map((allocation) => [allocation['ClientStatus'], 'DeploymentStatus' in allocation]).sort(), [['pending', false], ['running', false], ['running', false]])
})

test('a killed task: the task\'s service goes, the group\'s stays; out of attempts, both go and another allocation is placed', async () => {
  await using nomad = await startRegistry()
  const group = { Name: 'g', RestartPolicy: { Attempts: 1, Delay: ms(200), Interval: ms(300_000), Mode: 'fail' }, ReschedulePolicy: { Attempts: 0, Delay: ms(200), DelayFunction: 'constant', Unlimited: true } }
  nomad.run(makeJob('crash', { service: { Name: 'crash-group' }, taskService: 'crash-task', minHealthyMs: 60_000, group }))
  const client = new NomadClient(nomad.address)
  await until(() => running(nomad, 'crash').length === 1, { what: 'it to run' })
  const allocation = first(running(nomad, 'crash'))
  const ours = new Map([['267b8e36-bca2-6811-8d67-20dc61e3df9d', allocation.id]])
  const kill = (): boolean => process.kill(first(nomad.pids(allocation.id)), 'SIGKILL')
  kill()
  await until(() => nomad.allocations('crash')[0]?.client === 'pending', { what: 'the restart to wait' })
  for (const name of ['1-service-group-while-down', '1-service-task-while-down', '1-allocation-while-down']) await agreesWith(nomad, `05-crash/${name}.json`, ours)
  await client.askUntil<unknown[]>('/v1/service/crash-task', ({ body }) => body.length === 1, 'the restart')
  kill()
  await until(() => nomad.allocations('crash').some(({ client: status }) => status === 'failed'), { what: 'the failure' })
  await agreesWith(nomad, '05-crash/2-checks-failed.json', ours)
  const replacement = await until(() => nomad.allocations('crash').find(({ previous }) => previous === allocation.id), { what: 'another allocation' })
  await until(() => nomad.cluster.store.services.list('default', 'crash-group').some(({ AllocID }) => AllocID === replacement.id), { what: 'its registration' })
})

test('garbage collection and purge: one event for the job, none for its allocations', async () => {
  await using nomad = await startRegistry()
  const client = new NomadClient(nomad.address)
  nomad.run(makeJob('quick', { service: { Name: 'quick-group' } }))
  await deployed(nomad, 'quick')
  const gone = first(nomad.allocations('quick')).id
  nomad.stop('quick')
  await until(() => nomad.allocations('quick').every(({ client: status }) => status === 'complete'), { what: 'the end' })
  await using stream = await client.follow('topic=Job&topic=Allocation&topic=Service&index=999999')
  await client.ask('/v1/system/gc', { method: 'PUT' })
  const ours = new Map([['7301efb8-5023-ffbd-5eba-01651f718194', gone]])
  for (const name of ['1-allocs-after-gc', '1-job-after-gc', '3-allocation-after-gc']) await agreesWith(nomad, `07-gc-purge/${name}.json`, ours)

  nomad.run(makeJob('quick', { service: { Name: 'quick-group' } }))
  await deployed(nomad, 'quick')
  const since = nomad.save().index
  nomad.stop('quick', { purge: true })
  await stream.event(({ Type, Index }) => Type === 'ServiceDeregistration' && Index > since, 'deregistered')
  for (const name of ['2-job-after-purge', '2-allocation-after-purge', '2-service-after-purge']) await agreesWith(nomad, `07-gc-purge/${name}.json`, ours)
  assert.deepEqual(stream.events.filter(({ Index }) => Index > since).map(({ Topic, Type }) => `${Topic}/${Type}`), ['Job/JobDeregistered', 'Service/ServiceDeregistration'])
  assert.deepEqual(stream.events[0]?.Type, 'JobBatchDeregistered')
})

test('a system job: one allocation on each node, the old one gone before the new one is registered', async () => {
  await using nomad = await startRegistry({ nodes: ['node-1', 'node-2'] })
  const edge = (VERSION: string): ReturnType<typeof makeJob> => makeJob('edge', { type: 'system', checkMs: 50, env: { VERSION, STOP_DELAY: '50' }, group: { Update: { MaxParallel: 1, MinHealthyTime: ms(100), HealthyDeadline: ms(30_000), AutoRevert: true } } })
  nomad.run(edge('v1'))
  await deployed(nomad, 'edge')
  assert.equal(new Set(running(nomad, 'edge').map(({ nodeId }) => nodeId)).size, 2)
  await using stream = await new NomadClient(nomad.address).follow('topic=Service&index=999999')
  nomad.run(edge('v2'))
  await deployed(nomad, 'edge', 1)
  assert.deepEqual(stream.events.map(({ Type }) => Type), ['ServiceDeregistration', 'ServiceRegistration', 'ServiceDeregistration', 'ServiceRegistration'])
})
