// Free ports for programs that cannot be asked which one they took.
import { once } from 'node:events'
import { createServer, connect, type AddressInfo } from 'node:net'

/** This many different ports of 127.0.0.1 on which nobody listens at the moment. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return server
  }))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** Resolves when somebody accepts connections on the port; rejects with what the program said when it ends or `deadlineMs` have passed. */
export async function accepting(port: number, child: { readonly running: boolean; output(): string }, deadlineMs = 15_000): Promise<void> {
  const until = performance.now() + deadlineMs
  while (performance.now() < until && child.running) {
    const socket = connect(port, '127.0.0.1')
    const open = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    })
    socket.destroy()
    if (open) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`nobody listens on port ${port}; it said: ${child.output()}`)
}
