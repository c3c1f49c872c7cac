// What each state of an allocation, a check, a probe or a node does to an instance that Nomad lists: a row of docs/nomad.md each.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import { test } from 'node:test'
import { startControl } from '#test/support/control.ts'
import type { Control } from '#test/support/control.ts'
import { makeFolder } from '#test/support/folder.ts'
import { makeJob, ms } from '#test/support/nomad-job.ts'
import type { JobOptions } from '#test/support/nomad-job.ts'
import { startNomad } from '#test/support/nomad-catalog.ts'
import type { NomadUnderTest, NomadUnderTestOptions } from '#test/support/nomad-catalog.ts'
import { until } from '#test/support/until.ts'

interface Followed extends AsyncDisposable {
  readonly subject: NomadUnderTest
  readonly control: Control
  /** What the catalog says of the instances of a service, as `health: why`, by address. */
  states(service?: string): ReadonlyMap<string, string>
  /** Waits until so many endpoints of a service are always used. */
  endpoints(count: number): Promise<readonly string[]>
  /** Waits until an instance is so. */
  becomes(address: string, state: RegExp): Promise<void>
}

async function follow(options: NomadUnderTestOptions = {}): Promise<Followed> {
  await using cleanUp = new AsyncDisposableStack()
  const folder = cleanUp.use(await makeFolder())
  const subject = cleanUp.use(await startNomad(options))
  const control = cleanUp.use(startControl({ catalogs: [subject.catalog], path: folder.file('state') }))
  await until(() => control.complete, { what: 'the first reading' })
  const running = cleanUp.move()
  const states = (service = 'web'): Map<string, string> => new Map((control.known.instances ?? []).filter((instance) => instance.service === service)
    .map(({ host, port, health, why = '' }) => [`${host}:${port}`, `${health}: ${why}`]))
  return {
    subject, control, states,
    endpoints: (count) => until(() => (control.addresses().length === count ? control.addresses() : undefined), { what: `${count} endpoints`, deadline: 15_000 }),
    becomes: async (address, state) => { await until(() => state.test(states().get(address) ?? 'gone'), { what: `${address}: ${String(state)}`, deadline: 15_000 }) },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

const web = (options: JobOptions = {}): ReturnType<typeof makeJob> => makeJob('web', { count: 2, tags: ['serai.host=web.example.org'], ...options })

async function get(address: string, path: string): Promise<string> {
  const [response] = await once(http.get(`http://${address}${path}`, { agent: false }), 'response') as [http.IncomingMessage]
  let text = ''
  for await (const part of response) text += String(part)
  return text
}

test('a check that fails after it has passed: only while all others fail too, and back when it passes', async () => {
  await using followed = await follow()
  const { subject, control, becomes, endpoints } = followed
  subject.nomad.run(web({ checkMs: 1000 }))
  const [ill = '', well = ''] = await endpoints(2)
  await get(ill, '/fail')
  const failedAt = performance.now()
  await until(() => control.addresses().join() === well, { what: 'the other alone', deadline: 15_000 })
  const took = performance.now() - failedAt
  assert.ok(took <= 2000, `within an interval and a second of its own node: ${took} ms`)
  assert.ok(control.routes()[0]!.includes(`(${ill})`), 'in reserve')
  await becomes(ill, /^unhealthy: (check 'up' fails|its probe from this node fails: status 503)/)
  await get(well, '/fail')
  await until(() => control.addresses().length === 0, { what: 'both in reserve: panic', deadline: 15_000 })
  assert.match(control.routes()[0]!, /\(.*\) \(.*\)$/)
  await get(ill, '/mend')
  await until(() => control.addresses().join() === ill, { what: 'its return', deadline: 15_000 })
})

test('stop: the last resort from the plan’s event on, and gone when nobody listens any more', async () => {
  await using followed = await follow()
  const { subject, control, becomes, endpoints, states } = followed
  subject.nomad.run(web({ count: 1, groupDelayMs: 1500 }))
  const [address = ''] = await endpoints(1)
  subject.nomad.stop('web')
  await becomes(address, /^leaving: (its allocation is being stopped|it is registered no more)$/)
  await until(() => control.routes()[0] === `web.example.org/ web@nomad/default: (${address})`, { what: 'the reserve' })
  assert.match(await get(address, '/'), /allocation/, 'it serves on in its shutdown delay')
  await until(() => !states().has(address), { what: 'its end', deadline: 10_000 })
  await until(() => control.routes()[0] === 'web.example.org/ web@nomad/default: vanished', { what: '503' })
})

test('a registration that vanishes while its backend lives: the last resort for a minute, until a connection is refused', async () => {
  await using followed = await follow()
  const { subject, control, becomes, endpoints } = followed
  subject.nomad.run(web({ count: 1 }))
  const [address = ''] = await endpoints(1)
  const { cluster } = subject.nomad
  const [registration] = cluster.store.services.list('default', 'web')
  cluster.store.commit('PlanResult', ({ deregister }) => { deregister(registration!) })
  await becomes(address, /^leaving: it is registered no more$/)
  await until(() => control.routes()[0] === `web.example.org/ web@nomad/default: (${address})`, { what: 'the reserve' })
  control.source.refused(address)
  await until(() => control.routes()[0] === 'web.example.org/ web@nomad/default: vanished', { what: 'its end' })
})

test('disconnect: unknown instances are the last resort for the whole window, and ready again when their node is back', async () => {
  await using followed = await follow({ registry: { nodes: ['node-1', 'node-2'] } })
  const { subject, control, becomes, endpoints } = followed
  subject.nomad.run(web({ group: { Disconnect: { LostAfter: ms(60_000), Replace: false } } }))
  await endpoints(2)
  const { operations } = subject.nomad.cluster
  const [node] = subject.nomad.nodes
  const lost = subject.nomad.allocations('web').filter(({ nodeId }) => nodeId === node!.id)
  assert.ok(lost.length >= 1)
  const addresses = [...control.addresses()]
  operations.loseNode(node!.id)
  await until(() => control.addresses().length === addresses.length - lost.length, { what: 'the others alone' })
  const away = addresses.find((address) => !control.addresses().includes(address))!
  await becomes(away, /^leaving: its node is disconnected$/)
  operations.recoverNode(node!.id)
  await endpoints(2)
})

test('a lost node without disconnect: its instances are the last resort, as long as they listen', async () => {
  await using followed = await follow({ registry: { nodes: ['node-1', 'node-2'] } })
  const { subject, endpoints, states } = followed
  subject.nomad.run(web())
  const before = await endpoints(2)
  const [node] = subject.nomad.nodes
  subject.nomad.cluster.operations.loseNode(node!.id)
  await until(() => [...states().values()].some((state) => /^leaving: (its node is lost|it is registered no more|its allocation is being stopped)/.test(state)), { what: 'the last resort' })
  await until(() => states().size > before.length || [...states().values()].filter((state) => state.startsWith('passing')).length === 2, { what: 'the replacement', deadline: 10_000 })
})

test('a crash: found by one connection as soon as Nomad tells, and back with the task', async () => {
  await using followed = await follow()
  const { subject, control, becomes, endpoints } = followed
  subject.nomad.run(web({ group: { RestartPolicy: { Attempts: 3, Delay: ms(1000), Interval: ms(300_000), Mode: 'fail' } } }))
  const [first = ''] = await endpoints(2)
  const [pid] = subject.nomad.pids(subject.nomad.allocations('web').find(({ ports }) => ports.some(({ value }) => first.endsWith(`:${value}`)))?.id ?? '')
  assert.ok(pid !== undefined, 'the process of the first')
  process.kill(pid, 'SIGKILL')
  await becomes(first, /^unhealthy: a connection from this node failed: connection refused$/)
  await until(() => control.addresses().length === 1, { what: 'the other alone' })
  await endpoints(2)
})

test('a restart that is asked for: registered again, and not ready while it does not listen', async () => {
  await using followed = await follow()
  const { subject, becomes, endpoints } = followed
  subject.nomad.run(web({ checkMs: 300, env: { START_DELAY: '500' } }))
  const [first = ''] = await endpoints(2)
  const { cluster } = subject.nomad
  const restarted = cluster.store.services.list('default', 'web').find(({ Port }) => first.endsWith(`:${Port}`))
  await fetch(`http://${subject.nomad.address}/v1/client/allocation/${restarted!.AllocID}/restart`, { method: 'PUT', body: '{}' })
  await becomes(first, /^unhealthy: (check 'up' has not passed yet|a connection from this node failed)/)
  await endpoints(2)
})

test('a drain: nothing changes until the allocation is stopped', async () => {
  await using followed = await follow({ registry: { nodes: ['node-1', 'node-2'] } })
  const { subject, control, endpoints, states } = followed
  subject.nomad.run(web({ checkMs: 200 }))
  await endpoints(2)
  const [node] = subject.nomad.nodes
  let least = 2
  const watching = setInterval(() => { least = Math.min(least, control.addresses().length) }, 5)
  subject.nomad.cluster.operations.drain(node!, true)
  await until(() => subject.nomad.allocations('web').filter(({ nodeId, desired }) => nodeId === node!.id && desired === 'run').length === 0, { what: 'the drained node', deadline: 15_000 })
  await until(() => [...states().values()].filter((state) => state.startsWith('passing')).length === 2, { what: 'two elsewhere', deadline: 15_000 })
  clearInterval(watching)
  assert.ok(least >= 1, 'never none')
})

test('policy none: one connection, whatever the checks say', async () => {
  await using followed = await follow({ health: 'none' })
  const { subject, endpoints } = followed
  subject.nomad.run(web({ checkMs: 100, check: { Path: '/', PortLabel: '1', Type: 'tcp' } }))
  await endpoints(2)
  assert.equal(subject.client.counts.get('checks'), undefined)
})

test('policy probe by tag: not before its probe passes, and not while it fails', async () => {
  await using followed = await follow()
  const { subject, control, becomes, endpoints } = followed
  subject.nomad.run(web({ tags: ['serai.host=web.example.org', 'serai.health=probe', 'serai.probe.path=/health', 'serai.probe.interval=1s'], env: { START_DELAY: '300' } }))
  const [ill = '', well = ''] = await endpoints(2)
  assert.equal(subject.client.counts.get('checks'), undefined, 'nobody asks for checks')
  await get(ill, '/fail')
  await until(() => control.addresses().join() === well, { what: 'the other alone', deadline: 10_000 })
  await becomes(ill, /^unhealthy: its probe from this node fails: status 503$/)
  await get(ill, '/mend')
  await endpoints(2)
})

test('a probe that its tags ask for beside a check: both must pass', async () => {
  await using followed = await follow()
  const { subject, becomes, states } = followed
  subject.nomad.run(web({ count: 1, checkMs: 100, tags: ['serai.host=web.example.org', 'serai.probe.path=/health', 'serai.probe.status=418'] }))
  await until(() => states().size === 1, { what: 'the instance' })
  const [address = ''] = states().keys()
  await becomes(address, /^pending: its probe has not passed yet: status 200$/)
})

test('a derived probe that cannot pass from here judges nothing', async () => {
  let probes = 0
  await using followed = await follow({ probe: () => Promise.resolve(`no way to the host, ${++probes}`) })
  const { subject, endpoints, states } = followed
  subject.nomad.run(web({ count: 1, checkMs: 1000 }))
  const [address = ''] = await endpoints(1)
  await until(() => probes >= 3, { what: 'three probes', deadline: 10_000 })
  assert.equal(states().get(address), 'passing: ')
})

test('somebody was refused a connection: it is tried, and left out until it succeeds', async () => {
  let refuse = false
  let connects = 0
  await using followed = await follow({ connect: () => {
    connects++
    return Promise.resolve(refuse ? 'connection refused' : '')
  } })
  const { subject, control, becomes, endpoints } = followed
  subject.nomad.run(web())
  const [first = ''] = await endpoints(2)
  const before = connects
  control.source.refused(first)
  await until(() => connects > before, { what: 'the trial' })
  assert.equal(control.addresses().length, 2, 'one refusal that is not repeated changes nothing')
  refuse = true
  control.source.refused(first)
  await becomes(first, /^unhealthy: a connection from this node failed: connection refused$/)
  refuse = false
  await endpoints(2)
})

test('routed within a second of the first success of its check, as its client records it', async () => {
  await using followed = await follow()
  const { subject, endpoints } = followed
  subject.nomad.run(web({ count: 1, checkMs: 1000, env: { START_DELAY: '1200' } }))
  const { cluster } = subject.nomad
  const allocation = await until(() => subject.nomad.allocations('web')[0], { what: 'the allocation' })
  const runner = await until(() => cluster.clients.get(allocation.nodeId)?.runner(allocation.id), { what: 'its runner' })
  await until(() => Object.values(runner.checkResults ?? {}).some((result) => result.Status === 'success'), { what: 'the first success', deadline: 15_000 })
  const passedAt = performance.now()
  await endpoints(1)
  const took = performance.now() - passedAt
  assert.ok(took <= 1000, `${took} ms`)
})
