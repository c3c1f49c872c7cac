// The protocols spoken to clients: what TLS offers by ALPN (RFC 7301), and the connection that serves what was agreed.
import { PREFACE } from '#src/http2/frame.ts'
import type { Accepted } from '#src/io/wire.ts'
import type { ClientConnection } from './client-connection.ts'
import type { DownstreamContext } from './context.ts'
import { Http1Connection } from './http1.ts'
import { Http2Connection } from './http2.ts'
import type { Peer } from './stream.ts'

/** Offered to clients, in the order of our preference. */
export const ALPN_PROTOCOLS: readonly string[] = ['h2', 'http/1.1', 'http/1.0']

/** What a client speaks in the clear by its first octets (RFC 9113 3.3); undefined: more of them have to come. */
export function clearProtocol(bytes: Buffer, from: number, to: number): '' | 'h2' | undefined {
  const size = Math.min(PREFACE.length, to - from)
  if (bytes.compare(PREFACE, 0, size, from, from + size) !== 0) return ''
  return size === PREFACE.length ? 'h2' : undefined
}

/** Serves a connection. `protocol` is what ALPN agreed on; '' when the client asked for nothing, or there is no TLS. */
export function serveConnection(protocol: string, context: DownstreamContext, accepted: Accepted, peer: Peer): ClientConnection {
  switch (protocol) {
    case 'h2':
      return new Http2Connection(context, accepted, peer)
    default:
      return new Http1Connection(context, accepted, peer)
  }
}
