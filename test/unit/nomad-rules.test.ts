// The rules of following Nomad: when a list is believed, what is read when, how slow the rounds are, when a stream has a gap.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { checkPollMs, connectRetryMs } from '#src/catalog/nomad/gate-pace.ts'
import type { CheckPace } from '#src/catalog/nomad/gate-pace.ts'
import { judgeList } from '#src/catalog/nomad/list-rule.ts'
import { RateWindow } from '#src/catalog/nomad/rate-window.ts'
import { ReadQueue } from '#src/catalog/nomad/read-queue.ts'
import { endOfSilence, hasGap } from '#src/catalog/nomad/stream-rule.ts'
import { sweepWaitMs } from '#src/catalog/nomad/sweep.ts'
import { backoffMs } from '#src/registry/backoff.ts'

describe('when a list may be believed', () => {
  const last = { index: 50, names: 3 }
  for (const { name, answer, plain, expect } of [
    { name: 'as usual', answer: { index: 51, knownLeader: true, names: 3 }, plain: false, expect: 'apply' },
    { name: 'unchanged', answer: { index: 50, knownLeader: true, names: 3 }, plain: false, expect: 'apply' },
    { name: 'without a known leader', answer: { index: 60, knownLeader: false, names: 0 }, plain: false, expect: 'again' },
    { name: 'without a known leader, asked again', answer: { index: 60, knownLeader: false, names: 0 }, plain: true, expect: 'again' },
    { name: 'a lower index', answer: { index: 25, knownLeader: true, names: 1 }, plain: false, expect: 'again' },
    { name: 'a lower index on the leader’s word: a restore', answer: { index: 25, knownLeader: true, names: 1 }, plain: true, expect: 'apply' },
    { name: 'all gone at once', answer: { index: 51, knownLeader: true, names: 0 }, plain: false, expect: 'again' },
    { name: 'all gone, asked again', answer: { index: 51, knownLeader: true, names: 0 }, plain: true, expect: 'apply' },
    { name: 'nothing readable', answer: { index: 0, knownLeader: true, names: 0 }, plain: true, expect: 'hidden' },
  ] as const) test(name, () => { assert.equal(judgeList(last, answer, plain), expect) })
})

describe('which service is read next', () => {
  const queue = (): ReadQueue => new ReadQueue({ perSecond: 3, restMs: 100 })

  test('a change at once, and then again after its rest', () => {
    const reads = queue()
    reads.add('a', 'changed')
    assert.equal(reads.take(0), 'a')
    reads.add('a', 'changed')
    assert.deepEqual([reads.take(50), reads.waitMs(50), reads.take(100)], [undefined, 50, 'a'])
  })

  test('no more than so many in any second, but for the first reads', () => {
    const reads = queue()
    for (const id of ['a', 'b', 'c', 'd']) reads.add(id, 'changed')
    assert.deepEqual([reads.take(0), reads.take(10), reads.take(20), reads.take(30)], ['a', 'b', 'c', undefined])
    assert.equal(reads.isBusy(30), true)
    assert.equal(reads.waitMs(30), 970)
    reads.add('e', 'first')
    assert.deepEqual([reads.take(40), reads.take(1000)], ['e', 'd'])
  })

  test('what has changed goes before what is only looked at, and moves up', () => {
    const reads = queue()
    for (const id of ['a', 'b']) reads.add(id, 'checked')
    reads.add('b', 'changed')
    reads.add('b', 'checked')
    assert.deepEqual([reads.take(0), reads.take(0), reads.take(0), reads.waitMs(0)], ['b', 'a', undefined, undefined])
  })

  test('looks leave room for a change that comes in the same second', () => {
    const reads = queue()
    for (const id of ['a', 'b', 'c']) reads.add(id, 'checked')
    assert.deepEqual([reads.take(0), reads.take(0), reads.take(0), reads.waitMs(0)], ['a', 'b', undefined, 1000])
    reads.add('d', 'changed')
    assert.deepEqual([reads.take(0), reads.take(0)], ['d', undefined])
  })

  test('a window never holds more than its bound, whatever comes', () => {
    fc.assert(fc.property(fc.array(fc.nat(400), { minLength: 1, maxLength: 200 }), (steps) => {
      const window = new RateWindow(5)
      const done: number[] = []
      let now = 0
      for (const step of steps) {
        now += step
        if (window.waitMs(now) > 0) continue
        window.note(now)
        done.push(now)
      }
      for (const at of done) assert.ok(done.filter((each) => each > at - 1000 && each <= at).length <= 5)
    }))
  })
})

test('rounds keep to the budget: half a call a second at rest, fifteen minutes above 500 names', () => {
  const middle = (): number => 0.5
  assert.deepEqual([1, 10, 30, 3000].map((services) => sweepWaitMs(services, false, middle)), [60_000, 6000, 2000, 2000])
  assert.ok(3000 * sweepWaitMs(3000, false, middle) >= 15 * 60_000)
  assert.equal(sweepWaitMs(3000, true, middle) * 3000, 15 * 60_000)
})

test('back-off is jittered over its whole range and bounded', () => {
  assert.ok(Math.abs(backoffMs(1, { firstMs: 100, mostMs: 1000 }, () => 0) - 10) < 1e-9)
  assert.equal(backoffMs(3, { firstMs: 100, mostMs: 1000 }, () => 1), 400)
  assert.equal(backoffMs(1000, { firstMs: 100, mostMs: 1000 }, () => 1), 1000)
})

test('a stream is refused when it never says a word, and has a gap unless it begins with the event that was last', () => {
  assert.deepEqual([endOfSilence(0), endOfSilence(1)], ['refused', 'silent'])
  assert.deepEqual([hasGap(7, 7), hasGap(7, 9), hasGap(7, undefined), hasGap(undefined, 7)], [false, true, true, true])
})

test('what comes up is found in proportion to its waiting, and all together are bounded', () => {
  const middle = (): number => 0.5
  assert.deepEqual([0, 2000, 10_000, 10_000_000].map((age) => connectRetryMs(age, 1, middle)), [40, 40, 200, 30_000])
  assert.equal(connectRetryMs(0, 1000, middle), 5000)
  const look = (given: Partial<CheckPace>): number => checkPollMs({ ageMs: 0, waiting: 1, fleet: 1, here: false, untilRunMs: 0, ...given }, middle)
  assert.deepEqual([0, 100_000, 200_000, 1e9].map((ageMs) => look({ ageMs })), [500, 500, 1000, 10_000])
  assert.deepEqual([look({ untilRunMs: 5000 }), look({ untilRunMs: -5000 })], [4900, 500], 'nobody looks while no run can be over')
  assert.deepEqual([1, 100, 3000].map((fleet) => look({ fleet })), [500, 500, 14_995], 'two hundred a second at one allocation from all nodes')
  assert.equal(look({ fleet: 3000, here: true }), 500)
})
