// The rules of following Nomad: when a list is believed, what is read when, how slow the rounds are, when a stream has a gap.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { checkPollMs, connectRetryMs } from '#src/catalog/nomad/gate-pace.ts'
import { judgeList } from '#src/catalog/nomad/list-rule.ts'
import { RateWindow } from '#src/catalog/nomad/rate-window.ts'
import { ReadQueue } from '#src/catalog/nomad/read-queue.ts'
import { afterChecks, judgeReadiness, unknownFacts } from '#src/catalog/nomad/readiness.ts'
import type { InstanceFacts } from '#src/catalog/nomad/readiness.ts'
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
  assert.deepEqual([0, 20_000, 1e9].map((age) => checkPollMs(age, 1, middle)), [500, 1000, 10_000])
})

describe('whether an instance may get its first request', () => {
  const facts = (given: Partial<InstanceFacts>): InstanceFacts => ({ ...unknownFacts, ...given })
  const result = (check: string, status: 'success' | 'failure' | 'pending'): { service: string; check: string; status: 'success' | 'failure' | 'pending'; output: string } => ({ service: 'web', check, status, output: '' })
  for (const { name, given, expect } of [
    { name: 'nothing known', given: {}, expect: [false, 'allocation', 'its allocation was not read yet'] },
    { name: 'no check: one connection', given: { allocation: 'known', checks: [] }, expect: [false, 'connect', 'no connection was tried yet'] },
    { name: 'nobody listens', given: { allocation: 'known', checks: [], connectFailure: 'connection refused' }, expect: [false, 'connect', 'a connection from this node failed: connection refused'] },
    { name: 'no check, connected', given: { allocation: 'known', checks: [], connected: true }, expect: [true, 'nothing', ''] },
    { name: 'a check without a result', given: { allocation: 'known', checks: ['up'] }, expect: [false, 'checks', "check 'up' has not passed yet: no result yet"] },
    { name: 'a check that fails, even where it connects', given: { allocation: 'known', checks: ['up'], connected: true, results: [result('up', 'failure')] }, expect: [false, 'checks', "check 'up' has not passed yet: failure"] },
    { name: 'a check that has passed', given: { allocation: 'known', checks: ['up'], passed: new Set(['up']), connected: true }, expect: [true, 'nothing', ''] },
    { name: 'checks forbidden: one connection', given: { allocation: 'forbidden', checks: ['up'] }, expect: [false, 'connect', 'no connection was tried yet'] },
  ] as const) {
    test(name, () => {
      const { ready, next, why } = judgeReadiness(facts(given))
      assert.deepEqual([ready, next, why], expect)
    })
  }

  test('each check must have passed once, not all at the same time; results of other services say nothing', () => {
    let now = facts({ allocation: 'known', checks: ['a', 'b'], connected: true })
    now = afterChecks(now, 'web', [result('a', 'success'), result('b', 'pending'), { ...result('b', 'success'), service: 'other' }])
    assert.equal(judgeReadiness(now).ready, false)
    now = afterChecks(now, 'web', undefined)
    now = afterChecks(now, 'web', [result('a', 'failure'), result('b', 'success')])
    assert.equal(judgeReadiness(now).ready, true)
  })

  test('of two results of one check that disagree neither counts', () => {
    const now = afterChecks(facts({ allocation: 'known', checks: ['a'] }), 'web', [result('a', 'success'), result('a', 'failure')])
    assert.deepEqual([...now.passed], [])
  })
})
