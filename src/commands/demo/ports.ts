// Where the demo listens: addresses as they were asked for, checked to be free before anything starts.
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { bindAddress } from '#src/config/address.ts'
import type { BindAddress } from '#src/config/address.ts'

/** Reads `host:port` or `:port`; undefined when the text is none. */
export function readAddress(text: string): BindAddress | undefined {
  return bindAddress().safeParse(text).data
}

/** The address with a real port in place of 0. Throws the error of the bind (code EADDRINUSE, EACCES, …) when it cannot be listened on. */
export async function claim({ host, port }: BindAddress): Promise<BindAddress> {
  const server = createServer().listen({ port, exclusive: true, ...(host === '' ? {} : { host }) })
  await once(server, 'listening')
  const free = { host, port: (server.address() as AddressInfo).port }
  server.close()
  await once(server, 'close')
  return free
}

/** `localhost` may mean ::1 first: beside 127.0.0.1 the same port of ::1, where the machine has IPv6. */
export async function withIpv6Loopback(address: BindAddress): Promise<readonly [BindAddress, ...BindAddress[]]> {
  if (address.host !== '127.0.0.1') return [address]
  try {
    return [address, await claim({ host: '::1', port: address.port })]
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT') return [address]
    throw error
  }
}
