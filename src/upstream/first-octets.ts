// What an endpoint speaks that was to speak HTTP/2: told by the first octets that it sends, in words for whoever has to mend it.

/**
 * False: no server of HTTP/2 begins with this octet. It begins with SETTINGS, and the length of a frame, while we allow no larger ones, takes
 * the lower two of its three octets (RFC 9113 3.4, 4.1, 4.2).
 */
export const mayBeginHttp2 = (octet: number): boolean => octet === 0

/** What speaks in `bytes[from, to)`, which may be the beginning of as much as told it. */
export function otherProtocol(bytes: Buffer, from: number, to: number): string {
  const octets = bytes.latin1Slice(from, Math.min(to, from + HTTP.length))
  if (HTTP.startsWith(octets)) return 'the upstream speaks HTTP/1, not HTTP/2'
  if (/^[\x15\x16](?:\x03|$)/.test(octets)) return 'the upstream speaks TLS, not HTTP/2 in the clear'
  return 'the upstream does not speak HTTP/2'
}

const HTTP = 'HTTP/'
