// Stands between a catalog and its registry, and does to answers what networks, overloaded servers and revoked tokens do.
import { once } from 'node:events'
import { createServer, request as ask } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/**
 * `refuse`: connections are closed at once; `hang`: no answer; `slow`: answers trickle, a byte at a time; `garbage`: 200 with half an answer;
 * `error`: 500 as of an agent without servers; `busy`: 429; `forbidden`: 403; `empty`: 200 `[]` of a server without a leader;
 * `invisible`: 200 `[]` without an index, as for a token without rights.
 */
export type GatewayMode = 'pass' | 'refuse' | 'hang' | 'slow' | 'garbage' | 'error' | 'busy' | 'forbidden' | 'empty' | 'invisible'

export interface Gateway extends AsyncDisposable {
  /** `http://127.0.0.1:port`. */
  readonly origin: string
  /** Calls that came, as `METHOD path?query`. */
  readonly calls: readonly string[]
  /** What is done to calls from now on. Those that are in flight end; a `hang` leaves them. */
  mode: GatewayMode
  /** Calls for which this is done in place of `mode`. */
  only: ((path: string) => GatewayMode) | undefined
}

const HEADERS = { 'Content-Type': 'application/json', 'X-Nomad-Index': '1', 'X-Nomad-KnownLeader': 'true', 'X-Nomad-LastContact': '0' } as const
const TRICKLE_MS = 20

/** `registry` is `host:port`. */
export async function startGateway(registry: string): Promise<Gateway> {
  const calls: string[] = []
  const sockets = new Set<Socket>()
  let mode: GatewayMode = 'pass'
  let only: Gateway['only']
  const server = createServer((request, response) => {
    const path = request.url ?? '/'
    calls.push(`${request.method ?? ''} ${path}`)
    answer(only?.(path) ?? mode, request, response, registry)
  })
  server.on('connection', (socket: Socket) => {
    if (mode === 'refuse') socket.resetAndDestroy()
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    get mode() { return mode },
    set mode(next) {
      mode = next
      if (next !== 'hang') for (const socket of sockets) socket.destroy()
    },
    get only() { return only },
    set only(next) { only = next },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

function answer(mode: GatewayMode, request: IncomingMessage, response: ServerResponse, registry: string): void {
  const text = (status: number, body: string): void => { response.writeHead(status, { 'Content-Type': 'text/plain' }).end(body) }
  switch (mode) {
    case 'pass': return pass(request, response, registry)
    case 'refuse': return void request.socket.resetAndDestroy()
    case 'hang': return
    case 'error': return text(500, 'rpc error: failed to get conn: dial tcp 127.0.0.1:4647: connect: connection refused')
    case 'busy': return text(429, 'Your IP is issuing too many concurrent connections, please rate limit your calls')
    case 'forbidden': return text(403, 'Permission denied')
    case 'garbage': return void response.writeHead(200, HEADERS).end('[{"Namespace":"default","Serv')
    case 'empty': return void response.writeHead(200, { ...HEADERS, 'X-Nomad-KnownLeader': 'false', 'X-Nomad-LastContact': '9223372036854' }).end('[]')
    case 'invisible': return void response.writeHead(200, { ...HEADERS, 'X-Nomad-Index': '0' }).end('[]')
    case 'slow': {
      response.writeHead(200, HEADERS)
      const timer = setInterval(() => { response.write(' ') }, TRICKLE_MS)
      response.once('close', () => { clearInterval(timer) })
    }
  }
}

function pass(request: IncomingMessage, response: ServerResponse, registry: string): void {
  const [host = '', port] = registry.split(':')
  const onward = ask({ host, port, method: request.method, path: request.url, headers: request.headers }, (answered) => {
    response.writeHead(answered.statusCode ?? 502, answered.headers)
    response.flushHeaders()
    answered.pipe(response)
    answered.once('error', () => { response.destroy() })
  })
  onward.once('error', () => { response.destroy() })
  response.once('close', () => { onward.destroy() })
  request.pipe(onward)
}
