// Slots of counters: one service each, freed ones rest before the next.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Slots } from '#src/control/slots.ts'

test('a service keeps its slot, and no two have one', () => {
  const slots = new Slots()
  const first = slots.take('a', 0)
  assert.deepEqual(first, { slot: 1, fresh: true })
  assert.deepEqual(slots.take('a', 1), { slot: 1, fresh: false })
  assert.deepEqual(slots.take('b', 1), { slot: 2, fresh: true })
  assert.equal(slots.end, 3)
})

test('a freed slot rests for a minute: exchanges of its service may still be counting', () => {
  const slots = new Slots()
  slots.take('a', 0)
  assert.equal(slots.free('a', 1000), 1)
  assert.equal(slots.free('a', 1000), undefined)
  assert.equal(slots.take('b', 60_999).slot, 2)
  assert.equal(slots.take('c', 61_000).slot, 1)
  assert.equal(slots.end, 3)
})

test('services that come and go do not use up slots for ever', () => {
  const slots = new Slots()
  for (let second = 0; second < 3600; second++) {
    slots.take(`service-${second}`, second * 1000)
    slots.free(`service-${second}`, second * 1000)
  }
  assert.ok(slots.end < 70, String(slots.end))
})
