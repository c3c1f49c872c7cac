// Whether a failed attempt may be repeated at another endpoint: the one rule, pure (RFC 9110 section 9.2.2).

import type { UpstreamFailure } from '#src/upstream/stream.ts'

/** One attempt that failed before the response began. */
export interface FailedAttempt {
  readonly failure: UpstreamFailure
  readonly method: string
  /** The request has no body, or all that was sent of it is still at hand. */
  readonly bodyWhole: boolean
  /** Repeats so far. */
  readonly repeats: number
  readonly allowedRepeats: number
  /** Since the request began, and how long repeats may begin. Milliseconds. */
  readonly elapsedMs: number
  readonly retryTimeoutMs: number
  /** A repeat after a stale connection was given already. */
  readonly staleRepeated: boolean
}

/** `budgeted` has to be paid from the service's budget; `spent`: it could be repeated, but was often enough. */
export type RetryDecision = 'no' | 'free' | 'budgeted' | 'spent'

/** Methods whose repetition does what one does. */
export const isIdempotent = (method: string): boolean =>
  method === 'GET' || method === 'HEAD' || method === 'PUT' || method === 'DELETE' || method === 'OPTIONS'

/** What to do about a failed attempt. */
export function mayRetry(attempt: FailedAttempt): RetryDecision {
  if (attempt.elapsedMs >= attempt.retryTimeoutMs || !attempt.bodyWhole) return 'no'
  const left = attempt.repeats < attempt.allowedRepeats
  const { failure } = attempt
  // No octet of the request has left this machine, so nobody can have acted on it.
  if (failure.kind === 'connect' || (failure.kind === 'reset' && failure.untaken)) return left ? 'free' : attempt.allowedRepeats > 0 ? 'spent' : 'no'
  // A malformed answer would be malformed again; what breaks a connection need not have to do with this request.
  if (!(failure.kind === 'reset' || (failure.kind === 'malformed' && failure.of === 'connection')) || !isIdempotent(attempt.method)) return 'no'
  // Closing an idle connection is the upstream's right: it says nothing about its health.
  if (failure.kind === 'reset' && failure.stale && !attempt.staleRepeated) return attempt.allowedRepeats > 0 ? 'free' : 'no'
  return left ? 'budgeted' : 'no'
}
