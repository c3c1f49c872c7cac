// The truth table of mayRetry: what may be repeated at another endpoint (DESIGN section 9).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isIdempotent, mayRetry, type FailedAttempt, type RetryDecision } from '#src/proxy/retry.ts'
import type { UpstreamFailure } from '#src/upstream/stream.ts'

const reset = { kind: 'reset', detail: '', stale: false, untaken: false } as const
const stale = { ...reset, stale: true } as const
const untaken = { ...reset, untaken: true } as const
const notConnected = { kind: 'connect', detail: '' } as const
const badAnswer = { kind: 'malformed', of: 'answer', detail: '' } as const
const badConnection = { kind: 'malformed', of: 'connection', detail: '' } as const
const late = [{ kind: 'head timeout', detail: '' }, { kind: 'body timeout', detail: '' }] as const
const every: readonly UpstreamFailure[] = [reset, stale, untaken, { ...untaken, stale: true }, notConnected, badAnswer, badConnection, ...late]

const base: FailedAttempt = {
  failure: reset, method: 'GET', bodyWhole: true, repeats: 0, allowedRepeats: 2, elapsedMs: 5, retryTimeoutMs: 10_000, staleRepeated: false,
}

const table: readonly { readonly name: string; readonly given: Partial<FailedAttempt>; readonly expect: RetryDecision }[] = [
  // Nothing has left this machine: any method, and free.
  ...['GET', 'PUT', 'POST', 'PATCH', 'LOCK'].flatMap((method) => [
    { name: `${method}, not connected`, given: { method, failure: notConnected }, expect: 'free' as const },
    { name: `${method}, not connected, its body partly gone`, given: { method, failure: notConnected, bodyWhole: false }, expect: 'no' as const },
    { name: `${method}, reset before the kernel took an octet`, given: { method, failure: untaken }, expect: 'free' as const },
    { name: `${method}, untaken on a pooled connection`, given: { method, failure: { ...untaken, stale: true } }, expect: 'free' as const },
  ]),
  { name: 'not connected, all repeats used', given: { failure: notConnected, repeats: 2 }, expect: 'spent' },
  { name: 'untaken, all repeats used', given: { failure: untaken, repeats: 2 }, expect: 'spent' },
  { name: 'not connected, none allowed', given: { failure: notConnected, allowedRepeats: 0 }, expect: 'no' },
  // The request was sent and nothing came back.
  ...['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'].flatMap((method) => [
    { name: `${method}, reset`, given: { method }, expect: 'budgeted' as const },
    { name: `${method}, on a connection that was broken`, given: { method, failure: badConnection }, expect: 'budgeted' as const },
    { name: `${method}, reset, its body partly gone`, given: { method, bodyWhole: false }, expect: 'no' as const },
    { name: `${method}, stale`, given: { method, failure: stale }, expect: 'free' as const },
  ]),
  ...['POST', 'PATCH', 'LOCK', 'get'].flatMap((method) => [
    { name: `${method}, reset`, given: { method }, expect: 'no' as const },
    { name: `${method}, on a connection that was broken`, given: { method, failure: badConnection }, expect: 'no' as const },
    { name: `${method}, stale`, given: { method, failure: stale }, expect: 'no' as const },
  ]),
  { name: 'reset, all repeats used', given: { repeats: 2 }, expect: 'no' },
  { name: 'stale, all repeats used: it is uncounted', given: { failure: stale, repeats: 2 }, expect: 'free' },
  { name: 'stale a second time: it counts', given: { failure: stale, staleRepeated: true }, expect: 'budgeted' },
  { name: 'stale a second time, all repeats used', given: { failure: stale, staleRepeated: true, repeats: 2 }, expect: 'no' },
  { name: 'stale, no repeats allowed', given: { failure: stale, allowedRepeats: 0 }, expect: 'no' },
  // The upstream may be working on it, or has answered.
  { name: 'no head in time', given: { failure: late[0] }, expect: 'no' },
  { name: 'no body in time', given: { failure: late[1] }, expect: 'no' },
  { name: 'a malformed answer', given: { failure: badAnswer }, expect: 'no' },
  // In time.
  { name: 'not connected, at the last moment', given: { failure: notConnected, elapsedMs: 9999 }, expect: 'free' },
  { name: 'not connected, too late', given: { failure: notConnected, elapsedMs: 10_000 }, expect: 'no' },
  { name: 'reset, too late', given: { elapsedMs: 10_001 }, expect: 'no' },
  { name: 'stale, too late', given: { failure: stale, elapsedMs: 10_001 }, expect: 'no' },
]

for (const { name, given, expect } of table) {
  test(`${name}: ${expect}`, () => assert.equal(mayRetry({ ...base, ...given }), expect))
}

test('over the whole space: what may not be repeated never is', (t) => {
  const counts = { no: 0, free: 0, budgeted: 0, spent: 0 }
  const booleans = [false, true]
  for (const failure of every) {
    for (const method of ['GET', 'POST']) for (const bodyWhole of booleans) {
      for (const repeats of [0, 2]) for (const elapsedMs of [0, 10_000]) for (const staleRepeated of booleans) {
        const attempt = { ...base, failure, method, bodyWhole, repeats, elapsedMs, staleRepeated }
        const decision = mayRetry(attempt)
        counts[decision]++
        const sent = failure.kind !== 'connect' && !(failure.kind === 'reset' && failure.untaken)
        if (decision === 'no') continue
        assert.ok(bodyWhole && elapsedMs < 10_000, JSON.stringify(attempt))
        assert.ok(!sent || ((failure.kind === 'reset' || failure === badConnection) && isIdempotent(method)), JSON.stringify(attempt))
      }
    }
  }
  t.diagnostic(`mayRetry over ${counts.no + counts.free + counts.budgeted + counts.spent} attempts: no ${counts.no}, free ${counts.free}, budgeted ${counts.budgeted}, spent ${counts.spent}`)
})
