// A well-behaved backend over node:http, for tests in which the backend is not the point.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface HttpBackend extends AsyncDisposable {
  readonly port: number
  /** `127.0.0.1:port`, as services files write it. */
  readonly address: string
  /** Requests begun so far. */
  readonly count: number
}

/** Starts a node:http server on a free port of 127.0.0.1; a handler given as text answers with that text. */
export async function startHttpBackend(handler: string | ((request: IncomingMessage, response: ServerResponse) => void)): Promise<HttpBackend> {
  let count = 0
  const server = createServer((request, response) => {
    count++
    if (typeof handler === 'function') handler(request, response)
    else response.end(handler)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    address: `127.0.0.1:${port}`,
    get count() { return count },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
