// How fast what Nomad shows becomes a route, among 5,000 other services of which 20 change each second; and how few calls that takes.
import assert from 'node:assert/strict'
import net from 'node:net'
import { once } from 'node:events'
import { test } from 'node:test'
import { connectOnce } from '#src/catalog/connect-gate.ts'
import { startControl } from '#test/support/control.ts'
import { makeFolder } from '#test/support/folder.ts'
import { makeNomadCatalog } from '#test/support/nomad-catalog.ts'
import { startRegistryProcess } from '#test/support/registry-process.ts'
import { until } from '#test/support/until.ts'

const OTHERS = 5000
const CHANGES_PER_SECOND = 20
const ROUNDS = 25
/** Between two rounds, so that it is the others that change. */
const PAUSE_MS = 300
const PORT_OF_TARGET = 31_999

test('routed, and taken away, in 50 ms (median; 250 ms worst), with 5,000 other services of which 20 change each second', async (t) => {
  await using folder = await makeFolder()
  const target = net.createServer().listen(PORT_OF_TARGET, '127.0.0.1')
  await once(target, 'listening')
  await using registry = await startRegistryProcess()
  await registry.fill(OTHERS, 1)
  // Only the target listens; the others are taken to.
  const { client, catalog } = makeNomadCatalog(`http://${registry.address}`, { connect: (host, port) => (port === PORT_OF_TARGET ? connectOnce(host, port) : Promise.resolve('')) })
  const published: { readonly at: number; readonly routed: boolean }[] = []
  const isRouted = (): boolean => control.source.publisher.snapshot.services.get('target@nomad/default')?.endpoints.length === 1
  await using control = startControl({ catalogs: [catalog], path: folder.file('state'), onPublish: () => { published.push({ at: performance.timeOrigin + performance.now(), routed: isRouted() }) } })
  await until(() => control.complete, { what: 'the first reading', deadline: 60_000 })
  const readAtStart = client.counts.get('service') ?? 0

  registry.churn(OTHERS, 1, CHANGES_PER_SECOND)
  const begun = performance.now()
  const arrivals: number[] = []
  const removals: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    for (const [there, times] of [[true, arrivals], [false, removals]] as const) {
      published.length = 0
      const shown = await registry.target(there, PORT_OF_TARGET)
      const done = await until(() => published.find(({ routed }) => routed === there), { what: there ? 'the route' : 'its end' })
      times.push(Math.max(0, done.at - shown))
      const next = performance.now() + PAUSE_MS * (0.5 + Math.random())
      await until(() => performance.now() > next, { what: 'a pause' })
    }
  }
  target.close()
  const seconds = (performance.now() - begun) / 1000
  const reads = ((client.counts.get('service') ?? 0) - readAtStart) / seconds
  await client.close()
  t.diagnostic(`arrival ${show(arrivals)}; removal ${show(removals)}; ${reads.toFixed(1)} service reads a second; calls ${JSON.stringify(Object.fromEntries(client.counts))}`)
  for (const [what, times] of [['arrival', arrivals], ['removal', removals]] as const) {
    assert.ok(median(times) <= 50, `${what}: median ${median(times)} ms`)
    assert.ok(Math.max(...times) <= 250, `${what}: worst ${Math.max(...times)} ms`)
  }
  assert.ok(reads <= 11, `${reads} service reads a second`)
})

const median = (times: readonly number[]): number => times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN
const show = (times: readonly number[]): string => `${median(times).toFixed(0)} ms median, ${Math.max(...times).toFixed(0)} ms worst of ${times.length}`
