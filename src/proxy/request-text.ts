// Writing the request for the upstream: pure text.
import { CHUNKED } from '#src/http1/body.ts'
import { withoutFields } from '#src/http1/fields.ts'
import type { RequestHead } from '#src/http1/request-head.ts'

/** Up to and with the empty line. `path` is in normal form; `forwarding` are lines that we add; `upgrade` a protocol to ask for, or ''. */
export function requestText(head: RequestHead, path: string, forwarding: string, upgrade: string): string {
  const { method, contentLength } = head
  // Not in `fields` when the target named the host: then it is ours to write (RFC 9112 3.2.2).
  const host = head.ownHost ? `Host: ${head.authority}\r\n` : ''
  const framing = contentLength === CHUNKED ? 'Transfer-Encoding: chunked\r\n' : contentLength > 0 || mayHaveBody(method) ? `Content-Length: ${contentLength}\r\n` : ''
  const expect = head.expectContinue ? 'Expect: 100-continue\r\n' : ''
  const connection =
    upgrade !== '' ? `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n` : head.acceptsTrailers ? 'Connection: TE\r\nTE: trailers\r\n' : ''
  return `${method} ${path}${head.query} HTTP/1.1\r\n${host}${head.fields}${forwarding}${framing}${expect}${connection}\r\n`
}

/** The lines of the request as an HTTP/2 upstream gets them: no pseudo-header, connection or framing fields. */
export function requestLines(head: RequestHead, forwarding: string): string {
  const { contentLength } = head
  const fields = head.ownHost ? head.fields : withoutFields(head.fields, hostOnly)
  const length = contentLength > 0 || (contentLength === 0 && head.upgrade === '' && mayHaveBody(head.method)) ? `Content-Length: ${contentLength}\r\n` : ''
  const expect = head.expectContinue ? 'Expect: 100-continue\r\n' : ''
  return `${fields}${forwarding}${length}${expect}${head.acceptsTrailers ? 'TE: trailers\r\n' : ''}`
}

const hostOnly: ReadonlySet<string> = new Set(['host'])

/** Methods for which servers expect to be told that there is no body. */
const mayHaveBody = (method: string): boolean => method === 'POST' || method === 'PUT' || method === 'PATCH'
