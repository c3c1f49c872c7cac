// Recorded: namespaces, all forms of addresses, and a node that is lost and comes back (fixtures 06, 11, 15).
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import type { Socket } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { startRegistry } from '#src/development/registry.ts'
import type { Registry } from '#src/development/registry.ts'
import { NomadClient } from '#test/support/nomad-client.ts'
import { makeJob, ms } from '#test/support/nomad-job.ts'
import { readRecording } from '#test/support/agreement.ts'
import { until } from '#test/support/until.ts'
import { agreesWith, testRecordings } from './subject.ts'
import type { Ours } from './subject.ts'

suite('one job and service name in two namespaces', () => {
  let nomad: Registry
  let ours: Map<string, string>
  before(async () => {
    nomad = await startRegistry()
    const { operations, store } = nomad.cluster
    operations.putNamespace('team-b', 'second namespace')
    const ns = (namespace: string): ReturnType<typeof makeJob> => makeJob('ns-web', { namespace, tags: [`serai.host=${namespace}.example.org`], service: { Name: 'web' }, group: { Name: 'g' } })
    nomad.run(ns('team-b'))
    await until(() => store.services.size === 1, { what: 'the first registration' })
    nomad.run(ns('default'))
    await until(() => store.all('deployments').filter(({ status }) => status === 'successful').length === 2, { what: 'both deployments' })
    ours = new Map([['0cc9bd4c-6297-8bb7-3bd2-52532a87d0a3', nomad.allocations('ns-web', { namespace: 'team-b' })[0]?.id ?? ''], ['index=536', `index=${store.indexOf('services')}`], ['wait=1s', 'wait=100ms']])
  })
  after(() => nomad[Symbol.asyncDispose]())
  testRecordings('06-namespaces', [
    'allocation-other-namespace', 'allocations-star', 'allocations-star-page', 'checks-other-namespace', 'job-services-star', 'jobs-star', 'namespaces', 'service-default', 'service-star', 'service-star-blocking',
    'service-team-b', 'services-default', 'services-star', 'services-team-b',
  ], () => ({ nomad, ours }))

  test('0-create-namespace, after-services-star, after-delete-namespace', async () => {
    const client = new NomadClient(nomad.address)
    const created = await client.ask('/v1/namespace/team-c', { method: 'PUT', body: { Name: 'team-c' } })
    assert.deepEqual([created.status, created.body], [200, ''])
    for (const namespace of ['default', 'team-b']) nomad.stop('ns-web', { namespace })
    await client.askUntil<unknown[]>('/v1/services?namespace=*', ({ body }) => body.length === 0, 'no service')
    await agreesWith(nomad, '06-namespaces/after-services-star.json')
    assert.equal((await client.ask('/v1/namespace/team-c', { method: 'DELETE' })).status, 200)
  })
})

suite('addresses and ports', () => {
  let nomad: Registry
  let ours: Ours
  before(async () => {
    nomad = await startRegistry()
    const service = (Name: string, more: object): object => ({ Name, Provider: 'nomad', ...more })
    nomad.run(makeJob('addr', {
      mock: true,
      group: {
        Name: 'g',
        Update: { MaxParallel: 0 },
        Networks: [{ DynamicPorts: [{ Label: 'http' }, { Label: 'v6', HostNetwork: 'v6' }], ReservedPorts: [{ Label: 'fixed', Value: 18500 }] }],
        Services: [
          service('addr-host', { PortLabel: 'http' }), service('addr-static', { PortLabel: 'fixed' }), service('addr-literal', { PortLabel: '18500' }), service('addr-noport', {}),
          service('addr-custom', { PortLabel: 'http', Address: 'backend.example.org' }), service('addr-custom-v6', { PortLabel: 'http', Address: '::1' }), service('addr-v6', { PortLabel: 'v6', Tags: [] }),
          service('addr-interpolated-${NOMAD_ALLOC_INDEX}', { PortLabel: 'http', Tags: ['alloc=${NOMAD_ALLOC_ID}', 'node=${node.unique.name}', 'dc=${node.datacenter}', 'serai.host=a.example.org,b.example.org', 'serai.rule=Host(`a.example.org`) && PathPrefix(`/x`)', 'unicode=Köln'] }),
          service('addr-twice', { PortLabel: 'http', Tags: ['one'] }), service('addr-twice', { PortLabel: 'fixed', Tags: ['two'] }),
        ],
      },
    }))
    await until(() => nomad.allocations('addr')[0]?.client === 'running', { what: 'it to run' })
    ours = new Map([['d0a80d41-48d1-eee8-a5ea-8579384d3db5', nomad.allocations('addr')[0]?.id ?? '']])
  })
  after(() => nomad[Symbol.asyncDispose]())
  testRecordings('11-addresses', ['addr-custom', 'addr-custom-v6', 'addr-host', 'addr-literal', 'addr-noport', 'addr-static', 'addr-twice', 'addr-v6', 'allocation', 'allocation-services'], () => ({ nomad, ours }))

  test('addresses, ports and IDs are the recorded ones, but for the dynamic ports', async () => {
    const client = new NomadClient(nomad.address)
    const dynamic = new Set(['http', 'v6'])
    for (const name of ['addr-custom', 'addr-custom-v6', 'addr-host', 'addr-literal', 'addr-noport', 'addr-static', 'addr-twice', 'addr-v6', 'addr-interpolated-0']) {
      const recorded = readRecording(`11-addresses/${name}.json`).response.body as readonly Shown[]
      const { body } = await client.ask<readonly Shown[]>(`/v1/service/${name}`)
      const shown = (list: readonly Shown[]): readonly object[] => list.map(({ ID, Address, Port }) => {
        const [label = ''] = /[^-]*$/.exec(ID) ?? []
        return { Address, Port: dynamic.has(label) ? 'dynamic' : Port, ID: ID.slice('_nomad-task-'.length + 36) }
      })
      assert.deepEqual(shown(body), shown(recorded), name)
    }
    const [interpolated] = (await client.ask<readonly { readonly Tags: readonly string[] }[]>('/v1/service/addr-interpolated-0')).body
    assert.deepEqual(new Set(interpolated?.Tags), new Set([`alloc=${nomad.allocations('addr')[0]?.id}`, 'node=node-1', 'dc=dc1', 'serai.host=a.example.org,b.example.org', 'serai.rule=Host(`a.example.org`) && PathPrefix(`/x`)', 'unicode=Köln']))
  })

  test('jobs with services that cannot be are refused with 500', async () => {
    const client = new NomadClient(nomad.address)
    for (const [file, group] of [
      ['register-driver', { Services: [{ Name: 'addr-host', Provider: 'nomad', PortLabel: 'http', AddressMode: 'driver' }] }],
      ['register-mixed-providers', { Services: [{ Name: 'a', Provider: 'nomad', PortLabel: 'http' }, { Name: 'b', Provider: 'consul', PortLabel: 'http' }] }],
      ['register-uppercase-name', { Services: [{ Name: 'Addr_Static', Provider: 'nomad', PortLabel: 'http' }] }],
    ] as const) {
      const recorded = readRecording(`11-addresses/${file}.json`) as unknown as { readonly status: number; readonly body: string }
      const answer = await client.ask<string>('/v1/jobs', { method: 'POST', body: { Job: makeJob('bad', { mock: true, group }) } })
      assert.equal(answer.status, recorded.status, file)
      const [own = '', theirs = ''] = [answer.body, recorded.body].map((text) => /\* ([^*]+)$/.exec(text.trim())?.[1]?.slice(0, 25))
      assert.equal(own, theirs, answer.body)
    }
  })
})

test('a lost node: registrations go with the plan, those in their disconnect window stay, tasks go on; back again, all are registered for a moment', async () => {
  await using nomad = await startRegistry()
  nomad.run(makeJob('web', { count: 2, tags: ['serai.host=web.example.org', 'v1'], checkMs: 50 }))
  nomad.run(makeJob('island', { group: { Name: 'g', Disconnect: { LostAfter: ms(700), Replace: true, Reconcile: 'keep_original' } } }))
  const client = new NomadClient(nomad.address)
  await until(() => nomad.cluster.store.all('deployments').filter(({ status }) => status === 'successful').length === 2, { what: 'both deployments' })
  const [web] = nomad.allocations('web')
  const [island] = nomad.allocations('island')
  const ours = new Map([['d71af19f-7437-df0c-ffd6-7a76cac5ee63', web?.id ?? ''], ['8206389b-4b0b-5f51-a935-f1701fc92e38', island?.id ?? '']])
  await using stream = await client.follow('topic=Service&topic=Allocation&topic=Node&index=999999')
  const { operations } = nomad.cluster
  const node = nomad.nodes[0]?.id ?? ''
  operations.loseNode(node)
  await agreesWith(nomad, '15-node-loss/1-checks-agent-dead.json', ours)
  const removed = await stream.event(({ Topic }) => Topic === 'Service', 'a removed registration')
  assert.equal(removed.Type, 'PlanResult')
  await until(() => nomad.allocations('island').some(({ client: status }) => status === 'unknown'), { what: 'the island to be unknown' })
  for (const name of ['2-services', '2-service-web', '2-service-island', '2-checks', '2-allocations', '2-nodes']) await agreesWith(nomad, `15-node-loss/${name}.json`, ours)
  assert.equal((await fetch(`http://127.0.0.1:${web?.ports[0]?.value}/`)).status, 200)
  await client.askUntil<unknown[]>('/v1/services', ({ body }) => body.length === 0, 'the island to be lost')
  await agreesWith(nomad, '15-node-loss/3-services.json')

  const before = stream.events.length
  operations.recoverNode(node)
  await until(() => nomad.allocations('web').filter(({ desired, client: status }) => desired === 'run' && status === 'running').length === 2, { what: 'two new instances' })
  for (const name of ['4-services', '4-service-web']) await agreesWith(nomad, `15-node-loss/${name}.json`, ours)
  const old = stream.events.slice(before).filter(({ Topic, Key }) => Topic === 'Service' && Key.includes(web?.id ?? '-')).map(({ Type }) => Type)
  assert.deepEqual(old, ['ServiceRegistration', 'ServiceDeregistration'])
})

test('the 101st connection of one address is told so, and cut; the Task API has no limit (fixture 14-limits)', async () => {
  await using nomad = await startRegistry()
  const recorded = readRecording('14-limits/max-conns.json') as unknown as { readonly first_refused: readonly [number, string, string] }
  const [host = '', port = ''] = nomad.address.split(':')
  const open: Socket[] = []
  try {
    for (let count = 1; count < recorded.first_refused[0]; count++) {
      const socket = net.connect(Number(port), host)
      await once(socket, 'connect')
      open.push(socket)
    }
    const refused = net.connect(Number(port), host).setEncoding('utf8')
    let said = ''
    refused.on('data', (text: string) => { said += text }).on('error', () => undefined)
    await once(refused, 'close')
    assert.equal(said, recorded.first_refused[1])
  } finally {
    for (const socket of open) socket.destroy()
  }
})

interface Shown {
  readonly ID: string
  readonly Address: string
  readonly Port: number
}
