// An answer of ours to an exchange: plain, or as gRPC's clients understand it, with the fields that all our answers have.
import { NOT_GRPC } from '#src/observe/grpc-status.ts'
import { debugField, type ExchangeFacts } from './account.ts'
import { answerFor, type Answer, type Reason } from './answers.ts'
import { grpcAnswer } from './grpc.ts'
import { hstsFor } from './outgoing.ts'

/** What the client gets for this reason. */
export function ownAnswer(exchange: ExchangeFacts, reason: Reason, plane: { readonly hstsField: string; dateField(): string }): Answer {
  const fields = plane.dateField() + hstsFor(exchange.stream.peer, plane.hstsField) + debugField(exchange)
  return exchange.grpcStatus === NOT_GRPC ? answerFor(reason, exchange.head.method, fields) : grpcAnswer(reason, fields)
}
