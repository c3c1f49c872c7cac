// The answers that are ours: their statuses are a contract (DESIGN section 9), and a 503 says when to come back.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerFor, statusOf, type Reason } from '#src/proxy/answers.ts'

const statuses: Readonly<Record<Reason, number>> = {
  no_route: 404, not_ready: 503, route_problem: 503, service_gone: 503, no_endpoint: 503, overloaded: 503, bad_path: 400, bad_body: 400, misdirected: 421, plain_http: 400, https_only: 400, upgrade_refused: 501,
  connect_failed: 502, upstream_reset: 502, upstream_malformed: 502, upstream_head_timeout: 504, upstream_body_timeout: 504, total_timeout: 504,
}

for (const [reason, status] of Object.entries(statuses) as [Reason, number][]) {
  test(`${reason}: ${status}`, () => {
    const { head, body } = answerFor(reason, 'GET', 'X-Own: 1\r\n')
    assert.deepEqual([head.status, statusOf(reason), head.length, head.bodiless], [status, status, Buffer.byteLength(body), false])
    assert.match(body, new RegExp(`^${status} [A-Z].*\n$`))
    assert.match(head.fields, /^X-Own: 1\r\nContent-Type: text\/plain\r\n/)
    assert.equal(/\r\nRetry-After: [1-9][0-9]*\r\n/.test(head.fields), status === 503)
  })
}

test('HEAD gets the same head without the body', () => {
  const { head } = answerFor('no_route', 'HEAD', '')
  assert.equal(head.bodiless, true)
  assert.equal(head.length, answerFor('no_route', 'GET', '').head.length)
})
