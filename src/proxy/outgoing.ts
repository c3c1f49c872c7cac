// A response's head as its client gets it: pure.
import type { ResponseHead } from '#src/http1/response-head.ts'
import { NO_LENGTH, UNKNOWN_LENGTH, type OutgoingHead } from '#src/http1/response-text.ts'

/** `method` is that of the request, `added` are further lines. */
export function outgoingHead(head: ResponseHead, method: string, added: string): OutgoingHead {
  const bodiless = method === 'HEAD' || head.status === 204 || head.status === 304
  const length = head.announcedLength !== '' ? Number(head.announcedLength) : bodiless ? NO_LENGTH : head.contentLength >= 0 ? head.contentLength : UNKNOWN_LENGTH
  return { status: head.status, reason: head.reason, fields: head.fields + added, length, bodiless }
}
