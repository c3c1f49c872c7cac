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
