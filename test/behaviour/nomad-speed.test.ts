// What Nomad shows is routed at once, however much else changes. (At full size and strictly: test/long/nomad-speed.test.ts.)
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { measureSpeed, middle, showSpeed } from '#test/support/registry-speed.ts'

test('routed, and taken away, at once, while 20 of 500 other services change each second', async (t) => {
  const speed = await measureSpeed({ others: 500, changesPerSecond: 20, rounds: 8 })
  t.diagnostic(showSpeed(speed))
  // Other tests run beside this one: what waits for a poll, a round or a turn of the queue would take seconds.
  for (const times of [speed.arrivals, speed.removals]) assert.ok(middle(times) <= 250, showSpeed(speed))
  assert.ok(speed.reads <= 11, showSpeed(speed))
})
