// The health of an instance: what it may get, what is asked next, and the words for it, from every fact that is known of it.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { endingWords, mayHaveRestarted, readStatus } from '#src/catalog/nomad/allocation-status.ts'
import type { AllocationStatus } from '#src/catalog/nomad/allocation-status.ts'
import type { CheckResult, DefinedCheck } from '#src/catalog/nomad/check-definition.ts'
import { DueQueue } from '#src/catalog/nomad/due-queue.ts'
import { readSummary } from '#src/catalog/nomad/fleet.ts'
import { afterChecks, afterRenewal, afterStatus, judgeHealth, unknownFacts } from '#src/catalog/nomad/health-rule.ts'
import type { HealthRule, InstanceFacts } from '#src/catalog/nomad/health-rule.ts'
import { afterProbe, deriveProbe, noProbe, plainProbe, probeIntervalMs } from '#src/catalog/nomad/probe-rule.ts'
import { runOf } from '#src/catalog/nomad/run-forecast.ts'

const check = (name: string, given: Partial<DefinedCheck> = {}): DefinedCheck =>
  ({ name, kind: 'http', intervalMs: 10_000, timeoutMs: 2000, portLabel: '', https: false, method: 'GET', path: '/health', headers: {}, body: '', ...given })
const result = (name: string, status: CheckResult['status'], given: Partial<CheckResult> = {}): CheckResult => ({ service: 'web', check: name, status, output: '', ranAt: 1, ...given })
const status = (given: Partial<AllocationStatus> = {}): AllocationStatus =>
  ({ id: 'a', namespace: 'default', node: 'n', desired: 'run', client: 'running', healthy: undefined, migrating: false, restarts: 0, index: 10, ...given })
const facts = (given: Partial<InstanceFacts>): InstanceFacts => ({ ...unknownFacts, ...given })
const known = { allocation: 'known' } as const
const ready = facts({ ...known, checks: [check('up')], passed: new Set(['up']), connected: true, wasReady: true })
const byChecks: HealthRule = { policy: 'checks', probe: undefined }
const says = (given: InstanceFacts, rule = byChecks): string => {
  const { health, next, why } = judgeHealth(given, rule)
  return `${health}, ${next}: ${why}`
}

describe('before the first request', () => {
  const cases: readonly (readonly [name: string, given: Partial<InstanceFacts>, expect: string])[] = [
    ['nothing known', {}, 'pending, allocation: its allocation was not read yet'],
    ['no check: one connection', { ...known, checks: [] }, 'pending, connect: no connection was tried yet'],
    ['nobody listens', { ...known, checks: [], connectFailure: 'connection refused' }, 'pending, connect: a connection from this node failed: connection refused'],
    ['no check, connected', { ...known, checks: [], connected: true }, 'passing, nothing: '],
    ['checks not known yet', known, 'pending, allocation: the checks of its job were not read yet'],
    ['a check without a result', { ...known, checks: [check('up')] }, "pending, checks: check 'up' has not passed yet: no result yet"],
    ['a check that has not run', { ...known, checks: [check('up')], results: [result('up', 'pending', { output: 'nomad: waiting to run' })] }, "pending, checks: check 'up' has not passed yet: pending"],
    ['a check that cannot be asked for', { ...known, checks: [check('up')], checksFailure: 'no answer' }, "pending, checks: check 'up' has not passed yet: no answer"],
    ['a check that fails, even where it connects', { ...known, checks: [check('up')], connected: true, results: [result('up', 'failure', { output: 'refused' })] }, "pending, checks: check 'up' has not passed yet: failure (refused)"],
    ['two checks that have not passed', { ...known, checks: [check('a'), check('b')] }, "pending, checks: check 'a' has not passed yet: no result yet; check 'b' has not passed yet: no result yet"],
    ['a check that has passed', { ...known, checks: [check('up')], passed: new Set(['up']), connected: true }, 'passing, nothing: '],
    ['judged healthy in its deployment', { ...known, judgedHealthy: true, connected: true }, 'passing, nothing: '],
    ['judged healthy, but not reachable from here', { ...known, judgedHealthy: true }, 'pending, connect: no connection was tried yet'],
    ['checks forbidden: one connection', { allocation: 'forbidden', checks: [check('up')] }, 'pending, connect: no connection was tried yet'],
    ['it ends before it was ready', { ...known, status: status({ desired: 'stop' }) }, 'pending, nothing: its allocation is being stopped'],
  ]
  for (const [name, given, expect] of cases) test(name, () => { assert.equal(says(facts(given)), expect) })

  test('each check must have passed once, not all at the same time; results of other services say nothing', () => {
    let now = facts({ ...known, checks: [check('a'), check('b')], connected: true })
    now = afterChecks(now, 'web', [result('a', 'success'), result('b', 'pending'), { ...result('b', 'success'), service: 'other' }])
    assert.equal(judgeHealth(now, byChecks).health, 'pending')
    now = afterChecks(now, 'web', undefined)
    now = afterChecks(now, 'web', [result('a', 'pending'), result('b', 'success')])
    assert.equal(judgeHealth(now, byChecks).health, 'passing')
  })

  test('of two results of one check that disagree neither counts', () => {
    assert.deepEqual([...afterChecks(facts({ ...known, checks: [check('a')] }), 'web', [result('a', 'success'), result('a', 'failure')]).passed], [])
  })

  test('policy none: one connection, whatever the checks say', () => {
    const none: HealthRule = { policy: 'none', probe: undefined }
    assert.equal(says(facts({}), none), 'pending, connect: no connection was tried yet')
    assert.equal(says(facts({ connected: true, results: [result('up', 'failure')], wasReady: true }), none), 'passing, nothing: ')
    assert.equal(says(facts({ connected: true, wasReady: true, status: status({ client: 'unknown' }) }), none), 'leaving, nothing: its node is disconnected')
  })

  test('policy probe: its first pass, not the checks', () => {
    const probe: HealthRule = { policy: 'probe', probe: plainProbe }
    const connected = facts({ ...known, checks: [check('up')], connected: true })
    assert.equal(says(facts({ connected: true }), { policy: 'probe', probe: undefined }), 'pending, allocation: the checks of its job, which say how to probe it, were not read yet')
    assert.equal(says(connected, probe), 'pending, probe: its probe has not passed yet')
    assert.equal(says({ ...connected, probe: afterProbe(noProbe, plainProbe, false, 'status 503') }, probe), 'pending, probe: its probe has not passed yet: status 503')
    assert.equal(says({ ...connected, probe: afterProbe(noProbe, plainProbe, false, '') }, probe), 'passing, nothing: ')
  })

  test('a probe that its tags ask for must pass beside the checks', () => {
    const both: HealthRule = { policy: 'checks', probe: plainProbe }
    assert.equal(says({ ...ready, wasReady: false }, both), 'pending, probe: its probe has not passed yet')
  })
})

describe('once it was ready', () => {
  const cases: readonly (readonly [name: string, given: Partial<InstanceFacts>, expect: string])[] = [
    ['nothing is asked', {}, 'passing, nothing: '],
    ['a check fails', { results: [result('up', 'failure', { output: 'status 503' })] }, "unhealthy, checks: check 'up' fails: status 503"],
    ['a check waits to run again', { results: [result('up', 'pending')] }, 'passing, nothing: '],
    ['no answer is no failure', { checksFailure: 'no answer' }, 'passing, nothing: '],
    ['stop', { status: status({ desired: 'stop' }) }, 'leaving, nothing: its allocation is being stopped'],
    ['stop by a drain', { status: status({ desired: 'stop', migrating: true }) }, 'leaving, nothing: its allocation is being stopped: its node is drained'],
    ['about to be drained', { status: status({ migrating: true }) }, 'passing, nothing: '],
    ['pending again, in delays and restarts', { status: status({ client: 'pending' }) }, 'passing, nothing: '],
    ['the verdict is gone with a new version of the job', { status: status({ healthy: undefined }) }, 'passing, nothing: '],
    ['its node is disconnected', { status: status({ client: 'unknown' }) }, 'leaving, nothing: its node is disconnected'],
    ['its node is lost', { status: status({ client: 'lost' }) }, 'leaving, nothing: its node is lost'],
    ['it has failed', { status: status({ client: 'failed' }) }, 'leaving, nothing: its allocation has failed'],
    ['somebody was refused a connection', { suspect: true }, 'passing, connect: '],
    ['and so were we', { connected: false, connectFailure: 'connection refused' }, 'unhealthy, connect: a connection from this node failed: connection refused'],
    ['a check fails where checks are forbidden by now', { allocation: 'forbidden', results: [result('up', 'failure')] }, 'passing, nothing: '],
  ]
  for (const [name, given, expect] of cases) test(name, () => { assert.equal(says({ ...ready, ...given }), expect) })

  test('registered again: not ready until all has passed once more, whatever was judged before', () => {
    const renewed = afterRenewal({ ...ready, judgedHealthy: true, status: status({ healthy: true }) })
    assert.equal(says(renewed), "unhealthy, checks: check 'up' has not passed yet: no result yet")
    assert.equal(says(afterStatus(renewed, status({ healthy: true, index: 12 }))), "unhealthy, checks: check 'up' has not passed yet: no result yet")
  })

  test('a newer word counts, an older one does not; only what turns healthy is a verdict', () => {
    const stopped = afterStatus(facts({ ...known, status: status() }), status({ desired: 'stop', index: 12 }))
    assert.equal(afterStatus(stopped, status({ index: 11 })), stopped)
    assert.equal(afterStatus(facts({ status: status() }), status({ healthy: true, index: 11 })).judgedHealthy, true)
    assert.equal(afterStatus(facts({}), status({ healthy: true })).judgedHealthy, false)
  })
})

describe('probes', () => {
  const derived = deriveProbe([check('up')])!
  const passed = afterProbe(noProbe, derived, true, '')

  test('a failure counts from the second in a row, and only where it has passed from here', () => {
    const once = afterProbe(passed, derived, true, 'status 503')
    assert.deepEqual([once.failing, afterProbe(once, derived, true, 'status 503').failing, afterProbe(once, derived, true, '').failures], [false, true, 0])
    assert.equal(afterProbe(afterProbe(noProbe, derived, true, 'x'), derived, true, 'x').failing, false)
  })

  test('what stands for a check is refuted by a later run of it that passes, and by nothing else', () => {
    const failing = { ...ready, results: [result('up', 'success', { ranAt: 5 })], probe: afterProbe(afterProbe(passed, derived, true, 'status 503'), derived, true, 'status 503') }
    assert.equal(says(failing), 'unhealthy, checks: its probe from this node fails: status 503')
    assert.equal(says(afterChecks(failing, 'web', [result('up', 'success', { ranAt: 5 })])), 'unhealthy, checks: its probe from this node fails: status 503')
    assert.equal(says(afterChecks(failing, 'web', [result('up', 'success', { ranAt: 6 })])), 'passing, nothing: ')
    assert.equal(says({ ...failing, probe: afterProbe(failing.probe, derived, true, '') }), 'passing, nothing: ')
  })

  test('derived from the first check of its own port or of a literal one', () => {
    assert.equal(deriveProbe([check('a', { portLabel: 'admin' })]), undefined)
    assert.equal(deriveProbe([check('a', { portLabel: 'admin' }), check('b', { portLabel: '8080', kind: 'tcp' })])?.port, 8080)
    assert.deepEqual([derived.kind === 'http' && derived.path, derived.intervalMs, deriveProbe([check('a', { intervalMs: 100 })])?.intervalMs], ['/health', 10_000, 1000])
  })

  test('no more than two a second at one instance from all nodes together, and fifty from one node', () => {
    const every = (given: Partial<Parameters<typeof probeIntervalMs>[1]>, intervalMs = 1000): number =>
      probeIntervalMs({ ...derived, intervalMs }, { fleet: 1, here: false, probed: 1, doubtful: false, ...given }, () => 0.5)
    for (const fleet of [1, 2, 100, 3000]) {
      const rate = 1000 / every({ fleet, here: true }) + (fleet - 1) * 1000 / every({ fleet })
      assert.ok(rate <= 2, `${fleet} nodes: ${rate} a second`)
    }
    assert.deepEqual([1, 100, 3000].map((fleet) => every({ fleet }, 10_000) / 1000), [9.5, 198, 5998])
    assert.equal(every({ here: true, probed: 1000 }), 20_000)
    assert.equal(every({ doubtful: true }, 10_000), 500)
  })
})

test('words for every end, and none for what goes on', () => {
  for (const client of ['pending', 'running']) assert.equal(endingWords(status({ client })), '')
  assert.equal(endingWords(status({ desired: 'evict' })), 'its allocation is being evicted')
  assert.equal(endingWords(status({ client: 'complete' })), 'its allocation is complete')
})

test('a restart shows in a task, in a client that waits, in a node that is back', () => {
  assert.equal(mayHaveRestarted(status(), status({ restarts: 1 })), true)
  assert.equal(mayHaveRestarted(status(), status({ client: 'pending' })), true)
  assert.equal(mayHaveRestarted(status({ client: 'unknown' }), status()), true)
  assert.equal(mayHaveRestarted(undefined, status({ restarts: 1 })), false)
  assert.equal(mayHaveRestarted(status(), status({ restarts: 1, desired: 'stop' })), false)
})

test('a status is read from what Nomad says, and from nothing else', () => {
  assert.deepEqual(readStatus({ ID: 'a', Namespace: 'default', NodeID: 'n', DesiredStatus: 'run', ClientStatus: 'running', ModifyIndex: 10, DeploymentStatus: null, TaskStates: { server: { Restarts: 0 } } }), status())
  assert.equal(readStatus({ ID: 'a', Namespace: 'default', NodeID: 'n', DesiredStatus: 'stop', ClientStatus: 'running', DesiredTransition: { Migrate: true }, DeploymentStatus: { Healthy: true } })?.migrating, true)
  for (const bad of [null, 'x', [], {}, { ID: 'a', Namespace: 'default' }]) assert.equal(readStatus(bad), undefined)
  assert.deepEqual([readSummary({ Summary: { a: { Running: 3, Starting: 1, Queued: 9 }, b: { Running: 1 } } }), readSummary({})], [5, undefined])
})

test('the next run of a check is foretold from the look before the one that showed the last', () => {
  const seen = { facts: { ...ready, results: [result('up', 'failure', { ranAt: 1 })] }, lookedAt: 1000, run: undefined }
  assert.deepEqual(runOf(seen, { ok: true, results: [result('up', 'failure', { ranAt: 2 })] }, 1500), { after: 1000, before: 1500 })
  assert.equal(runOf(seen, { ok: true, results: [result('up', 'failure', { ranAt: 1 })] }, 1500), undefined)
  assert.equal(runOf(seen, { ok: true, results: [result('up', 'pending', { ranAt: 2 })] }, 1500), undefined)
  assert.equal(runOf(seen, { ok: true, results: undefined }, 1500), undefined)
})

test('the earliest is taken first, and nothing before its time', () => {
  fc.assert(fc.property(fc.array(fc.nat(1000), { maxLength: 100 }), (times) => {
    const queue = new DueQueue<number>()
    for (const time of times) queue.add(time, time)
    const taken: number[] = []
    for (let now = 0; now <= 1000; now += 100) for (let item; (item = queue.take(now)) !== undefined;) taken.push(item)
    assert.deepEqual(taken, times.toSorted((a, b) => a - b))
  }))
})
