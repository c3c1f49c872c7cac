// What an attempt or a client that failed is called where it is told: in counters, in answers, in the access log.
import type { ClientGone } from '#src/downstream/stream.ts'
import type { AttemptResult } from '#src/observe/counters.ts'
import type { UpstreamFailure } from '#src/upstream/stream.ts'
import type { Reason } from './answers.ts'

export const resultOf = {
  connect: 'connect_failed', reset: 'reset', malformed: 'malformed', 'head timeout': 'timeout', 'body timeout': 'timeout',
} as const satisfies Record<UpstreamFailure['kind'], AttemptResult>

export const reasonOf = {
  connect: 'connect_failed',
  reset: 'upstream_reset',
  malformed: 'upstream_malformed',
  'head timeout': 'upstream_head_timeout',
  'body timeout': 'upstream_body_timeout',
} as const satisfies Record<UpstreamFailure['kind'], Reason>

/** What is logged when the client gets no answer of an upstream, where it is not simply gone. */
export const statusWhenGone: Partial<Record<ClientGone, number>> = { malformed_body: 400, client_body_timeout: 408, internal_error: 500 }
