// What is known of a catalog: nothing known, known to be nothing, current, stale, restored.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Instance } from '#src/catalog/catalog.ts'
import { KnownCatalog } from '#src/control/known-catalog.ts'

const known = (reusesAddresses = true): KnownCatalog => new KnownCatalog({ name: 'c', reusesAddresses, readings: async function* () { /* not asked */ } })
const at = (host: string): Instance => ({ id: host, service: 's', namespace: 'n', host, port: 80, tags: [], health: 'passing', where: '' })
const failed = { kind: 'failed', problems: [{ service: '@c', router: '', tag: '', reason: 'down', where: '' }] } as const
const read = (...instances: Instance[]): { kind: 'read'; instances: Instance[]; problems: [] } => ({ kind: 'read', instances, problems: [] })

test('a failed reading before the first says nothing; an empty one says that there is nothing', () => {
  const catalog = known()
  catalog.take(failed, 1)
  assert.deepEqual([catalog.state, catalog.instances, catalog.errors, catalog.problem], ['waiting', undefined, 1, 'down'])
  catalog.take(read(), 2)
  assert.deepEqual([catalog.state, catalog.instances, catalog.problem, catalog.readAt], ['current', [], '', 2])
})

test('a failed reading keeps what is known, and makes it stale until the next good one', () => {
  const catalog = known()
  catalog.take(read(at('10.0.0.1')), 1)
  catalog.take(failed, 2)
  assert.deepEqual([catalog.state, catalog.instances?.length, catalog.readAt, catalog.problem], ['stale', 1, 1, 'down'])
  catalog.take(read(), 3)
  assert.deepEqual([catalog.state, catalog.instances?.length], ['current', 0])
})

test('an old reading is taken only where there is none', () => {
  const catalog = known()
  assert.equal(catalog.restore({ readAt: 1, instances: [at('10.0.0.1')] }), true)
  assert.equal(catalog.state, 'restored')
  catalog.take(failed, 2)
  assert.equal(catalog.state, 'restored')
  catalog.take(read(), 3)
  assert.equal(catalog.restore({ readAt: 1, instances: [at('10.0.0.1')] }), false)
  assert.deepEqual(catalog.instances, [])
})

test('a refused address is left out only while nobody confirms it, and only where addresses are handed out anew', () => {
  const catalog = known()
  catalog.restore({ readAt: 1, instances: [at('10.0.0.1'), at('fd00::1')] })
  assert.equal(catalog.refused('10.9.9.9:80'), false)
  assert.equal(catalog.refused('[fd00::1]:80'), true)
  assert.equal(catalog.refused('[fd00::1]:80'), false, 'told once')
  assert.deepEqual(catalog.instances?.map(({ host }) => host), ['10.0.0.1'])
  assert.equal(catalog.lastReading?.instances.length, 2, 'what is kept on disk is what the catalog said')
  catalog.take(read(at('fd00::1')), 2)
  assert.equal(catalog.instances?.length, 1)
  assert.equal(catalog.refused('[fd00::1]:80'), false)
  const written = known(false)
  written.restore({ readAt: 1, instances: [at('10.0.0.1')] })
  assert.equal(written.refused('10.0.0.1:80'), false)
})

const QUARTER = 15 * 60_000
const forbidden = { kind: 'failed', cause: 'not allowed', problems: [] } as const
const partly = (...instances: Instance[]): { kind: 'read'; partly: 'not allowed'; instances: Instance[]; problems: [] } => ({ ...read(...instances), partly: 'not allowed' })
const unsure = (host: string, given: Partial<Instance> = {}): Instance => ({ ...at(host), unsure: true, ...given })
const shown = (catalog: KnownCatalog): string[] => (catalog.instances ?? []).map(({ host, health, pinned }) => `${host} ${pinned === true ? 'pinned' : health}`)

test('what may not be read for 15 minutes admits nothing new, and what waited goes on waiting; what may be read goes on', () => {
  const catalog = known()
  const waits = unsure('10.0.0.2', { health: 'pending' })
  catalog.take(partly(unsure('10.0.0.1'), waits, at('10.1.0.1')), 1)
  assert.equal(catalog.admitsUntil, 1 + QUARTER)
  assert.equal(catalog.closeAdmission(QUARTER), false)
  assert.equal(catalog.closeAdmission(1 + QUARTER), true)
  assert.deepEqual([catalog.admitsUntil, catalog.problems.length], [undefined, 1])
  catalog.take(partly(unsure('10.0.0.1'), unsure('10.0.0.2'), unsure('10.0.0.3'), at('10.1.0.1'), at('10.1.0.2')), 2 + QUARTER)
  assert.deepEqual(shown(catalog), ['10.0.0.1 passing', '10.0.0.2 pending', '10.0.0.3 pending', '10.1.0.1 passing', '10.1.0.2 passing'])
  assert.deepEqual(catalog.lastReading?.instances.map(({ host }) => host), ['10.1.0.1', '10.1.0.2'], 'what a restart may begin with')
  catalog.take(read(at('10.0.0.2'), at('10.0.0.3')), 3 + QUARTER)
  assert.deepEqual([shown(catalog), catalog.forbiddenSince, catalog.problems], [['10.0.0.2 passing', '10.0.0.3 passing'], undefined, []])
})

test('a reading that comes after the 15 minutes, before anybody has looked at the clock, is too late', () => {
  const catalog = known()
  catalog.take(partly(unsure('10.0.0.1')), 1)
  catalog.take(partly(unsure('10.0.0.1'), unsure('10.0.0.2')), 2 + QUARTER)
  assert.deepEqual(shown(catalog), ['10.0.0.1 passing', '10.0.0.2 pending'])
})

test('an outage meanwhile does not give the permission back; names are pinned, and stay the same objects', () => {
  const catalog = known()
  catalog.take(read(at('web.test'), at('10.0.0.1')), 1)
  catalog.take(forbidden, 2)
  catalog.take(failed, 3)
  assert.equal(catalog.forbiddenSince, 2)
  assert.equal(catalog.closeAdmission(2 + QUARTER), true)
  assert.deepEqual(shown(catalog), ['web.test pinned', '10.0.0.1 passing'])
  assert.equal(catalog.instances?.[0], catalog.instances?.[0])
  catalog.take({ ...read(unsure('web.test'), unsure('10.0.0.2')), partly: 'unreachable' }, 3 + QUARTER)
  assert.deepEqual(shown(catalog), ['web.test pinned', '10.0.0.2 pending'])
})

test('what came from disk counts from when it was read; too old for a missing permission, it is not admitted after all', () => {
  const young = known()
  young.restore({ readAt: 1, instances: [at('10.0.0.1')] })
  young.take(forbidden, 2)
  assert.deepEqual([shown(young), young.forbiddenSince, young.admitsUntil], [['10.0.0.1 passing'], 1, 1 + QUARTER])
  const old = known()
  old.restore({ readAt: 1, instances: [at('10.0.0.1')] })
  old.take(forbidden, 1 + QUARTER)
  assert.deepEqual(shown(old), ['10.0.0.1 pending'])
  const refused = known()
  refused.take(forbidden, 1 + QUARTER)
  assert.equal(refused.mayRestore({ readAt: 1, instances: [] }, 1 + QUARTER), false)
  assert.equal(refused.mayRestore({ readAt: 2, instances: [] }, 1 + QUARTER), true)
})
