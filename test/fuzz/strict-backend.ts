// Servers for fuzzing over the wire: one on a port of its own that ends with all its connections, and a backend of HTTP/1.1 that reads strictly.
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { readStream, type Message } from './oracle.ts'

/** It believes nothing that the oracle does not; what we add to a head is no attack. */
const bounds = { headBytes: 65_536, headers: 200 }

export interface Listening extends AsyncDisposable {
  readonly address: string
}

export interface StrictBackend extends Listening {
  /** What was no request: why, and the octets. */
  readonly poison: readonly string[]
}

/** Answers each request with what `answer` makes of it; `text` is the request, from its first octet. */
export async function startStrictBackend(answer: (message: Message, text: string) => string): Promise<StrictBackend> {
  const poison: string[] = []
  const server = createServer((socket) => {
    let unread = ''
    socket.on('error', () => socket.destroy())
    socket.on('data', (bytes) => {
      unread += bytes.toString('latin1')
      const { messages, last, why } = readStream(unread, bounds)
      if (last === 'rejected') poison.push(`${why}: ${JSON.stringify(unread.slice(0, 10_000))}`)
      let at = 0
      for (const message of messages) {
        socket.write(answer(message, unread.slice(at, message.end)), 'latin1')
        at = message.end
      }
      unread = unread.slice(at)
    })
  })
  return { poison, ...await listen(server) }
}

/** Listens on a port of 127.0.0.1 that is free. */
export async function listen(server: Server): Promise<Listening> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
