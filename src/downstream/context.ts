// What the connections to clients share in a worker, whatever protocol they speak.
import type { Deadlines } from '#src/io/deadlines.ts'
import type { Outboxes } from '#src/io/outbox.ts'
import type { WireContext } from '#src/io/wire.ts'
import type { WindowLoans } from '#src/http2/receive-window.ts'
import type { AheadLimits } from './ahead.ts'
import type { ClientConnection } from './client-connection.ts'
import type { Peer, Refused, RequestHandler } from './stream.ts'

/** What client connections of a worker share. Times in milliseconds. */
export interface DownstreamContext extends WireContext, AheadLimits {
  readonly deadlines: Deadlines
  readonly outboxes: Outboxes
  /** What all clients together are lent of HTTP/2's window while services do not take their uploads. */
  readonly windowLoans: WindowLoans
  readonly headMs: number
  readonly bodyMs: number
  readonly keepAliveMs: number
  /** How long a call of gRPC that has no answer may be silent. */
  readonly tunnelIdleMs: number
  /** Take nothing new: every response ends its connection. */
  readonly draining: boolean
  readonly handle: RequestHandler
  /** A head that was refused; answered and closed by the connection itself. */
  refused(peer: Peer, fault: Refused): void
  closed(connection: ClientConnection): void
}
