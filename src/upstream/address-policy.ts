// Which addresses a job may name: never loopback, link-local, unspecified, multicast or a registry's own, unless the operator allows them. Pure.
import { BlockList, isIPv4, isIPv6 } from 'node:net'

export interface AddressPolicy {
  /** Why an instance may not be reached there; undefined: it may. `nodeAddress` is that of the node that it runs on, '' if unknown. */
  refusal(host: string, port: number, nodeAddress: string): string | undefined
  /** Whether the node's address could change a refusal. */
  dependsOnNode(host: string): boolean
}

export interface AddressPolicyOptions {
  /** CIDR blocks that are allowed all the same. */
  readonly allow: readonly string[]
  /** `host:port` of the registry, IPv6 in brackets. */
  readonly registry: readonly string[]
}

const forbidden: readonly (readonly [what: string, blocks: readonly string[]])[] = [
  ['a loopback address', ['127.0.0.0/8', '::1/128']],
  ['a link-local address', ['169.254.0.0/16', 'fe80::/10']],
  ['an unspecified address', ['0.0.0.0/8', '::/128']],
  ['a multicast address', ['224.0.0.0/4', 'ff00::/8']],
  ['a broadcast address', ['255.255.255.255/32']],
]

/** Names pass here: what they resolve to is tested where they are resolved. */
export function createAddressPolicy({ allow, registry }: AddressPolicyOptions): AddressPolicy {
  const lists = forbidden.map(([what, blocks]) => [what, blockList(blocks)] as const)
  const allowed = blockList(allow)
  const registries = new Set(registry.map((address) => address.toLowerCase()))
  const contains = (list: BlockList, host: string): boolean => list.check(host, isIPv4(host) ? 'ipv4' : 'ipv6')
  return {
    refusal(written, port, nodeAddress) {
      const host = plainAddress(written)
      const address = `${host.includes(':') ? `[${host}]` : host}:${port}`
      if (registries.has(address)) return `${address} is the registry's own address`
      if (!isIPv4(host) && !isIPv6(host)) return host.toLowerCase() === 'localhost' || host.toLowerCase().endsWith('.localhost') ? refusalOf(host, 'a loopback address') : undefined
      if (contains(allowed, host)) return undefined
      const found = lists.find(([, list]) => contains(list, host))
      if (found === undefined) return undefined
      // A development agent has no other address than loopback, and gives it to its tasks itself.
      if (found[0] === 'a loopback address' && isLoopback(plainAddress(nodeAddress))) return undefined
      return refusalOf(address, found[0])
    },
    dependsOnNode: (host) => isLoopback(plainAddress(host)),
  }
}

const refusalOf = (address: string, what: string): string => `${address} is ${what}: a job may not name it (catalogs.nomad.allowAddresses has exceptions)`

const isLoopback = (host: string): boolean => (isIPv4(host) && host.startsWith('127.')) || host === '::1'

/** IPv4 in IPv6 dress leads to the same place; IPv6 in its shortest form. */
export function plainAddress(host: string): string {
  if (!isIPv6(host)) return host
  const short = new URL(`http://[${host.replace(/%.*$/, '')}]`).hostname.slice(1, -1)
  const [, high, low] = /^::(?:ffff:)?([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(short) ?? []
  if (high === undefined || low === undefined) return short
  const [a, b] = [Number.parseInt(high, 16), Number.parseInt(low, 16)]
  return `${a >> 8}.${a & 255}.${b >> 8}.${b & 255}`
}

function blockList(blocks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const block of blocks) {
    const [address = '', bits = ''] = block.split('/')
    list.addSubnet(address, Number(bits), isIPv4(address) ? 'ipv4' : 'ipv6')
  }
  return list
}
