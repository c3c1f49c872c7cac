// A well-behaved backend that speaks TLS, and says which names it was asked for.
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Certificate } from './certificates.ts'

export interface TlsBackend extends AsyncDisposable {
  readonly port: number
  /** `127.0.0.1:port`, as services files write it. */
  readonly address: string
  /** Requests, as `METHOD path`, each with the name that its connection was opened for (false: none was sent). */
  readonly requests: { readonly line: string; readonly serverName: string | false; readonly connection: number }[]
  /** Connections whose handshake succeeded. */
  readonly connections: number
}

/** Starts it on a free port of 127.0.0.1; the default handler answers `ok`. */
export async function startTlsBackend(certificate: Certificate, handler?: (request: IncomingMessage, response: ServerResponse) => void): Promise<TlsBackend> {
  const requests: TlsBackend['requests'] = []
  const numbers = new Map<unknown, number>()
  const server = createServer(certificate, (request, response) => {
    const socket = request.socket as TLSSocket & { readonly servername?: string | false }
    requests.push({ line: `${request.method} ${request.url}`, serverName: socket.servername ?? false, connection: numbers.get(socket) ?? -1 })
    if (handler === undefined) response.end('ok')
    else handler(request, response)
  })
  server.on('secureConnection', (socket) => numbers.set(socket, numbers.size))
  server.on('tlsClientError', () => undefined) // the client did not like the certificate
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    address: `127.0.0.1:${port}`,
    requests,
    get connections() { return numbers.size },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
