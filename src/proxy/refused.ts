// Accounting for a head that never became an exchange: it is counted and logged like one.
import type { Peer, Refused } from '#src/downstream/stream.ts'
import { clientText, routeText } from '#src/observe/access-record.ts'
import { countExchange } from '#src/observe/counters.ts'
import { NOT_GRPC } from '#src/observe/grpc-status.ts'
import type { Plane } from './plane.ts'

/** Counts and logs a refused head; nothing of what the client sent is repeated. */
export function refusedRecord(plane: Plane, peer: Peer, fault: Refused): void {
  plane.count('malformed_requests_total', 1)
  countExchange(plane.unrouted, fault.status, 0, 0, 0)
  if (!plane.logging) return
  plane.log({
    durationMs: 0,
    upstreamMs: -1,
    from: clientText({ client: peer.address, peer: peer.address, scheme: peer.scheme, protocol: '', host: '', userAgent: '' }),
    method: '',
    path: '',
    query: '',
    status: fault.status,
    grpcStatus: NOT_GRPC,
    reason: fault.status === 408 ? 'client_head_timeout' : `malformed: ${fault.reason}`,
    failure: '',
    bytesIn: 0,
    bytesOut: 0,
    to: routeText('', ''),
    endpoint: '',
    tried: [],
    requestId: '',
  })
}
