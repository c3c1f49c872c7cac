// Recorded: events. Every event of the development registry has a recorded one of its topic and type that it agrees with, field by field.
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { startRegistry } from '#src/development/registry.ts'
import { NomadClient } from '#test/support/nomad-client.ts'
import type { NomadEvent } from '#test/support/nomad-client.ts'
import { makeJob, ms } from '#test/support/nomad-job.ts'
import { assertAgrees } from '#test/support/agreement.ts'
import { until } from '#test/support/until.ts'

const recorded = globSync('test/fixtures/nomad/**/*events.ndjson').flatMap((file) => readFileSync(file, 'utf8').trim().split('\n'))
  .map((line) => (JSON.parse(line) as { readonly line: string }).line)
  .filter((line) => line !== '{}')
  .flatMap((line) => (JSON.parse(line) as { readonly Events: readonly NomadEvent[] }).Events)

test('each event agrees with a recorded one', async (t) => {
  await using nomad = await startRegistry()
  const { operations, store } = nomad.cluster
  const client = new NomadClient(nomad.address)
  await using stream = await client.follow('topic=Service&topic=Allocation&topic=Deployment&topic=Job&topic=Node&namespace=*&index=999999')
  const done = (job: string, version: number): Promise<true> => until(() => store.deploymentsOf('default', job).some((each) => each.job.Version === version && each.status === 'successful'), { what: `version ${version} of ${job}` })
  const shop = (VERSION: string): ReturnType<typeof makeJob> => makeJob('shop', { count: 2, tags: ['stable'], canaryTags: ['canary'], checkMs: 50, canaries: 1, env: { VERSION } })
  nomad.run(shop('v1'))
  await done('shop', 0)
  nomad.run(shop('v2'))
  const canary = await until(() => nomad.allocations('shop').find(({ health }) => health?.canary === true && health.healthy === true), { what: 'a healthy canary' })
  nomad.promote('shop')
  await done('shop', 1)
  nomad.run(shop('v3'))
  const failing = await until(() => store.deploymentsOf('default', 'shop').find(({ status }) => status === 'running'), { what: 'a third deployment' })
  operations.fail(failing.id)
  operations.stopAllocation(canary, { noShutdownDelay: true })
  await until(() => nomad.allocations('shop').some(({ previous, client: status }) => previous === canary.id && status === 'running'), { what: 'the migrated allocation' })
  nomad.run(makeJob('crash', { group: { RestartPolicy: { Attempts: 0, Delay: ms(100), Interval: ms(60_000), Mode: 'fail' }, ReschedulePolicy: { Delay: ms(100), Unlimited: true } } }))
  await done('crash', 0)
  process.kill(nomad.pids(nomad.allocations('crash')[0]?.id ?? '')[0] ?? assert.fail('no process'), 'SIGKILL')
  await until(() => nomad.allocations('crash').some(({ client: status }) => status === 'failed'), { what: 'a failed allocation' })
  nomad.stop('crash')
  await until(() => nomad.allocations('crash').every(({ client: status }) => status === 'failed' || status === 'complete'), { what: 'its end' })
  operations.loseNode(nomad.nodes[0]?.id ?? '')
  await stream.event(({ Topic, Type }) => Topic === 'Service' && Type === 'PlanResult', 'lost registrations')
  operations.recoverNode(nomad.nodes[0]?.id ?? '')
  await until(() => nomad.allocations('shop').filter(({ desired, client: status }) => desired === 'run' && status === 'running').length === 2, { what: 'new instances' })
  nomad.stop('shop', { purge: true })
  await stream.event(({ Type }) => Type === 'JobDeregistered', 'the purge')

  const kinds = new Set<string>()
  for (const event of stream.events) {
    const kind = `${event.Topic}/${event.Type}`
    const candidates = recorded.filter(({ Topic, Type }) => Topic === event.Topic && Type === event.Type).map(identified)
    assert.ok(candidates.length > 0, `${kind} was recorded`)
    kinds.add(kind)
    const own = identified(event)
    assertLikeOne({ ...own, Payload: Object.keys(own.Payload).sort() }, candidates.map((each) => ({ ...each, Payload: Object.keys(each.Payload).sort() })), kind)
    for (const [name, payload] of Object.entries(own.Payload).filter(([key]) => key !== 'Deleted')) assertLikeSome(payload, payloads(candidates, name), payloads(ofTopic(event.Topic), name), `${kind}.${name}`)
  }
  t.diagnostic(`${stream.events.length} events of ${kinds.size} kinds: ${[...kinds].sort().join(', ')}`)
})

/** The keys that all of this type have, no key that none has, and for each key a value like one of any type: which of the others are there is of the moment. */
function assertLikeSome(own: Readonly<Record<string, unknown>>, others: readonly Readonly<Record<string, unknown>>[], all: readonly Readonly<Record<string, unknown>>[], path: string): void {
  const names = [...new Set(others.flatMap((each) => Object.keys(each)))]
  assert.deepEqual(names.filter((name) => others.every((each) => name in each) && !(name in own)), [], `${path}: missing keys`)
  assert.deepEqual(Object.keys(own).filter((name) => !names.includes(name)), [], `${path}: keys that Nomad does not have`)
  for (const [name, value] of Object.entries(own)) assertLikeOne(value, all.filter((each) => name in each).map((each) => each[name]), `${path}.${name}`)
}

const ofTopic = (topic: string): Identified[] => recorded.filter(({ Topic }) => Topic === topic).map(identified)
const payloads = (events: readonly Identified[], name: string): Readonly<Record<string, unknown>>[] => events.flatMap(({ Payload }) => (Payload[name] === undefined ? [] : [Payload[name]]))

function assertLikeOne(own: unknown, others: readonly unknown[], path: string): void {
  const failures: string[] = []
  for (const other of others) {
    try {
      assertAgrees(own, other, path)
      return
    } catch (error) {
      failures.push(error instanceof Error ? error.message.slice(0, 200) : String(error))
    }
  }
  assert.fail(`${path}: ${JSON.stringify(own)?.slice(0, 200)} is like none: ${[...new Set(failures)].slice(0, 4).join('; ')}`)
}

interface Identified {
  readonly Payload: Record<string, Record<string, unknown>>
}

/** What names jobs, services and tasks is not compared. */
function identified(event: NomadEvent): Identified {
  const ofTheJob = ['CanaryTags', 'Checks', 'Constraints', 'Canary', 'Count', 'HealthCheck', 'ReschedulePolicy', 'Disconnect', 'Services', 'DynamicPorts', 'Resources', 'AutoRevert']
  // One port stands for all.
  const text = JSON.stringify(event, (key: string, value: unknown) => (['DynamicPorts', 'Ports'].includes(key) && Array.isArray(value) ? value.slice(0, 1) : ['StartedAt', 'FinishedAt', 'LastRestart', 'State', 'Failed'].includes(key) ? 'as far as the task came' : ofTheJob.includes(key) && event.Topic === 'Job' ? 'of the job' : ['JobID', 'TaskGroup', 'ServiceName', 'Tags', 'FilterKeys', 'DesiredDescription', 'StatusDescription', 'AutoRevert', 'AutoPromote', 'DesiredCanaries', 'DesiredTotal', 'HealthyAllocs', 'PlacedAllocs', 'UnhealthyAllocs', 'Stop', 'Status'].includes(key) ? kindOf(value) : value))
  const named = JSON.parse(text) as Identified
  for (const payload of Object.values(named.Payload).filter((each) => typeof each === 'object')) {
    for (const key of ['TaskGroups', 'TaskStates', 'TaskResources']) if (payload[key] !== null && payload[key] !== undefined) payload[key] = Object.values(payload[key])
    const resources = payload['AllocatedResources'] as Record<string, unknown> | undefined
    for (const key of ['Tasks', 'TaskLifecycles']) if (resources !== undefined) resources[key] = Object.values(resources[key] as object)
  }
  return named
}

const kindOf = (value: unknown): string => (Array.isArray(value) ? `list of ${typeof value[0]}` : value === null ? 'null' : typeof value)
