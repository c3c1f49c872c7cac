// A driver for the development registry whose tasks are TCP listeners in this process: a thousand of them cost no thousand processes.
import { once } from 'node:events'
import net from 'node:net'
import type { Driver, Exit } from '#src/development/client/driver.ts'

/** Listens on `$PORT` until it is signalled; connections are taken and closed. */
export const listeningDriver: Driver = async ({ env }) => {
  const server = net.createServer((socket) => { socket.destroy() })
  server.listen(Number(env['PORT']), '127.0.0.1')
  // Nodes that share an address choose the same port now and then: then another task listens there already.
  await Promise.race([once(server, 'listening'), once(server, 'error')]).catch(() => undefined)
  const { promise: exited, resolve } = Promise.withResolvers<Exit>()
  return { pid: undefined, exited, signal: () => { server.close(() => { resolve({ code: 0, signal: 0 }) }) } }
}
