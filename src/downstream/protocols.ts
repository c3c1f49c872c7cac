// The protocols spoken to clients: what TLS offers by ALPN (RFC 7301), and the connection that serves what was agreed.
import type { Accepted } from '#src/io/wire.ts'
import type { ClientConnection } from './client-connection.ts'
import { Http1Connection, type DownstreamContext } from './http1.ts'
import type { Peer } from './stream.ts'

/** Offered to clients, in the order of our preference. */
export const ALPN_PROTOCOLS: readonly string[] = ['http/1.1', 'http/1.0']

/** Serves a connection. `protocol` is what ALPN agreed on; '' when the client asked for nothing, or there is no TLS. */
export function serveConnection(protocol: string, context: DownstreamContext, accepted: Accepted, peer: Peer): ClientConnection {
  switch (protocol) {
    default:
      return new Http1Connection(context, accepted, peer)
  }
}
