// The wheel of deadlines: never early, at most two ticks late, and it holds nothing that is over.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Deadlines, type Timed } from '#src/io/deadlines.ts'

const TICK = 100

class Probe implements Timed {
  deadline = 0
  bucketTick = 0
  bucketPlace = 0
  readonly expiredAt: number[] = []
  readonly #wheel: Deadlines
  constructor(wheel: Deadlines) {
    this.#wheel = wheel
  }
  expired(): void {
    this.expiredAt.push(this.#wheel.now)
  }
}

const rethrow = (error: unknown): void => { throw error }

function run(wheel: Deadlines, from: number, to: number): void {
  for (let now = from; now <= to; now += TICK) wheel.advance(now, rethrow)
}

for (const ms of [0, 1, 99, 100, 101, 950, 5000, 51_100, 51_200, 60_000, 600_000]) {
  test(`a deadline of ${ms} ms`, () => {
    const wheel = new Deadlines(0, TICK)
    const probe = new Probe(wheel)
    wheel.arm(probe, ms)
    run(wheel, TICK, ms + 3 * TICK)
    const [at = -1, ...more] = probe.expiredAt
    assert.deepEqual(more, [])
    assert.ok(at >= ms && at <= ms + 2 * TICK, `expired at ${at}`)
    assert.equal(probe.deadline, 0)
  })
}

test('moved away, moved nearer, disarmed and armed again, in any order: once, never early, never more than two ticks late', () => {
  const step = fc.oneof(fc.record({ arm: fc.integer({ min: 0, max: 120_000 }) }), fc.constant('disarm' as const), fc.constant('remove' as const))
  const history = fc.array(fc.record({ afterTicks: fc.integer({ min: 0, max: 700 }), step }), { minLength: 1, maxLength: 12 })
  fc.assert(fc.property(history, (steps) => {
    const wheel = new Deadlines(0, TICK)
    const probe = new Probe(wheel)
    let now = 0
    let due = Number.POSITIVE_INFINITY
    const advance = (ticks: number): void => {
      for (let tick = 0; tick < ticks; tick++) {
        now += TICK
        wheel.advance(now, rethrow)
        const expired = probe.expiredAt.pop()
        if (expired !== undefined) {
          assert.ok(now >= due, `early: ${now}, due ${due}`)
          due = Number.POSITIVE_INFINITY
        }
        assert.ok(now <= due + 2 * TICK, `late: ${now}, due ${due}`)
      }
    }
    for (const { afterTicks, step } of steps) {
      advance(afterTicks)
      due = typeof step === 'string' ? Number.POSITIVE_INFINITY : now + step.arm
      if (step === 'disarm') wheel.disarm(probe)
      else if (step === 'remove') wheel.remove(probe)
      else wheel.arm(probe, step.arm)
    }
    advance(1300)
    assert.equal(due, Number.POSITIVE_INFINITY)
  }))
})

test('a clock that jumps, as after a stalled loop, makes nothing late', () => {
  const wheel = new Deadlines(0, TICK)
  const probes = [500, 1000, 30_000, 90_000].map((ms) => {
    const probe = new Probe(wheel)
    wheel.arm(probe, ms)
    return probe
  })
  wheel.advance(1250, rethrow)
  assert.deepEqual(probes.map(({ expiredAt }) => expiredAt), [[1250], [1250], [], []])
  wheel.advance(30_150, rethrow)
  assert.deepEqual(probes[2]?.expiredAt, [30_150])
  wheel.advance(1_000_000, rethrow) // longer than the wheel is round
  assert.deepEqual(probes[3]?.expiredAt, [1_000_000])
})

test('one whose callback throws does not keep the others from theirs; it may arm itself, or remove another', () => {
  const wheel = new Deadlines(0, TICK)
  const errors: unknown[] = []
  const last = new Probe(wheel)
  const again: Timed & { times: number } = { deadline: 0, bucketTick: 0, bucketPlace: 0, times: 0, expired() { this.times++; wheel.arm(this, 1000) } }
  const rivals: Timed[] = []
  let survivors = 0
  for (const other of [1, 0]) {
    rivals.push({ deadline: 0, bucketTick: 0, bucketPlace: 0, expired: () => {
      survivors++
      wheel.remove(rivals[other]!)
    } })
  }
  const bad: Timed = { deadline: 0, bucketTick: 0, bucketPlace: 0, expired: () => { throw new Error('mine') } }
  for (const timed of [bad, ...rivals, again, last]) wheel.arm(timed, 500)
  for (let now = TICK; now <= 3000; now += TICK) wheel.advance(now, (error, timed) => errors.push(error, timed))
  assert.equal(errors.length, 2)
  assert.equal(errors[1], bad)
  assert.deepEqual(last.expiredAt, [600])
  assert.equal(survivors, 1)
  assert.equal(again.times, 3)
})

test('what was removed is not kept in memory until its bucket comes due', () => {
  const wheel = new Deadlines(0, TICK)
  const probe = new Probe(wheel)
  wheel.arm(probe, 50_000)
  assert.notEqual(probe.bucketTick, 0)
  wheel.remove(probe)
  assert.equal(probe.bucketTick, 0)
  run(wheel, TICK, 52_000)
  assert.deepEqual(probe.expiredAt, [])
})
