// The promises of DESIGN section 6.3 and 6.4 at their size, on a machine that does nothing else: npm run test:long.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '#src/registry/clock.ts'
import { makeFolder } from '#test/support/folder.ts'
import { startControl } from '#test/support/control.ts'
import { makeNomadCatalog } from '#test/support/nomad-catalog.ts'
import { startRegistryProcess } from '#test/support/registry-process.ts'
import { measureSpeed, middle, showSpeed } from '#test/support/registry-speed.ts'
import { until } from '#test/support/until.ts'

test('routed, and taken away, in 50 ms (median; 250 ms worst), with 5,000 other services of which 20 change each second', async (t) => {
  const speed = await measureSpeed({ others: 5000, changesPerSecond: 20, rounds: 25 })
  t.diagnostic(showSpeed(speed))
  for (const times of [speed.arrivals, speed.removals]) assert.ok(middle(times) <= 50 && times.at(-1)! <= 250, showSpeed(speed))
  assert.ok(speed.reads <= 10, showSpeed(speed))
})

test('a start with 3,000 services that no deployment has judged: the first table has all of them', async (t) => {
  await using folder = await makeFolder()
  await using registry = await startRegistryProcess()
  await registry.fill(3000, 1, false)
  const { client, catalog } = makeNomadCatalog(`http://${registry.address}`, { connect: async () => Promise.resolve('') })
  const begun = performance.now()
  await using control = startControl({ catalogs: [catalog], path: folder.file('state') })
  await until(() => control.complete, { what: 'the first reading', deadline: 60_000 })
  t.diagnostic(`after ${((performance.now() - begun) / 1000).toFixed(1)} s: ${JSON.stringify(Object.fromEntries(client.counts))}`)
  assert.equal(control.addresses().length, 3000)
  await client.close()
})

test('at rest, 3,000 services of three instances take less than 2 % of a core and one call a second', async (t) => {
  await using folder = await makeFolder()
  await using registry = await startRegistryProcess()
  await registry.fill(3000, 3)
  const { client, catalog } = makeNomadCatalog(`http://${registry.address}`, { connect: async () => Promise.resolve('') })
  await using control = startControl({ catalogs: [catalog], path: folder.file('state') })
  await until(() => control.complete && control.addresses().length === 9000, { what: 'the first reading', deadline: 60_000 })
  // What was read and made at the start is collected as garbage first.
  await systemClock.wait(SETTLE_MS, new AbortController().signal)
  const calls = (): number => [...client.counts.values()].reduce((sum, count) => sum + count, 0)
  const [before, cpu, begun] = [calls(), process.cpuUsage(), performance.now()]
  await systemClock.wait(MEASURED_MS, new AbortController().signal)
  const { user, system } = process.cpuUsage(cpu)
  const seconds = (performance.now() - begun) / 1000
  const [share, perSecond] = [(user + system) / 1e6 / seconds, (calls() - before) / seconds]
  t.diagnostic(`${(100 * share).toFixed(2)} % of a core, ${perSecond.toFixed(2)} calls a second: ${JSON.stringify(Object.fromEntries(client.counts))}`)
  await client.close()
  assert.ok(share < 0.02, `${share}`)
  assert.ok(perSecond <= 1, `${perSecond}`)
})

const SETTLE_MS = 15_000
const MEASURED_MS = 60_000
