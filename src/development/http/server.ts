// The HTTP side of the registry: who asks, which route, and how the answer is written.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Cluster } from '#src/development/cluster.ts'
import { Refused } from '#src/development/schedule/operations.ts'
import { findRoute } from '#src/development/routes/table.ts'
import { streamEvents } from '#src/development/routes/event-stream.ts'
import { isCaller } from '#src/development/acl.ts'
import type { BadToken } from '#src/development/acl.ts'
import { DENIED, NO_ENDPOINT, text, WRONG_METHOD } from './answer.ts'
import type { Answer } from './answer.ts'
import { readBody, secretOf } from './request.ts'

/** As recorded: what a client address hears that has too many connections, before it is cut off. */
const TOO_MANY = 'Your IP is issuing too many concurrent connections, please rate limit your calls\n'
const REFUSAL = `HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\nContent-Length: ${TOO_MANY.length}\r\nConnection: close\r\n\r\n${TOO_MANY}`

/** Go sends answers above this in chunks. */
const CHUNKED_ABOVE = 2048

export interface ApiServer extends AsyncDisposable {
  /** `host:port`, or the path of a socket. */
  readonly address: string
  /** Requests answered or begun so far. */
  readonly requests: number
}

/** Where to listen: a TCP address, with the number of connections that one client address may have; or the path of the Task API's socket, which has no limit. */
export type Place = { readonly host: string; readonly port: number; readonly connectionsPerClient: number } | { readonly path: string }

/** Serves the API of the cluster. The Task API's socket asks for a token before anything else. */
export async function serveApi(cluster: Cluster, place: Place): Promise<ApiServer> {
  const socket = 'path' in place
  const ending = new AbortController()
  let requests = 0
  const server = createServer({ keepAliveTimeout: 60_000 }, (message, response) => {
    requests++
    void respond(cluster, message, response, socket, ending.signal)
  })
  if (!socket) limitConnections(server, place.connectionsPerClient)
  await listen(server, place)
  const address = socket ? place.path : formatted(server.address() as AddressInfo)
  return {
    address,
    get requests() { return requests },
    async [Symbol.asyncDispose]() {
      ending.abort()
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

/** `limits.http_max_conns_per_client`. */
function limitConnections(server: Server, limit: number): void {
  const open = new Map<string, number>()
  server.on('connection', (socket) => {
    const client = socket.remoteAddress ?? ''
    const count = (open.get(client) ?? 0) + 1
    open.set(client, count)
    socket.once('close', () => { open.set(client, (open.get(client) ?? 1) - 1) })
    if (count > limit) socket.end(REFUSAL, () => { socket.resetAndDestroy() })
  })
}

async function listen(server: Server, place: Place): Promise<void> {
  server.listen('path' in place ? { path: place.path } : { host: place.host, port: place.port })
  await once(server, 'listening')
}

const formatted = ({ address, port }: AddressInfo): string => (address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`)

async function respond(cluster: Cluster, message: IncomingMessage, response: ServerResponse, socket: boolean, ending: AbortSignal): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => { gone.abort() })
  const signal = AbortSignal.any([gone.signal, ending])
  const write = (answer: Answer): void => { writeAnswer(response, answer, socket) }
  try {
    const secret = secretOf(message)
    const refused = socket ? cluster.acl.refuseAtSocket(secret) : undefined
    if (refused !== undefined) {
      write(text(refused.status, refused.text))
      return
    }
    const url = new URL(message.url ?? '/', 'http://registry')
    const query = url.searchParams
    if (query.has('region') && query.get('region') !== '' && query.get('region') !== cluster.region) {
      write(text(500, 'No path to region'))
      return
    }
    const given = query.get('namespace') ?? message.headers['x-nomad-namespace']
    const namespace = typeof given === 'string' && given !== '' ? given : 'default'
    const who = cluster.acl.authenticate(secret)
    if (url.pathname === '/v1/event/stream') {
      response.writeHead(200, headersOf({ status: 200, body: '', type: 'json' }, socket, { 'Cache-Control': 'no-cache', 'Connection': 'close' }))
      streamEvents({ who, query, namespace, cluster, signal: ending }, response)
      return
    }
    const found = findRoute(message.method ?? 'GET', url.pathname)
    if (found === 'none' || found === 'method') write(found === 'none' ? NO_ENDPOINT : WRONG_METHOD)
    else if (!isCaller(who) && found.route.open !== true) write(refusal(found.route.whenBad, who))
    else {
      const caller = isCaller(who) ? who : cluster.acl.anonymous
      write(await found.route.handle({ method: message.method ?? 'GET', path: found.path, query, namespace, caller, cluster, body: () => readBody(message), signal }))
    }
  } catch (error) {
    if (error instanceof Refused) write(text(error.status, error.message))
    else if (error instanceof SyntaxError) write(text(400, error.message))
    else write(text(500, error instanceof Error ? error.message : String(error)))
  }
}

/** What a token that is none is answered: nearly always that it is not permitted. */
function refusal(whenBad: 'denied' | 'agent' | 'client' | 'token', { kind, reason }: BadToken): Answer {
  if (kind === 'unknown' || whenBad === 'denied') return { ...DENIED, ...(whenBad === 'client' ? { fromClient: true } : {}) }
  if (whenBad === 'agent') return text(500, `ACL token not found or invalid workload identity: ${reason}`)
  return whenBad === 'client' ? { ...text(500, `rpc error: ${reason}`), fromClient: true } : text(500, reason)
}

function writeAnswer(response: ServerResponse, answer: Answer, socket: boolean): void {
  if (response.destroyed) return
  response.writeHead(answer.status, headersOf(answer, socket, answer.body.length > CHUNKED_ABOVE ? {} : { 'Content-Length': Buffer.byteLength(answer.body) }))
  if (answer.body.length > CHUNKED_ABOVE) response.write(answer.body)
  response.end(answer.body.length > CHUNKED_ABOVE ? '' : answer.body)
}

/** Names as Go writes them. Over the socket nothing is compressed, so that only answers of client agents vary. */
function headersOf({ type, meta, index, fromClient = false }: Answer, socket: boolean, more: Readonly<Record<string, string | number>>): Record<string, string | number> {
  return {
    ...(type === 'none' ? {} : { 'Content-Type': type === 'json' ? 'application/json' : 'text/plain; charset=utf-8' }),
    ...(fromClient ? { Vary: 'Origin' } : socket ? {} : { Vary: 'Accept-Encoding' }),
    ...(meta === undefined ? {} : { 'X-Nomad-Index': String(meta.index), 'X-Nomad-Knownleader': 'true', 'X-Nomad-Lastcontact': '0' }),
    ...(meta?.nextToken === undefined ? {} : { 'X-Nomad-Nexttoken': meta.nextToken }),
    ...(index === undefined ? {} : { 'X-Nomad-Index': String(index) }),
    ...more,
  }
}
