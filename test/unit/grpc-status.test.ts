// How a gRPC call ended, as its trailers say it: gRPC's own statuses one by one, and everything else in two places, whatever a service sends.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accessLine, clientText, routeText } from '#src/observe/access-record.ts'
import { grpcStatuses, NO_STATUS, NOT_GRPC, OTHER_STATUS } from '#src/observe/grpc-status.ts'
import { grpcStatusIn, grpcStatusOf } from '#src/proxy/grpc.ts'

test('each status of gRPC has a place of its own, whose label is its number', () => {
  for (let status = 0; status <= 16; status++) {
    assert.equal(grpcStatusIn(`grpc-message: fine\r\nGrpc-Status: ${status}\r\n`), status)
    assert.equal(grpcStatuses[status], String(status))
  }
  assert.deepEqual([grpcStatuses[OTHER_STATUS], grpcStatuses[NO_STATUS], grpcStatuses.length], ['other', 'none', 19])
})

for (const value of ['17', '99', '-1', '00', '1.0', '0x1', '1e0', '\xb3', 'other', 'none', 'OK', '', '0, 0', '9'.repeat(5000)]) {
  test(`${JSON.stringify(value.slice(0, 20))} is none of them`, () => assert.equal(grpcStatusIn(`grpc-status: ${value}\r\n`), OTHER_STATUS))
}

test('twice is none of them, white space around it is nothing, and another field is no status', () => {
  assert.equal(grpcStatusIn('grpc-status: 0\r\ngrpc-status: 0\r\n'), OTHER_STATUS)
  assert.equal(grpcStatusIn('grpc-status: \t 5 \r\n'), 5)
  assert.deepEqual(['', 'x-grpc-status: 0\r\n', 'grpc-status-details-bin: CAU\r\n', 'grpc-message: grpc-status: 0\r\n'].map(grpcStatusIn), [NO_STATUS, NO_STATUS, NO_STATUS, NO_STATUS])
})

test('in the access log: the number, -1 for what is none of them, and nothing where there is none', () => {
  const record = {
    from: clientText({ client: '10.0.0.1', peer: '10.0.0.1', scheme: 'http', protocol: 'HTTP/2.0', host: 'a.example.org', userAgent: 'y' }), to: routeText('web@file/default', 'default'),
    durationMs: 1, upstreamMs: 1, method: 'POST', path: '/', query: '', status: 200, reason: '', failure: '', bytesIn: 0, bytesOut: 0, endpoint: '127.0.0.1:9001', tried: [], requestId: 'x',
  }
  const logged = [0, 16, OTHER_STATUS, NO_STATUS, NOT_GRPC].map((grpcStatus) => (JSON.parse(accessLine({ ...record, grpcStatus }, '')) as { readonly grpc_status?: unknown }).grpc_status)
  assert.deepEqual(logged, [0, 16, -1, undefined, undefined])
})

test('the status of each error of ours, as docs/http2.md has it', () => {
  const statuses = {
    4: ['upstream_head_timeout', 'upstream_body_timeout', 'total_timeout'], 8: ['overloaded'], 12: ['no_route', 'upgrade_refused'], 13: ['bad_path', 'bad_body', 'upstream_malformed', 'plain_http', 'https_only'],
    14: ['no_endpoint', 'service_gone', 'not_ready', 'route_problem', 'connect_failed', 'upstream_reset', 'misdirected'],
  } as const
  for (const [status, reasons] of Object.entries(statuses)) for (const reason of reasons) assert.equal(grpcStatusOf(reason), Number(status), reason)
})
