// Recorded: a job of two instances just after it was registered, and then healthy (fixtures 01-register).
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { startRegistry } from '#src/development/registry.ts'
import type { Registry } from '#src/development/registry.ts'
import { quick } from '#src/development/pace.ts'
import { NomadClient } from '#test/support/nomad-client.ts'
import { makeJob } from '#test/support/nomad-job.ts'
import { assertPartOf, readRecording } from '#test/support/agreement.ts'
import { until } from '#test/support/until.ts'
import { testRecordings } from './subject.ts'
import type { Ours } from './subject.ts'

const RECORDED_ALLOCATION = '3e8e09f5-79c8-2527-df88-6db748865262'
const tags = ['serai.host=web.example.org', 'v1']

suite('nothing registered yet', () => {
  let nomad: Registry
  before(async () => { nomad = await startRegistry() })
  after(() => nomad[Symbol.asyncDispose]())
  testRecordings('01-register', ['00-service-unknown', '00-services-empty'], () => ({ nomad }))
})

suite('just registered: the tasks have not started', () => {
  let nomad: Registry
  let ours: Ours
  before(async () => {
    nomad = await startRegistry({ pace: { ...quick, startMs: 600_000, clientUpdateMs: 600_000 } })
    nomad.run(makeJob('web', { count: 2, tags, checkMs: 60_000 }))
    await until(() => nomad.cluster.store.services.size === 2, { what: 'two registrations' })
    ours = new Map([[RECORDED_ALLOCATION, nomad.allocations('web')[1]?.id ?? '']])
  })
  after(() => nomad[Symbol.asyncDispose]())
  testRecordings('01-register', ['01-allocation-just-registered', '01-checks-just-registered', '01-service-just-registered', '01-services-just-registered'], () => ({ nomad, ours }))
})

suite('two healthy instances', () => {
  let nomad: Registry
  let ours: Map<string, string>
  before(async () => {
    nomad = await startRegistry()
    nomad.run(makeJob('web', { count: 2, tags, checkMs: 60 }))
    await until(() => nomad.cluster.store.deploymentsOf('default', 'web').some(({ status }) => status === 'successful'), { what: 'the deployment to succeed' })
    const { services } = nomad.cluster.store
    const [, second] = services.list('default', 'web')
    ours = new Map([
      [RECORDED_ALLOCATION, nomad.allocations('web')[1]?.id ?? ''],
      ['b55f7084-490f-6a22-4d00-28b943ae08fe', nomad.nodes[0]?.id ?? ''],
      ['a57dc97c-6076-f598-bbda-2be3edb3930a-group', `${second?.AllocID ?? ''}-group`],
      ['index=36', `index=${nomad.cluster.store.indexOf('services')}`],
      ['wait=1s', 'wait=100ms'],
      ['127.0.0.1:4647', nomad.address],
    ])
  })
  after(() => nomad[Symbol.asyncDispose]())
  testRecordings('01-register', [
    '02-agent-health', '02-allocation', '02-allocation-blocking', '02-allocation-services', '02-allocation-unknown', '02-allocations', '02-allocations-filter', '02-blocking-bad-index', '02-blocking-bad-wait',
    '02-blocking-index-0', '02-blocking-index-above', '02-blocking-index-below', '02-blocking-timeout', '02-checks', '02-checks-index', '02-checks-malformed', '02-checks-unknown', '02-job',
    '02-job-allocations', '02-job-services', '02-jobs', '02-method', '02-namespaces', '02-node', '02-nodes', '02-region-unknown', '02-regions', '02-service', '02-service-choose-1', '02-service-choose-9',
    '02-service-choose-bad', '02-service-choose-bad2', '02-service-filter-bad', '02-service-filter-hit', '02-service-filter-miss', '02-service-filter-syntax', '02-service-page-1',
    '02-service-page-2', '02-service-slash', '02-service-stale', '02-service-unknown-namespace', '02-services', '02-services-filter', '02-services-namespace-star', '02-services-page', '02-status-leader',
    '02-unknown-endpoint', '02-unknown-namespace',
  ], () => ({ nomad, ours }))

  test('a wait ends after itself and at most a sixteenth more, with the index that was seen', async () => {
    const client = new NomadClient(nomad.address)
    const index = nomad.cluster.store.indexOf('services')
    const begun = performance.now()
    const answer = await client.ask(`/v1/service/web?index=${index}&wait=320ms`)
    const took = performance.now() - begun
    assert.equal(answer.index, index)
    assert.ok(took >= 319 && took < 2000, `took ${took} ms`)
  })

  test('what the agent says of itself is part of what a real one says', async () => {
    const { body } = await new NomadClient(nomad.address).ask('/v1/agent/self')
    assertPartOf(body, readRecording('01-register/02-agent-self.json').response.body)
  })
})
