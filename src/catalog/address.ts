// Reads `host:port` of an endpoint into its one form.

import { isIPv4, isIPv6 } from 'node:net'

// A last label of digits would be an IPv4 address gone wrong, never a name.
const name = /^(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*(?!\d+$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/

/** An IP address (IPv6 in its shortest form, without brackets) or a lower-case DNS name, and a port from 1 to 65535; or what is wrong with it. */
export function parseAddress(text: string): { readonly host: string; readonly port: number } | { readonly reason: string } {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,6})$/.exec(text) ?? []
  if (digits === undefined) return { reason: `${text}: expected host:port, IPv6 as [::1]:8080` }
  const port = Number(digits)
  if (port < 1 || port > 65_535) return { reason: `${text}: expected a port from 1 to 65535` }
  if (bracketed !== undefined) {
    if (!isIPv6(bracketed) || bracketed.includes('%')) return { reason: `${text}: expected an IPv6 address in the brackets` }
    return { host: new URL(`http://[${bracketed}]`).hostname.slice(1, -1), port }
  }
  const host = (plain ?? '').toLowerCase().replace(/\.$/, '')
  return isIPv4(host) || name.test(host) ? { host, port } : { reason: `${text}: expected an IP address or a host name before the port` }
}
