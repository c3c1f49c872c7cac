// An instance in Nomad with `serai.probe.type=grpc`, with the real program: no call before it serves, none while it does not, and the reason in words.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import grpc from '@grpc/grpc-js'
import type { Driver, Exit } from '#src/development/client/driver.ts'
import { startRegistry } from '#src/development/registry.ts'
import { startHealthServer, whoService } from '#test/support/health-server.ts'
import type { HealthServer } from '#test/support/health-server.ts'
import { makeJob } from '#test/support/nomad-job.ts'
import { startSerai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'

const NOT_SERVING = 2
const SERVING = 1

/** Tasks that are gRPC servers in this process, which do not serve at first; by port. */
function healthDriver(): { readonly driver: Driver; readonly servers: ReadonlyMap<number, HealthServer> } {
  const servers = new Map<number, HealthServer>()
  const driver: Driver = async ({ env }) => {
    const server = await startHealthServer({ port: Number(env['PORT']) })
    server.statuses.set('shop.Cart', NOT_SERVING)
    servers.set(server.port, server)
    const { promise: exited, resolve } = Promise.withResolvers<Exit>()
    return { pid: undefined, exited, signal: () => { void server[Symbol.asyncDispose]().then(() => { resolve({ code: 0, signal: 0 }) }) } }
  }
  return { driver, servers }
}

interface EndpointBody { readonly address: string; readonly state: string; readonly why: string }

test('calls reach an instance while its health service says SERVING, and the others else; the reason is shown', async () => {
  const { driver, servers } = healthDriver()
  await using nomad = await startRegistry({ drivers: { health: driver } })
  await using serai = await startSerai({ config: { listeners: { http: { address: '127.0.0.1:0', h2c: true } }, catalogs: { nomad: { address: `http://${nomad.address}` } } } })
  using clients = new DisposableStack()
  const client = clients.adopt(new grpc.Client(`127.0.0.1:${serai.port}`, grpc.credentials.createInsecure(), { 'grpc.default_authority': 'shop.example.org', 'grpc.enable_retries': 0 }), (each) => { each.close() })
  /** Who answers a call: its port, or the status that it fails with. */
  const call = (): Promise<number | string> => new Promise((resolve) => {
    const { path, requestSerialize, responseDeserialize } = whoService.Who
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, Buffer.alloc(0), (error, who) => { resolve(error === null ? Number(who?.toString()) : grpc.status[error.code]) })
  })
  const calls = async (count: number): Promise<(number | string)[]> => {
    const all = new Set<number | string>()
    for (let at = 0; at < count; at++) all.add(await call())
    return [...all].sort()
  }
  const endpoints = async (): Promise<readonly EndpointBody[]> => ((await serai.ask('/api/services')).body as { readonly services: readonly { readonly endpoints: readonly EndpointBody[] }[] }).services[0]?.endpoints ?? []
  const stateOf = async (port: number): Promise<string> => {
    const found = (await endpoints()).find(({ address }) => address.endsWith(`:${port}`))
    return found === undefined ? 'gone' : `${found.state}: ${found.why}`
  }
  const becomes = (port: number, state: RegExp): Promise<unknown> => until(async () => state.test(await stateOf(port)), { what: `${port}: ${String(state)}`, deadline: 15_000 })

  const tags = ['serai.host=shop.example.org', 'serai.scheme=grpc', 'serai.health=probe', 'serai.probe.service=shop.Cart', 'serai.probe.type=grpc', 'serai.probe.interval=1s']
  const job = makeJob('shop', { count: 2, tags })
  nomad.run({ ...job, TaskGroups: job.TaskGroups!.map((group) => ({ ...group, Tasks: group.Tasks!.map((task) => ({ ...task, Driver: 'health', Config: {} })) })) })

  await until(() => servers.size === 2, { what: 'two instances', deadline: 15_000 })
  const [first, second] = [...servers.keys()].sort((a, b) => a - b) as [number, number]
  for (const port of [first, second]) await becomes(port, /^pending: its probe has not passed yet: NOT_SERVING, for \d/)
  const explained = (await serai.ask(`/api/explain?url=${encodeURIComponent(`http://shop.example.org:${serai.port}/test.Who/Who`)}`)).body as { readonly steps: readonly { readonly stage: string; readonly why: string }[] }
  assert.match(explained.steps.find(({ stage }) => stage === 'endpoint')?.why ?? '', /pending: its probe has not passed yet: NOT_SERVING/)
  assert.deepEqual(await calls(5), ['UNAVAILABLE'])
  assert.deepEqual([...servers.values()].map(({ served }) => served), [0, 0])

  servers.get(first)!.statuses.set('shop.Cart', SERVING)
  await becomes(first, /^ready/)
  assert.deepEqual(await calls(5), [first], 'the one that serves')

  servers.get(second)!.statuses.set('shop.Cart', SERVING)
  await becomes(second, /^ready/)
  assert.deepEqual(await calls(100), [first, second])

  servers.get(first)!.statuses.set('shop.Cart', NOT_SERVING)
  await becomes(first, /^unhealthy: its probe from this node fails: NOT_SERVING, for \d/)
  const before = servers.get(first)!.served
  assert.deepEqual(await calls(20), [second])
  assert.equal(servers.get(first)!.served, before)

  servers.get(first)!.statuses.delete('shop.Cart')
  await becomes(first, /^unhealthy: its probe from this node fails: grpc-status 5 NOT_FOUND: it does not know the service 'shop\.Cart', for \d/)

  servers.get(first)!.statuses.set('shop.Cart', SERVING)
  await becomes(first, /^ready/)
  assert.deepEqual(await calls(100), [first, second])
  assert.ok(servers.get(first)!.asked.every(({ service, agent }) => service === 'shop.Cart' && agent === 'Serai-Probe'))
})
