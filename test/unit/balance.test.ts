// The balancers as properties: shares by weight, little movement, nobody starves, nothing to who may not be picked.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { BalancePolicy } from '#src/snapshot.ts'
import { balancerOf, type PickContext } from '#src/upstream/balance.ts'
import { Endpoint } from '#src/upstream/endpoint.ts'
import { createTargetSet, type Target, type TargetSet } from '#src/upstream/target.ts'

const policies: readonly BalancePolicy[] = ['p2c', 'rr', 'least', 'hash:ip']

/** The generator of Park and Miller: the same numbers in each run. */
function seeded(seed = 42): () => number {
  let state = seed
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647
}

function makeSet(weights: readonly number[], random = seeded()): TargetSet {
  return createTargetSet(weights.map((weight, at) => {
    const address = `10.0.0.${at + 1}:8080`
    return { endpoint: new Endpoint(`http://${address}`, { address, host: `10.0.0.${at + 1}`, port: 8080, weight }), weight }
  }), random)
}

const contextOf = (random: () => number, given: Partial<PickContext> = {}): PickContext =>
  ({ now: 1_000_000, random, tried: [], slowStartMs: 10_000, health: 'strict', hashKey: '', ...given })

/** Runs `requests` picks, `concurrent` of them in flight at a time (the oldest ends first), and returns each target's share. */
function shares(policy: BalancePolicy, set: TargetSet, requests: number, concurrent: number, given: Partial<PickContext> = {}): number[] {
  const random = seeded(7)
  const balance = balancerOf(policy)
  const counts = new Map<Target, number>()
  const flying: Target[] = []
  for (let request = 0; request < requests; request++) {
    if (flying.length >= concurrent) flying.splice(Math.floor(random() * flying.length), 1)[0]!.endpoint.inFlight--
    const target = balance(set, contextOf(random, { hashKey: `key ${request}`, ...given }))
    assert.ok(target)
    target.endpoint.inFlight++
    flying.push(target)
    counts.set(target, (counts.get(target) ?? 0) + 1)
  }
  return set.targets.map((target) => (counts.get(target) ?? 0) / requests)
}

const percent = (values: readonly number[]): string => values.map((value) => `${(100 * value).toFixed(1)} %`).join(', ')

for (const policy of policies) {
  for (const { weights, concurrent } of [
    { weights: [100, 100, 100, 100], concurrent: 1 }, { weights: [100, 100, 100, 100], concurrent: 40 },
    { weights: [300, 100], concurrent: 1 }, { weights: [300, 100], concurrent: 40 }, { weights: [1000, 500, 250, 250], concurrent: 64 },
  ]) {
    test(`${policy}: weights ${weights.join(' ')} with ${concurrent} in flight`, (t) => {
      const set = makeSet(weights)
      const got = shares(policy, set, 20_000, concurrent)
      t.diagnostic(percent(got))
      weights.forEach((weight, at) => {
        const due = weight / set.totalWeight
        assert.ok(Math.abs(got[at]! - due) <= 0.25 * due, `${at}: ${got[at]} of ${due}`)
      })
    })
  }

  for (const concurrent of [1, 8, 32, 128]) {
    test(`${policy}: a canary of weight 10 beside 2 × 100 gets 3 to 8 % with ${concurrent} in flight`, (t) => {
      const got = shares(policy, makeSet([100, 100, 10]), 20_000, concurrent)
      t.diagnostic(percent(got))
      assert.ok(got[2]! >= 0.03 && got[2]! <= 0.08, percent(got))
    })
  }

  test(`${policy}: weight 0 takes nothing`, () => {
    assert.deepEqual(shares(policy, makeSet([100, 0, 100]), 2000, 8)[1], 0)
  })

  test(`${policy}: nobody starves`, () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: 10, max: 100 }), { minLength: 2, maxLength: 6 }), (weights) => {
      assert.ok(shares(policy, makeSet(weights), 3000, 12).every((share) => share > 0))
    }), { numRuns: 20 })
  })

  test(`${policy}: what was tried, is ejected or is avoided is not picked, whatever the rest`, () => {
    const flags = fc.record({ tried: fc.boolean(), ejected: fc.boolean(), avoided: fc.boolean(), weight: fc.integer({ min: 0, max: 3 }) })
    fc.assert(fc.property(fc.array(flags, { maxLength: 8 }), fc.constantFrom('strict' as const, 'lenient' as const, 'panic' as const), (states, health) => {
      const set = makeSet(states.map(({ weight }) => weight))
      const tried: Endpoint[] = []
      set.targets.forEach(({ endpoint }, at) => {
        const state = states[at]!
        if (state.tried) tried.push(endpoint)
        if (state.ejected) endpoint.ejectedUntil = 2_000_000
        if (state.avoided) endpoint.avoidUntil = 2_000_000
      })
      const allowed = set.targets.filter((_, at) => {
        const { tried, ejected, avoided, weight } = states[at]!
        return weight > 0 && !tried && (health === 'panic' || !ejected) && (health !== 'strict' || !avoided)
      })
      const target = balancerOf(policy)(set, contextOf(seeded(), { tried, health, hashKey: 'k' }))
      assert.equal(target === undefined, allowed.length === 0)
      assert.ok(target === undefined || allowed.includes(target))
    }))
  })
}

test('p2c and least send less to the one that is slow', (t) => {
  for (const policy of ['p2c', 'least'] as const) {
    const set = makeSet([100, 100])
    set.targets[0]!.endpoint.inFlight = 20 // it hangs
    const got = shares(policy, set, 2000, 10)
    t.diagnostic(`${policy}: ${percent(got)}`)
    assert.ok(got[0]! <= 0.01, percent(got))
  }
})

test('rr: in any run of as many picks as the weights sum up to, each gets exactly its weight', () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 5 }), fc.integer({ min: 0, max: 50 }), (weights, skip) => {
    const set = makeSet(weights)
    for (const target of set.targets) target.current = 0
    const context = contextOf(seeded())
    for (let time = 0; time < skip * set.totalWeight; time++) balancerOf('rr')(set, context)
    const counts = weights.map(() => 0)
    for (let time = 0; time < set.totalWeight; time++) counts[set.targets.indexOf(balancerOf('rr')(set, context)!)]!++
    assert.deepEqual(counts, weights)
  }))
})

const keys = Array.from({ length: 5000 }, (_, at) => `client ${at}`)
const places = (set: TargetSet): string[] => keys.map((hashKey) => balancerOf('hash:ip')(set, contextOf(Math.random, { hashKey }))!.endpoint.address)

test('hash: a key stays where it is, in every worker and after every new table', () => {
  assert.deepEqual(places(makeSet([100, 100, 100])), places(makeSet([100, 100, 100], Math.random)))
})

test('hash: when an endpoint comes or goes only its share of the keys moves', (t) => {
  const ten = places(makeSet(new Array<number>(10).fill(100)))
  const eleven = places(makeSet(new Array<number>(11).fill(100)))
  const moved = keys.filter((_, at) => ten[at] !== eleven[at])
  t.diagnostic(`10 → 11 endpoints: ${moved.length} of ${keys.length} keys moved (${(100 * moved.length / keys.length).toFixed(1)} %, least possible 9.1 %)`)
  assert.ok(keys.every((_, at) => ten[at] === eleven[at] || eleven[at] === '10.0.0.11:8080'), 'a key moved between endpoints that were there before and after')
  assert.ok(moved.length / keys.length < 0.115)
})

test('hash: an endpoint that is ejected gives its keys away and gets the same ones back', () => {
  const set = makeSet([100, 100, 100])
  const before = places(set)
  set.targets[1]!.endpoint.ejectedUntil = 2_000_000
  const without = places(set)
  assert.ok(before.every((place, at) => place === '10.0.0.2:8080' ? without[at] !== place : without[at] === place))
  set.targets[1]!.endpoint.ejectedUntil = 0
  assert.deepEqual(places(set), before)
})

test('hash: one key alone cannot overload its endpoint: at most a quarter more than the mean', (t) => {
  const set = makeSet([100, 100, 100, 100])
  const got = shares('hash:ip', set, 10_000, 100, { hashKey: 'the one that all have' })
  t.diagnostic(percent(got))
  assert.ok(Math.max(...got) <= 1.33 / 4, percent(got)) // a quarter more, rounded up
})

test('hash: requests without a key are spread like others', () => {
  assert.ok(shares('hash:cookie:id', makeSet([100, 100]), 5000, 8, { hashKey: '' }).every((share) => share > 0.4))
})

test('slow start: the share grows from a tenth to all of it', (t) => {
  const grown = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const set = makeSet([100, 100])
    set.targets[0]!.endpoint.slowStartFrom = 1_000_000 - part * 10_000
    return shares('p2c', set, 10_000, 1)[0]!
  })
  t.diagnostic(`share of two after 0, 2.5, 5, 7.5 and 10 of 10 s: ${percent(grown)}`)
  assert.ok(grown[0]! < 0.12 && grown[4]! > 0.45)
  assert.deepEqual(grown, [...grown].sort((a, b) => a - b))
})
