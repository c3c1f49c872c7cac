// The addresses of this machine: where our own listeners can be reached, and what must not be believed after a restart of the node.
import { networkInterfaces } from 'node:os'
import { formatAddress, type BindAddress } from '#src/config/address.ts'

/** Every IP address of this machine, loopback included. */
export const nodeAddresses = (): string[] => Object.values(networkInterfaces()).flatMap((found) => (found ?? []).map(({ address }) => address))

/** `host:port` of what we listen on; for a listener on every address, with each of them. */
export function ownAddresses(bound: readonly BindAddress[]): string[] {
  const here = nodeAddresses()
  return bound.flatMap(({ host, port }) => [formatAddress({ host, port }), ...(host === '' ? here.map((address) => formatAddress({ host: address, port })) : [])])
}
