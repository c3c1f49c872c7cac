// Writing a response head to an HTTP/1.x client: pure text.
import { REASON_PHRASES } from './reason-phrases.ts'

/** Length of a body that is sent chunked, or, to HTTP/1.0, up to the end of the connection. */
export const UNKNOWN_LENGTH = -1
/** No body, and no field that says how long it is (204, 304, 1xx). */
export const NO_LENGTH = -2

export interface OutgoingHead {
  readonly status: number
  /** '' takes the usual phrase. */
  readonly reason: string
  /** Lines with their CRLF; no framing or connection fields. */
  readonly fields: string
  /** Octets, `UNKNOWN_LENGTH` or `NO_LENGTH`. */
  readonly length: number
  /** The response to HEAD: a length may be announced, no body follows. */
  readonly bodiless: boolean
}

const statusLine = (head: OutgoingHead): string => `HTTP/1.1 ${head.status} ${head.reason === '' ? (REASON_PHRASES[head.status] ?? '') : head.reason}\r\n`

/** Up to and with the empty line. `minor` is the client's; `close`: this is the connection's last response. */
export function responseHeadText(head: OutgoingHead, minor: 0 | 1, close: boolean): string {
  const framing =
    head.length >= 0 ? `Content-Length: ${head.length}\r\n` : head.length === UNKNOWN_LENGTH && minor === 1 ? 'Transfer-Encoding: chunked\r\n' : ''
  const connection = close ? 'Connection: close\r\n' : minor === 0 ? 'Connection: keep-alive\r\n' : ''
  return `${statusLine(head)}${head.fields}${framing}${connection}\r\n`
}

/** A 1xx, which has neither framing nor connection fields. */
export const interimText = (status: number, reason: string, fields: string): string =>
  `${statusLine({ status, reason, fields, length: NO_LENGTH, bodiless: true })}${fields}\r\n`

/** The 101 that turns the connection into a tunnel. */
export const upgradeText = (fields: string, protocol: string): string =>
  `HTTP/1.1 101 Switching Protocols\r\n${fields}Connection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`
