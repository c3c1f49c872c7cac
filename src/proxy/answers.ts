// The answers that are ours: which status and which words a client gets when no upstream answers (DESIGN: failure table).
import { REASON_PHRASES } from '#src/http1/reason-phrases.ts'
import type { OutgoingHead } from '#src/http1/response-text.ts'

/** Why a request was not answered by an upstream; the access log's `reason`. */
export type Reason =
  | 'no_route' | 'not_ready' | 'route_problem' | 'service_gone' | 'no_endpoint' | 'overloaded' | 'bad_path' | 'bad_body' | 'upgrade_refused' | 'misdirected' | 'plain_http' | 'https_only'
  | 'connect_failed' | 'upstream_reset' | 'upstream_malformed' | 'upstream_head_timeout' | 'upstream_body_timeout' | 'total_timeout'

const answers: Readonly<Record<Reason, readonly [status: number, words: string, retryAfterSeconds: number]>> = {
  no_route: [404, 'no route for this host and path', 0],
  not_ready: [503, 'the routes are not known yet', 1],
  route_problem: [503, 'this route is out of service because of its configuration', 10],
  service_gone: [503, 'the service has no instances', 5],
  no_endpoint: [503, 'no endpoint of the service is ready', 2],
  overloaded: [503, 'too many requests at once', 1],
  upgrade_refused: [501, 'this protocol is not let through', 0],
  misdirected: [421, 'this host needs a connection of its own, with TLS for its name', 0],
  plain_http: [400, 'plain HTTP was sent to a port that speaks TLS: use https', 0],
  https_only: [400, 'only https is served here, and the request names no host', 0],
  bad_body: [400, 'the body is not what its content-type says', 0],
  bad_path: [400, 'the path is not acceptable', 0],
  connect_failed: [502, 'the service could not be reached', 0],
  upstream_reset: [502, 'the service broke off', 0],
  upstream_malformed: [502, 'the service answered with something that is not HTTP', 0],
  upstream_head_timeout: [504, 'the service did not answer in time', 0],
  upstream_body_timeout: [504, 'the service did not answer in time', 0],
  total_timeout: [504, 'the request took too long', 0],
}

export interface Answer {
  readonly head: OutgoingHead
  readonly body: string
}

/** The answer for a reason; `fields` are further lines. HEAD gets the head alone. */
export function answerFor(reason: Reason, method: string, fields: string): Answer {
  const [status, words, retryAfter] = answers[reason]
  const body = `${status} ${REASON_PHRASES[status] ?? ''}: ${words}\n`
  const retry = retryAfter === 0 ? '' : `Retry-After: ${retryAfter}\r\n`
  return {
    head: { status, reason: '', fields: `${fields}Content-Type: text/plain\r\n${retry}`, length: body.length, bodiless: method === 'HEAD' },
    body,
  }
}

/** What is said of a reason, for people. */
export const wordsOf = (reason: Reason): string => answers[reason][1]

/** The status that a reason answers with. */
export const statusOf = (reason: Reason): number => answers[reason][0]
