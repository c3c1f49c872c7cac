// The value of Host, and the authority of an absolute target: a strict subset of RFC 3986 section 3.2.
import { isIPv6 } from 'node:net'

export interface Authority {
  /** Lower case, without a trailing dot; IPv6 keeps its brackets. */
  readonly host: string
  /** Digits, or ''. */
  readonly port: string
}

const named = /^([A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9_-])?)(\.?)(?::([0-9]{0,5}))?$/
const bracketed = /^(\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{0,5}))?$/

/** Host and port, or undefined for anything that some server might read differently (user info, lists, empty, non-ASCII). */
export function parseAuthority(text: string): Authority | undefined {
  const name = named.exec(text)
  if (name !== null) {
    const host = name[1]!
    return host.includes('..') ? undefined : valid(host, name[3])
  }
  const literal = bracketed.exec(text)
  return literal !== null && isIPv6(literal[1]!.slice(1, -1)) ? valid(literal[1]!, literal[2]) : undefined
}

function valid(host: string, port: string | undefined): Authority | undefined {
  return port !== undefined && Number(port) > 65_535 ? undefined : { host: host.toLowerCase(), port: port ?? '' }
}
