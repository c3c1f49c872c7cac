// The ClientHello of Node's own client, as it comes over a socket.
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'

/** What it says first, with these options. */
export async function realHello(options: tls.ConnectionOptions): Promise<Buffer> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = tls.connect({ port: (server.address() as net.AddressInfo).port, host: '127.0.0.1', ...options })
  client.on('error', () => undefined)
  const [socket] = await once(server, 'connection') as [net.Socket]
  const [bytes] = await once(socket, 'data') as [Buffer]
  client.destroy()
  socket.destroy()
  server.close()
  return bytes
}
