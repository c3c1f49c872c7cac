// The truth table of mayRetry: what may be repeated at another endpoint (DESIGN section 9).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isIdempotent, mayRetry, type FailedAttempt, type RetryDecision } from '#src/proxy/retry.ts'

const base: FailedAttempt = {
  kind: 'reset', stale: false, untaken: false, method: 'GET', bodyWhole: true, repeats: 0, allowedRepeats: 2, elapsedMs: 5, retryTimeoutMs: 10_000, staleRepeated: false,
}

const table: readonly { readonly name: string; readonly given: Partial<FailedAttempt>; readonly expect: RetryDecision }[] = [
  // Nothing has left this machine: any method, and free.
  ...['GET', 'PUT', 'POST', 'PATCH', 'LOCK'].flatMap((method) => [
    { name: `${method}, not connected`, given: { method, kind: 'connect' as const }, expect: 'free' as const },
    { name: `${method}, not connected, its body partly gone`, given: { method, kind: 'connect' as const, bodyWhole: false }, expect: 'no' as const },
    { name: `${method}, reset before the kernel took an octet`, given: { method, untaken: true }, expect: 'free' as const },
    { name: `${method}, untaken on a pooled connection`, given: { method, untaken: true, stale: true }, expect: 'free' as const },
  ]),
  { name: 'not connected, all repeats used', given: { kind: 'connect', repeats: 2 }, expect: 'spent' },
  { name: 'untaken, all repeats used', given: { untaken: true, repeats: 2 }, expect: 'spent' },
  { name: 'not connected, none allowed', given: { kind: 'connect', allowedRepeats: 0 }, expect: 'no' },
  // The request was sent and nothing came back.
  ...['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'].flatMap((method) => [
    { name: `${method}, reset`, given: { method }, expect: 'budgeted' as const },
    { name: `${method}, reset, its body partly gone`, given: { method, bodyWhole: false }, expect: 'no' as const },
    { name: `${method}, stale`, given: { method, stale: true }, expect: 'free' as const },
  ]),
  ...['POST', 'PATCH', 'LOCK', 'get'].flatMap((method) => [
    { name: `${method}, reset`, given: { method }, expect: 'no' as const },
    { name: `${method}, stale`, given: { method, stale: true }, expect: 'no' as const },
  ]),
  { name: 'reset, all repeats used', given: { repeats: 2 }, expect: 'no' },
  { name: 'stale, all repeats used: it is uncounted', given: { stale: true, repeats: 2 }, expect: 'free' },
  { name: 'stale a second time: it counts', given: { stale: true, staleRepeated: true }, expect: 'budgeted' },
  { name: 'stale a second time, all repeats used', given: { stale: true, staleRepeated: true, repeats: 2 }, expect: 'no' },
  { name: 'stale, no repeats allowed', given: { stale: true, allowedRepeats: 0 }, expect: 'no' },
  // The upstream may be working on it, or has answered.
  { name: 'no head in time', given: { kind: 'head timeout' }, expect: 'no' },
  { name: 'no body in time', given: { kind: 'body timeout' }, expect: 'no' },
  { name: 'malformed', given: { kind: 'malformed' }, expect: 'no' },
  // In time.
  { name: 'not connected, at the last moment', given: { kind: 'connect', elapsedMs: 9999 }, expect: 'free' },
  { name: 'not connected, too late', given: { kind: 'connect', elapsedMs: 10_000 }, expect: 'no' },
  { name: 'reset, too late', given: { elapsedMs: 10_001 }, expect: 'no' },
  { name: 'stale, too late', given: { stale: true, elapsedMs: 10_001 }, expect: 'no' },
]

for (const { name, given, expect } of table) {
  test(`${name}: ${expect}`, () => assert.equal(mayRetry({ ...base, ...given }), expect))
}

test('over the whole space: what may not be repeated never is', (t) => {
  const counts = { no: 0, free: 0, budgeted: 0, spent: 0 }
  const booleans = [false, true]
  for (const kind of ['connect', 'reset', 'malformed', 'head timeout', 'body timeout'] as const) {
    for (const method of ['GET', 'POST']) for (const stale of booleans) for (const untaken of booleans) for (const bodyWhole of booleans) {
      for (const repeats of [0, 2]) for (const elapsedMs of [0, 10_000]) for (const staleRepeated of booleans) {
        const attempt = { ...base, kind, method, stale, untaken, bodyWhole, repeats, elapsedMs, staleRepeated }
        const decision = mayRetry(attempt)
        counts[decision]++
        const sent = kind !== 'connect' && !(kind === 'reset' && untaken)
        if (decision === 'no') continue
        assert.ok(bodyWhole && elapsedMs < 10_000, JSON.stringify(attempt))
        assert.ok(!sent || (kind === 'reset' && isIdempotent(method)), JSON.stringify(attempt))
      }
    }
  }
  t.diagnostic(`mayRetry over ${counts.no + counts.free + counts.budgeted + counts.spent} attempts: no ${counts.no}, free ${counts.free}, budgeted ${counts.budgeted}, spent ${counts.spent}`)
})
