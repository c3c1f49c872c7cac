// Binding each address once, exclusively, before the workers share it: a port in use is an error with a name.
import net from 'node:net'
import type { ListenerSettings } from '#src/snapshot.ts'
import { formatAddress } from '#src/config/address.ts'

/** The listeners with their ports filled in where the config said 0. Rejects with a message that names the listener and the address. */
export async function claimPorts(listeners: readonly ListenerSettings[]): Promise<ListenerSettings[]> {
  const claimed: { readonly server: net.Server; readonly settings: ListenerSettings }[] = []
  try {
    // One after the other, and all held until the last: two listeners must not get one free port.
    for (const settings of listeners) claimed.push(await claim(settings))
    return claimed.map(({ settings }) => settings)
  } finally {
    await Promise.all(claimed.map(({ server }) => new Promise((resolve) => server.close(resolve))))
  }
}

async function claim(settings: ListenerSettings): Promise<{ server: net.Server; settings: ListenerSettings }> {
  const server = net.createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(new Error(reasonFor(settings, error))))
    server.listen({ port: settings.port, ...(settings.host === '' ? {} : { host: settings.host }), exclusive: true }, resolve)
  })
  return { server, settings: { ...settings, port: (server.address() as net.AddressInfo).port } }
}

function reasonFor({ name, host, port }: ListenerSettings, error: NodeJS.ErrnoException): string {
  const address = formatAddress({ host, port })
  const key = `listeners.${name}.address`
  if (error.code === 'EADDRINUSE') return `listener ${name}: ${address} is in use by another program; end that, or set ${key} to another port`
  if (error.code === 'EACCES') return `listener ${name}: ${address} may not be bound by this user; set ${key} to a port above 1023, or give the program CAP_NET_BIND_SERVICE`
  if (error.code === 'EADDRNOTAVAIL') return `listener ${name}: ${address} is not an address of this machine (${key})`
  return `listener ${name}: ${address} cannot be bound: ${error.message} (${key})`
}

/** Whether several threads may listen on one port here (SO_REUSEPORT that spreads connections: Linux, FreeBSD 12, not macOS or Windows). */
export async function reusePortWorks(): Promise<boolean> {
  const server = net.createServer()
  return await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false))
    server.listen({ host: '127.0.0.1', port: 0, reusePort: true }, () => server.close(() => resolve(true)))
  })
}
