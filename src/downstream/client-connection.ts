// A client's connection as its listener sees it, whatever protocol it speaks.
import type { Member } from '#src/io/roster.ts'
import type { Peer } from './stream.ts'

export interface ClientConnection extends Member {
  readonly peer: Peer
  /** Nothing is being answered: it can be ended without anybody noticing. */
  readonly idle: boolean
  /** Ends it in good order when nothing is being answered. */
  finish(): void
  /** Takes nothing new, where the protocol can say so before the next request; what is open goes on. */
  drain?(): void
  /** Ends it at once; exchanges in progress are told why. */
  shut(): void
}
