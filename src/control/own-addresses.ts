// Tells whether an address leads back to Serai itself.

import { isIPv4 } from 'node:net'

/** A test for the addresses that reach one of `own` (`host:port`; an empty, `0.0.0.0` or `::` host is every address of this machine). */
export function createOwnAddresses(own: readonly string[]): (host: string, port: number) => boolean {
  const hostsByPort = new Map<number, string[]>()
  for (const address of own) {
    const colon = address.lastIndexOf(':')
    const port = Number(address.slice(colon + 1))
    hostsByPort.set(port, [...(hostsByPort.get(port) ?? []), plain(address.slice(0, colon).replace(/^\[|\]$/g, ''))])
  }
  return (host, port) => {
    const owned = hostsByPort.get(port)
    if (owned === undefined) return false
    const target = plain(host)
    return owned.some((each) => each === target || (isLocal(target) && (isWildcard(each) || (isLoopback(each) && !isIPv4(target)) || (isLoopback(each) && isWildcard(target)))))
  }
}

/** IPv4 addresses in IPv6 dress lead to the same place. */
const plain = (host: string): string => {
  const lower = host.toLowerCase()
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(lower) ?? []
  if (high === undefined || low === undefined) return lower.replace(/^::ffff:(?=\d+\.)/, '')
  const [a, b] = [Number.parseInt(high, 16), Number.parseInt(low, 16)]
  return `${a >> 8}.${a & 255}.${b >> 8}.${b & 255}`
}

const isWildcard = (host: string): boolean => host === '' || host === '0.0.0.0' || host === '::'
const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))
const isLocal = (host: string): boolean => isWildcard(host) || isLoopback(host)
