// The budget of repeats: a fifth of the requests, never under the floor, and no storm.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RetryBudget } from '#src/proxy/retry-budget.ts'

/** Repeats that a service gets whose every request fails, one each `everyMs`. */
function repeatsIn(seconds: number, everyMs: number, budget: RetryBudget): number {
  let repeats = 0
  for (let now = 0; now < seconds * 1000; now += everyMs) {
    budget.deposit()
    if (budget.withdraw(now)) repeats++
  }
  return repeats
}

test('a busy service repeats a fifth of its requests', (t) => {
  const repeats = repeatsIn(60, 1, new RetryBudget(0.2, 10, 0))
  t.diagnostic(`1000 requests a second for a minute, all failing: ${repeats} repeats`)
  assert.ok(repeats >= 12_000 && repeats < 13_000)
})

test('a quiet service repeats what the floor allows', (t) => {
  const repeats = repeatsIn(60, 50, new RetryBudget(0, 10, 0))
  t.diagnostic(`20 requests a second for a minute, all failing, floor 10: ${repeats} repeats`)
  assert.ok(repeats >= 600 && repeats <= 710)
})

for (const workers of [2, 8, 64]) {
  test(`the floor is shared by ${workers} workers, and each has some of it`, () => {
    const repeats = repeatsIn(60, 10, new RetryBudget(0, 10 / workers, 0))
    assert.ok(repeats >= 1 && repeats * workers >= 600 - workers && repeats * workers <= 710 + workers * 2, `${repeats}`)
  })
}

test('ten seconds of the floor are there at once: a backend that dies fails all that is on its way at once', () => {
  const budget = new RetryBudget(0.2, 10, 0)
  let repeats = 0
  while (budget.withdraw(0)) repeats++
  assert.equal(repeats, 100)
})

test('what is saved up is bounded', () => {
  const budget = new RetryBudget(0.2, 10, 0)
  for (let requests = 0; requests < 1_000_000; requests++) budget.deposit()
  let repeats = 0
  while (budget.withdraw(0)) repeats++
  assert.equal(repeats, 200)
})
