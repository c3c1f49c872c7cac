// Who may reach the admin API: which addresses it may bind to without a token, and which Host it answers to.
import { hostname } from 'node:os'
import { BlockList, isIP } from 'node:net'
import { formatAddress } from '#src/config/address.ts'
import type { BindAddress } from '#src/config/address.ts'
import { parseAuthority } from '#src/http1/authority.ts'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** Why the admin API must not bind to this address, or undefined when it may. */
export function checkAdminExposure(address: BindAddress, hasToken: boolean): string | undefined {
  if (hasToken || isLoopback(address.host)) return undefined
  const expected = `a loopback address such as 127.0.0.1:${address.port}, or admin.token or admin.tokenFile beside it`
  return `admin.address: ${formatAddress(address)} can be reached from other machines; expected ${expected}`
}

/**
 * Whether a Host field may ask the admin API. A page of a foreign site whose name was rebound to our address sends that name;
 * an IP literal, `localhost`, the configured host and the machine's own names cannot be taken by it.
 */
export function isOwnHost(host: string | undefined, bound: BindAddress): boolean {
  const name = parseAuthority(host ?? '')?.host
  if (name === undefined) return false
  return isIP(name.replace(/^\[|\]$/g, '')) !== 0 || ownNames(bound).includes(name)
}

/** The names that `isOwnHost` knows, for the answer to whoever used another. */
export function ownNames({ host }: BindAddress): string[] {
  const machine = hostname().toLowerCase()
  return [...new Set(['localhost', machine, machine.split('.')[0]!, host.toLowerCase()])].filter((name) => name !== '' && isIP(name) === 0)
}

function isLoopback(host: string): boolean {
  if (host.toLowerCase() === 'localhost') return true
  const family = isIP(host)
  return family !== 0 && loopback.check(host, family === 6 ? 'ipv6' : 'ipv4')
}
