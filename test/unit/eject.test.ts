// Which failures put an endpoint out of service, for how long, and which never do.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eject, mayEjectForStatus, recordAnswer, recordFailure, recordSuccess, type EjectSettings } from '#src/upstream/eject.ts'
import { Endpoint } from '#src/upstream/endpoint.ts'

const settings: EjectSettings = { failures: 5, timeMs: 10_000, slowStartMs: 10_000 }
const make = (port: number): Endpoint => new Endpoint(`http://10.0.0.1:${port}`, { address: `10.0.0.1:${port}`, host: '10.0.0.1', port, weight: 100 })

/** Fails `times` times in a row at `now`; the ejection of the last one. */
function fail(endpoint: Endpoint, times: number, now: number, all: readonly Endpoint[]): ReturnType<typeof recordFailure> {
  let ejection: ReturnType<typeof recordFailure>
  for (let time = 0; time < times; time++) {
    ejection = recordFailure(endpoint, 'reset: ECONNRESET', false, all, now, settings)
    if (ejection !== undefined) eject(endpoint, ejection, now, settings)
  }
  return ejection
}

test('five failures in a row eject, four do not', () => {
  const all = [make(1), make(2)] as const
  assert.equal(fail(all[0], 4, 0, all), undefined)
  assert.deepEqual(fail(all[0], 1, 0, all), { key: 'http://10.0.0.1:1', forMs: 10_000, times: 1, why: 'reset: ECONNRESET' })
  assert.equal(all[0].ejectedUntil, 10_000)
  assert.equal(all[0].slowStartFrom, 10_000)
})

test('a response that came to its end breaks the row, one that only began does not', () => {
  const all = [make(1), make(2)] as const
  fail(all[0], 4, 0, all)
  recordAnswer(all[0])
  assert.equal(all[0].failures, 4)
  recordSuccess(all[0])
  assert.equal(fail(all[0], 4, 0, all), undefined)
})

test('the last one that is not failing is never taken away', () => {
  const all = [make(1), make(2), make(3)] as const
  assert.notEqual(fail(all[0], 5, 0, all), undefined)
  assert.notEqual(fail(all[1], 5, 0, all), undefined)
  assert.equal(fail(all[2], 50, 0, all), undefined)
  assert.equal(fail(make(9), 50, 0, []), undefined)
})

test('each ejection in a row is longer, up to thirty times; after a quiet time it is a first one again', (t) => {
  const all = [make(1), make(2)] as const
  const lengths: number[] = []
  let now = 0
  for (let round = 0; round < 35; round++) {
    const ejection = fail(all[0], 5, now, all)
    assert.ok(ejection)
    lengths.push(ejection.forMs / 1000)
    now += ejection.forMs + 1
  }
  t.diagnostic(`seconds: ${lengths.join(' ')}`)
  assert.deepEqual(lengths.slice(0, 4), [10, 20, 30, 40])
  assert.equal(lengths.at(-1), 300)
  assert.equal(fail(all[0], 5, now + 3 * 300_000 + 300_000, all)?.forMs, 10_000)
})

test('a failed connect makes others preferred for a second, until it answers', () => {
  const all = [make(1), make(2)] as const
  recordFailure(all[0], 'connect: ECONNREFUSED', true, all, 500, settings)
  assert.equal(all[0].avoidUntil, 1500)
  recordAnswer(all[0])
  assert.equal(all[0].avoidUntil, 0)
})

test('statuses may eject at most half', () => {
  const all = [make(1), make(2), make(3), make(4), make(5)] as const
  let out = 0
  for (const endpoint of all) {
    if (!mayEjectForStatus(all, 0)) continue
    endpoint.ejectedUntil = 1
    out++
  }
  assert.equal(out, 2)
  assert.equal(mayEjectForStatus([make(1)], 0), false)
})
