// What Serai relies on in Nomad's API, as one suite: run on the development registry by `npm test`, on a real Nomad by `npm run test:real`.
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { NomadClient } from '#test/support/nomad-client.ts'
import type { NomadAnswer } from '#test/support/nomad-client.ts'
import { makeJob, ms } from '#test/support/nomad-job.ts'
import { until } from '#test/support/until.ts'

export interface NomadUnderTest extends AsyncDisposable {
  readonly address: string
}

interface Listed { readonly Namespace: string; readonly Services: readonly { readonly ServiceName: string; readonly Tags: readonly string[] }[] }
interface Registered { readonly ID: string; readonly AllocID: string; readonly Address: string; readonly Port: number; readonly Tags: readonly string[]; readonly CreateIndex: number; readonly ModifyIndex: number }
interface Stub { readonly ID: string; readonly JobVersion: number; readonly ClientStatus: string; readonly DesiredStatus: string; readonly DeploymentStatus: { readonly Healthy: boolean | null; readonly Canary: boolean } | null }
interface Deployment { readonly ID: string; readonly JobVersion: number; readonly Status: string }
type Job = ReturnType<typeof makeJob>
type Checks = Readonly<Record<string, { readonly Status: string; readonly Service: string; readonly Check: string }>> | null

const DEADLINE_MS = 30_000

/** Declares the suite; every test uses jobs of its own names. `checkMs`: the interval of checks, which a real Nomad wants to be at least a second. */
export function describeNomad(name: string, start: () => Promise<NomadUnderTest>, { checkMs }: { readonly checkMs: number }): void {
  suite(`Nomad's API as Serai uses it: ${name}`, { timeout: 110_000 }, () => {
    let nomad: NomadUnderTest
    let client: NomadClient
    before(async () => {
      nomad = await start()
      client = new NomadClient(nomad.address)
    }, { timeout: 90_000 })
    after(() => nomad[Symbol.asyncDispose](), { timeout: 60_000 })

    const run = async (job: Job): Promise<NomadAnswer> => {
      const answer = await client.ask('/v1/jobs', { method: 'POST', body: { Job: job } })
      assert.equal(answer.status, 200, JSON.stringify(answer.body))
      return answer
    }
    const stop = async (job: string, query = ''): Promise<void> => { await client.ask(`/v1/job/${job}?${query}`, { method: 'DELETE' }) }
    const registered = (service: string, holds: (list: readonly Registered[]) => boolean, what: string): Promise<NomadAnswer<readonly Registered[]>> => client.askUntil(`/v1/service/${service}`, ({ body }) => holds(body), what)
    const allocations = async (job: string): Promise<readonly Stub[]> => (await client.ask<readonly Stub[]>(`/v1/job/${job}/allocations`)).body
    const deployed = (job: string, version = 0): Promise<NomadAnswer<readonly Deployment[]>> => client.askUntil(`/v1/job/${job}/deployments`, ({ body }) => body.some(({ JobVersion, Status }) => JobVersion === version && Status === 'successful'), `version ${version} of ${job}`)
    const answers = ({ Address, Port }: Registered, path = '/'): Promise<{ readonly pid: number; readonly version: string }> => until(async () => {
      const response = await fetch(`http://${Address}:${Port}${path}`)
      return response.ok ? await response.json().catch(() => ({})) as { readonly pid: number; readonly version: string } : undefined
    }, { deadline: DEADLINE_MS, what: `${Address}:${Port} to answer` })
    const checksOf = (allocation: string): string => `/v1/client/allocation/${allocation}/checks`

    test('names with tags, registrations, and the same index for both', async () => {
      await run(makeJob('plain', { count: 2, tags: ['serai.host=plain.example.org', 'v1'] }))
      const { body, index } = await registered('plain', (list) => list.length === 2, 'two registrations')
      const [first] = body
      assert.ok(first !== undefined)
      assert.match(first.ID, /^_nomad-task-[0-9a-f-]{36}-group-plain-plain-http$/)
      assert.deepEqual([...first.Tags].sort(), ['serai.host=plain.example.org', 'v1'])
      const list = await client.ask<readonly Listed[]>('/v1/services?namespace=*')
      assert.equal(list.headers.get('x-nomad-knownleader'), 'true')
      const entry = list.body.find(({ Namespace }) => Namespace === 'default')?.Services.find(({ ServiceName }) => ServiceName === 'plain')
      assert.deepEqual([...entry?.Tags ?? []].sort(), ['serai.host=plain.example.org', 'v1'])
      assert.equal(list.index, index)
      assert.deepEqual((await client.ask('/v1/service/plain?namespace=*')).body, [])
      assert.deepEqual((await client.ask('/v1/service/plain?stale')).body, body)
      assert.deepEqual((await client.ask('/v1/service/nobody')).body, [])
    })

    test('blocking: a lower index answers at once, the present one waits, a change wakes, a higher index waits to the end', async () => {
      await run(makeJob('blocking'))
      const { index = 0 } = await registered('blocking', (list) => list.length === 1, 'a registration')
      assert.ok((await took(() => client.ask('/v1/service/blocking?index=1&wait=20s'))) < 5000)
      const waited = await took(async () => { assert.equal((await client.ask('/v1/service/blocking?index=99999999&wait=1s')).status, 200) })
      assert.ok(waited >= 1000 && waited < 5000, `waited ${waited} ms`)
      const waiting = client.ask<readonly Registered[]>(`/v1/service/blocking?index=${index}&wait=20s`)
      await stop('blocking')
      const woken = await waiting
      assert.ok((woken.index ?? 0) > index)
      assert.equal((await client.ask('/v1/service/blocking?index=x')).status, 400)
      assert.equal((await client.ask('/v1/service/blocking?index=1&wait=x')).status, 400)
    })

    test('a registration comes before its task listens', async () => {
      await run(makeJob('early', { env: { START_DELAY: '1000' } }))
      const { body: [first] } = await registered('early', (list) => list.length === 1, 'a registration')
      assert.ok(first !== undefined)
      await assert.rejects(fetch(`http://${first.Address}:${first.Port}/`))
      await answers(first)
      await stop('early', 'no_shutdown_delay=true')
    })

    test('check results: pending, then success; a failing check changes nothing else; null where there is no check', async () => {
      await run(makeJob('checked', { checkMs, env: { START_DELAY: '500' } }))
      const { body: [instance] } = await registered('checked', (list) => list.length === 1, 'a registration')
      assert.ok(instance !== undefined)
      const path = checksOf(instance.AllocID)
      await client.askUntil<Checks>(path, ({ body }) => Object.values(body ?? {}).some(({ Status }) => Status !== 'success'), 'a check that has not passed')
      const { body } = await client.askUntil<Checks>(path, (answer) => Object.values(answer.body ?? {}).some(({ Status }) => Status === 'success'), 'success')
      assert.deepEqual(Object.values(body ?? {}).map(({ Service, Check }) => [Service, Check]), [['checked', 'up']])
      const before = await client.ask('/v1/service/checked')
      await answers(instance, '/fail')
      await client.askUntil<Checks>(path, (answer) => Object.values(answer.body ?? {}).some(({ Status }) => Status === 'failure'), 'the failure')
      assert.deepEqual((await client.ask('/v1/service/checked')).body, before.body)
      assert.equal((await allocations('checked'))[0]?.ClientStatus, 'running')
      await run(makeJob('unchecked'))
      const { body: [other] } = await registered('unchecked', (list) => list.length === 1, 'a registration')
      assert.equal((await client.ask(checksOf(other?.AllocID ?? ''))).body, null)
      assert.equal((await client.ask(checksOf('00000000-0000-0000-0000-000000000000'))).status, 404)
      const { body: allocation } = await client.ask<{ readonly Job: { readonly Version: number; readonly TaskGroups: readonly { readonly Services: readonly { readonly Checks: readonly unknown[] | null }[] }[] } }>(`/v1/allocation/${instance.AllocID}`)
      assert.equal(allocation.Job.TaskGroups[0]?.Services[0]?.Checks?.length, 1)
      for (const job of ['checked', 'unchecked']) await stop(job, 'no_shutdown_delay=true')
    })

    test('events: a heartbeat first, then registration and deregistration with the registration as payload, from an index on', async () => {
      const { index = 0 } = await client.ask('/v1/services')
      await using stream = await client.follow('topic=Service:events&topic=Allocation:events&namespace=*')
      await until(() => stream.heartbeats > 0, { what: 'the first heartbeat' })
      await run(makeJob('events'))
      const up = await stream.event(({ Topic, Type }) => Topic === 'Service' && Type === 'ServiceRegistration', 'registered')
      assert.deepEqual([up.Namespace, up.FilterKeys, up.Payload['Service']?.['ServiceName']], ['default', ['events', 'events'], 'events'])
      await stream.event(({ Topic, Payload }) => Topic === 'Allocation' && Payload['Allocation']?.['ClientStatus'] === 'running', 'running')
      await stop('events')
      const planned = await stream.event(({ Topic, Payload }) => Topic === 'Allocation' && Payload['Allocation']?.['DesiredStatus'] === 'stop', 'to be stopped')
      const down = await stream.event(({ Topic, Type }) => Topic === 'Service' && Type === 'ServiceDeregistration', 'deregistered')
      assert.equal(planned.Type, 'PlanResult')
      assert.ok(planned.Index < down.Index, 'the wish to stop comes before the deregistration')
      await using again = await client.follow(`topic=Service:events&index=${up.Index}`)
      await again.event(({ Index, Type }) => Index === up.Index && Type === 'ServiceRegistration', 'the same event again')
      assert.ok(up.Index > index)
    })

    test('a canary has its own tags until it is promoted; then the same registration has the others', async () => {
      const shop = (VERSION: string): Job => makeJob('shop', { count: 1, tags: ['stable'], canaryTags: ['canary'], canaries: 1, checkMs, env: { VERSION } })
      await run(shop('v1'))
      await deployed('shop')
      await run(shop('v2'))
      const { body } = await registered('shop', (list) => list.some(({ Tags }) => Tags.includes('canary')), 'the canary')
      const canary = body.find(({ Tags }) => Tags.includes('canary'))
      assert.deepEqual([body.length, canary?.Tags], [2, ['canary']])
      await until(async () => (await allocations('shop')).some(({ ID, DeploymentStatus }) => ID === canary?.AllocID && DeploymentStatus?.Healthy === true), { deadline: DEADLINE_MS, what: 'a healthy canary' })
      const { body: deployments } = await client.ask<readonly Deployment[]>('/v1/job/shop/deployments')
      const deployment = deployments.find(({ Status }) => Status === 'running') // they come in no order of time
      const promoted = await client.ask(`/v1/deployment/promote/${deployment?.ID}`, { method: 'POST', body: { DeploymentID: deployment?.ID, All: true } })
      assert.equal(promoted.status, 200, JSON.stringify(promoted.body))
      const { body: [last] } = await registered('shop', (list) => list.length === 1 && list[0]?.Tags.includes('stable') === true && list[0].AllocID === canary?.AllocID, 'only the promoted one')
      assert.deepEqual([last?.ID, last?.CreateIndex, (last?.ModifyIndex ?? 0) > (canary?.ModifyIndex ?? 0)], [canary?.ID, canary?.CreateIndex, true])
      await stop('shop', 'no_shutdown_delay=true')
    })

    test('new tags are an update in place: the same allocation, registered anew', async () => {
      await run(makeJob('tagged', { tags: ['one'] }))
      await deployed('tagged')
      const { body: [before] } = await registered('tagged', (list) => list.length === 1, 'a registration')
      await run(makeJob('tagged', { tags: ['two'] }))
      const { body: [changed] } = await registered('tagged', ([each]) => each?.Tags.includes('two') === true, 'the new tag')
      assert.deepEqual([changed?.ID, changed?.CreateIndex], [before?.ID, before?.CreateIndex])
      await stop('tagged', 'no_shutdown_delay=true')
    })

    test('rolling update, one after another: the replacement is registered when the old one has ended', async () => {
      const rolling = (VERSION: string): Job => makeJob('rolling', { count: 2, checkMs, env: { VERSION }, groupDelayMs: 300 })
      await run(rolling('v1'))
      await deployed('rolling')
      await using stream = await client.follow('topic=Service:rolling')
      const { index = 0 } = await client.ask('/v1/services')
      await run(rolling('v2'))
      await deployed('rolling', 1)
      const seen = stream.events.filter(({ Index }) => Index > index).map(({ Type }) => Type)
      assert.deepEqual(seen, ['ServiceDeregistration', 'ServiceRegistration', 'ServiceDeregistration', 'ServiceRegistration'])
      assert.deepEqual((await allocations('rolling')).filter(({ DesiredStatus }) => DesiredStatus === 'run').map(({ JobVersion }) => JobVersion), [1, 1])
      await stop('rolling', 'no_shutdown_delay=true')
    })

    test('stopping: gone from the list, still serving for the group\'s delay', async () => {
      await run(makeJob('delayed', { groupDelayMs: 1500 }))
      const { body: [instance] } = await registered('delayed', (list) => list.length === 1, 'a registration')
      assert.ok(instance !== undefined)
      await answers(instance)
      await stop('delayed')
      await registered('delayed', (list) => list.length === 0, 'deregistered')
      assert.equal((await fetch(`http://${instance.Address}:${instance.Port}/`)).status, 200)
      const { body } = await client.ask<{ readonly DesiredStatus: string; readonly ClientStatus: string }>(`/v1/allocation/${instance.AllocID}`)
      assert.equal(body.DesiredStatus, 'stop')
      assert.equal((await client.ask(checksOf(instance.AllocID))).body, null)
      await until(() => fetch(`http://${instance.Address}:${instance.Port}/`).then(() => false, () => true), { deadline: DEADLINE_MS, what: 'the task to end' })
    })

    test('a killed task: the group\'s service stays registered while it restarts', async () => {
      await run(makeJob('killed', { taskService: 'killed-task', group: { RestartPolicy: { Attempts: 3, Delay: ms(1000), Interval: ms(300_000), Mode: 'fail' } } }))
      const { body: [instance] } = await registered('killed', (list) => list.length === 1, 'a registration')
      await registered('killed-task', (list) => list.length === 1, 'the task\'s registration')
      assert.ok(instance !== undefined)
      const { pid } = await answers(instance)
      process.kill(pid, 'SIGKILL')
      await registered('killed-task', (list) => list.length === 0, 'the task\'s service to go')
      assert.equal((await client.ask<readonly Registered[]>('/v1/service/killed')).body[0]?.ModifyIndex, instance.ModifyIndex)
      await registered('killed-task', (list) => list.length === 1, 'the restart')
      assert.notEqual((await answers(instance)).pid, pid)
      await stop('killed', 'no_shutdown_delay=true')
    })

    test('scaling: the count follows, and healthy allocations lose their verdict on the way', async () => {
      await run(makeJob('scaled', { count: 1, minHealthyMs: 500 }))
      await deployed('scaled')
      await using stream = await client.follow('topic=Allocation:scaled')
      await until(() => stream.heartbeats > 0, { what: 'the first heartbeat' })
      const since = Math.max(0, ...stream.events.map(({ Index }) => Index))
      const answer = await client.ask('/v1/job/scaled/scale', { method: 'POST', body: { Count: 2, Target: { Group: 'scaled' } } })
      assert.equal(answer.status, 200, JSON.stringify(answer.body))
      await registered('scaled', (list) => list.length === 2, 'two registrations')
      await stream.event(({ Type, Index, Payload }) => Type === 'PlanResult' && Index > since && Payload['Allocation']?.['ClientStatus'] === 'running' && Payload['Allocation']['DeploymentStatus'] === undefined, 'a running allocation without a verdict')
      await stop('scaled', 'no_shutdown_delay=true')
    })

    test('namespaces: separate services of one name; the list of all has one element each', async () => {
      await client.ask('/v1/namespace/contract', { method: 'PUT', body: { Name: 'contract', Description: '' } })
      await run(makeJob('twin', { tags: ['a'] }))
      await run(makeJob('twin', { namespace: 'contract', tags: ['b'] }))
      const { body } = await client.askUntil<readonly Listed[]>('/v1/services?namespace=*', (answer) => answer.body.filter(({ Services }) => Services.some(({ ServiceName }) => ServiceName === 'twin')).length === 2, 'both')
      assert.deepEqual(body.find(({ Namespace }) => Namespace === 'contract')?.Services, [{ ServiceName: 'twin', Tags: ['b'] }])
      assert.ok((await client.ask<readonly { readonly Name: string }[]>('/v1/namespaces')).body.some(({ Name }) => Name === 'contract'))
      const { body: job } = await client.ask<{ readonly CreateIndex: number }>('/v1/job/twin?namespace=contract')
      assert.ok(job.CreateIndex > 0)
      await stop('twin', 'no_shutdown_delay=true')
      await stop('twin', 'namespace=contract&no_shutdown_delay=true')
    })

    test('purging a running job: its services go, its allocations are not told of', async () => {
      await run(makeJob('purged'))
      await deployed('purged')
      await using stream = await client.follow('topic=Service:purged&topic=Allocation:purged&topic=Job:purged')
      await until(() => stream.heartbeats > 0, { what: 'the first heartbeat' })
      const { index = 0 } = await client.ask('/v1/jobs')
      await stop('purged', 'purge=true')
      await stream.event(({ Type, Index }) => Type === 'ServiceDeregistration' && Index > index, 'deregistered')
      const after = stream.events.filter(({ Index, Topic }) => Index > index && Topic === 'Allocation')
      assert.deepEqual(after.map(({ Type }) => Type), [])
      assert.equal((await client.ask('/v1/job/purged')).status, 404)
    })

    test('nodes say where they are', async () => {
      const { body: [node] } = await client.ask<readonly { readonly ID: string; readonly Status: string; readonly Address: string }[]>('/v1/nodes')
      assert.deepEqual([node?.Status, node?.Address], ['ready', '127.0.0.1'])
      const { body } = await client.ask<{ readonly HTTPAddr: string; readonly Attributes: Readonly<Record<string, string>> }>(`/v1/node/${node?.ID}`)
      assert.deepEqual([body.HTTPAddr, body.Attributes['unique.network.ip-address']], [nomad.address, '127.0.0.1'])
      assert.equal((await client.ask('/v1/status/leader')).status, 200)
    })
  })
}

async function took(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now()
  await work()
  return performance.now() - begun
}
