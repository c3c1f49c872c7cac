// Revisions and slices: only what changed travels, in pieces that a worker compiles in one turn.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Publisher, SLICE_PARTS, SLICE_SERVICES } from '#src/control/publisher.ts'
import type { Service } from '#src/snapshot.ts'
import { service } from '#test/support/data-plane.ts'

const many = (count: number, endpoints = 1): Service[] =>
  Array.from({ length: count }, (_, at) => service(`s${at}`, Array.from({ length: endpoints }, (__, of) => `10.0.${at % 250}.${of % 250}:${1000 + of}`)))

test('nothing changed: nothing is published, the revision stays', () => {
  const publisher = new Publisher()
  assert.deepEqual(publisher.publish([], [], false), [])
  assert.equal(publisher.revision, 0)
  assert.equal(publisher.publish([], [], true).length, 1, 'being complete is a change')
  assert.deepEqual(publisher.publish([], [], true), [])
  assert.equal(publisher.revision, 1)
})

test('a change holds only what changed, and says between which revisions', () => {
  const publisher = new Publisher()
  const [one, two] = many(2) as [Service, Service]
  publisher.publish([one, two], [], true)
  const slices = publisher.publish([two], [one.key], true)
  assert.deepEqual(slices, [{ from: 1, to: 2, complete: true, changed: [two], removed: [one.key], last: true }])
  assert.deepEqual([...publisher.snapshot.services.keys()], [two.key])
})

test('slices are bounded, the last one says so, and together they are the whole', () => {
  const publisher = new Publisher()
  assert.ok(SLICE_SERVICES <= 200)
  const services = many(2 * SLICE_SERVICES + 50)
  publisher.publish(services, [], true)
  for (const slices of [publisher.whole(), new Publisher().publish(services, [], true)]) {
    assert.deepEqual(slices.map(({ changed }) => changed.length), [SLICE_SERVICES, SLICE_SERVICES, 50])
    assert.deepEqual(slices.map(({ last }) => last), [false, false, true])
    assert.deepEqual(slices.flatMap(({ changed }) => changed), services)
  }
  assert.ok(publisher.whole().every(({ from, to }) => from === -1 && to === 1))
})

test('services with many endpoints make shorter slices; one that is too large has its own', () => {
  const slices = new Publisher().publish([...many(30, SLICE_PARTS / 20), ...many(1, SLICE_PARTS)], [], true)
  assert.ok(slices.length >= 4)
  for (const { changed } of slices) {
    const parts = changed.reduce((sum, { endpoints, routes }) => sum + endpoints.length + routes.length + endpoints.length, 0)
    assert.ok(parts <= SLICE_PARTS || changed.length === 1, `${changed.length} services with ${parts} parts`)
  }
  assert.equal(slices.at(-1)?.changed.length, 1)
})

test('removals are sliced too, and an empty snapshot is one slice', () => {
  const publisher = new Publisher()
  assert.deepEqual(publisher.whole(), [{ from: -1, to: 0, complete: false, changed: [], removed: [], last: true }])
  const services = many(2 * SLICE_SERVICES + 1)
  publisher.publish(services, [], true)
  const slices = publisher.publish([], services.map(({ key }) => key), true)
  assert.deepEqual(slices.map(({ removed }) => removed.length), [SLICE_SERVICES, SLICE_SERVICES, 1])
})
