// A response's head as its client gets it: pure.
import { fieldValue } from '#src/http1/fields.ts'
import type { ResponseHead } from '#src/http1/response-head.ts'
import type { Peer } from '#src/downstream/stream.ts'
import { NO_LENGTH, UNKNOWN_LENGTH, type OutgoingHead } from '#src/http1/response-text.ts'

/** `method` is that of the request, `added` are further lines; `hsts` is one more, unless the response has such a field. */
export function outgoingHead(head: ResponseHead, method: string, added: string, hsts: string): OutgoingHead {
  const bodiless = method === 'HEAD' || head.status === 204 || head.status === 304
  const length = head.announcedLength !== '' ? Number(head.announcedLength) : bodiless ? NO_LENGTH : head.contentLength >= 0 ? head.contentLength : UNKNOWN_LENGTH
  const fields = head.fields + added + (hsts !== '' && fieldValue(head.fields, 'strict-transport-security') === undefined ? hsts : '')
  return { status: head.status, reason: head.reason, fields, length, bodiless }
}

/** The field is meant only for clients over TLS (RFC 6797 7.2). */
export const hstsFor = ({ tls }: Peer, field: string): string => (tls === null ? '' : field)
