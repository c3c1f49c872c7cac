// A Nomad that misbehaves on demand: in front of the development registry or of a real one, what it says is refused, held up, cut or falsified.
import { once } from 'node:events'
import http from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as later } from 'node:timers'

/** What is done to answers. Event streams suffer `hang`, `status`, `silent` and `cut` too. */
export type Fault =
  /** The request is taken, and never answered. */
  | { readonly kind: 'hang' }
  /** This status with these words, as Nomad's errors are: 500 `No cluster leader`, 403 `Permission denied`, 404 … */
  | { readonly kind: 'status'; readonly status: number; readonly text: string }
  /** As recorded of an agent that has 100 connections of one address: 429, and the connection is cut. */
  | { readonly kind: 'too-many' }
  /** 200 and JSON that is none. */
  | { readonly kind: 'garbage'; readonly body?: string }
  /** The real head, another body: `[]` of a server that comes back. */
  | { readonly kind: 'body'; readonly body: string }
  /** Half of the body, then the connection is cut. */
  | { readonly kind: 'cut' }
  /** A byte at a time. */
  | { readonly kind: 'trickle'; readonly everyMs: number }
  /** So much later. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** X-Nomad-Knownleader says false, X-Nomad-Lastcontact for how long, and the body may be another. */
  | { readonly kind: 'no-leader'; readonly body?: string }
  /** Another X-Nomad-Index. */
  | { readonly kind: 'index'; readonly index: (real: number) => number }
  /** Event streams: 200, headers, and silence. */
  | { readonly kind: 'silent' }

export interface FaultyNomad extends AsyncDisposable {
  /** `host:port`, the same after `accept`. */
  readonly address: string
  /** `METHOD path?query` of every request so far. */
  readonly requests: readonly string[]
  /** From now on this happens to requests whose path matches (all); undefined: nothing. The last fault that matches counts. */
  set(fault: Fault | undefined, match?: RegExp): void
  /** Nothing happens to anybody. */
  mend(): void
  /** Connections are refused, and those that are open are cut. */
  refuse(): Promise<void>
  /** Listens again at the same address. */
  accept(): Promise<void>
  /** Ends the event streams that run, as a server does that shuts down. */
  cutStreams(): void
}

interface Rule {
  readonly fault: Fault | undefined
  readonly match: RegExp
}

/** Starts in front of the API at `host:port`. */
export async function startFaultyNomad(upstream: string): Promise<FaultyNomad> {
  const requests: string[] = []
  const sockets = new Set<Socket>()
  const streams = new Set<ServerResponse>()
  let rules: Rule[] = []
  const open = async (port: number): Promise<Server> => {
    const server = http.createServer((request, response) => {
      requests.push(`${request.method} ${request.url}`)
      const fault = rules.findLast(({ match }) => match.test(request.url ?? ''))?.fault
      void serve(upstream, request, response, fault, streams).catch(() => { response.destroy() })
    })
    server.on('connection', (socket) => {
      sockets.add(socket)
      socket.once('close', () => { sockets.delete(socket) })
    })
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return server
  }
  let server = await open(0)
  const { port } = server.address() as AddressInfo
  const close = async (): Promise<void> => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  return {
    address: `127.0.0.1:${port}`,
    requests,
    set(fault, match = /^/) { rules.push({ fault, match }) },
    mend() { rules = [] },
    refuse: close,
    async accept() { if (!server.listening) server = await open(port) },
    cutStreams() { for (const response of streams) response.destroy() },
    [Symbol.asyncDispose]: close,
  }
}

async function serve(upstream: string, request: IncomingMessage, response: ServerResponse, fault: Fault | undefined, streams: Set<ServerResponse>): Promise<void> {
  if (fault?.kind === 'hang') return
  if (fault?.kind === 'status') {
    response.writeHead(fault.status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(fault.text)
    return
  }
  if (fault?.kind === 'too-many') {
    const text = 'Your IP is issuing too many concurrent connections, please rate limit your calls\n'
    request.socket.end(`HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`)
    return
  }
  const stream = request.url?.startsWith('/v1/event/stream') === true
  if (stream && fault?.kind === 'silent') {
    response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache', 'Connection': 'close' }).flushHeaders()
    return
  }
  const asked = http.request({ host: upstream.split(':')[0], port: upstream.split(':')[1], path: request.url, method: request.method, headers: request.headers, agent: false })
  response.once('close', () => { asked.destroy() })
  request.pipe(asked)
  const [real] = await once(asked, 'response') as [IncomingMessage]
  const head = headersOf(real, fault)
  if (stream) {
    streams.add(response)
    response.once('close', () => { streams.delete(response) })
    response.writeHead(real.statusCode ?? 502, head)
    response.flushHeaders()
    real.on('error', () => { response.destroy() }).pipe(response)
    return
  }
  const chunks: Buffer[] = []
  for await (const chunk of real) chunks.push(chunk as Buffer)
  const body = bodyOf(Buffer.concat(chunks), fault)
  response.writeHead(real.statusCode ?? 502, { ...head, 'Content-Length': body.length })
  if (fault?.kind === 'cut') response.write(body.subarray(0, body.length / 2), () => { response.destroy() })
  else if (fault?.kind === 'slow') later(() => { response.end(body) }, fault.ms)
  else if (fault?.kind === 'trickle') trickle(response, body, fault.everyMs)
  else response.end(body)
}

function headersOf({ headers }: IncomingMessage, fault: Fault | undefined): http.OutgoingHttpHeaders {
  const { 'content-length': _, 'transfer-encoding': __, connection: ___, ...kept } = headers
  if (fault?.kind === 'no-leader' && kept['x-nomad-knownleader'] !== undefined) return { ...kept, 'x-nomad-knownleader': 'false', 'x-nomad-lastcontact': '9223372036854' }
  const index = kept['x-nomad-index']
  return fault?.kind === 'index' && typeof index === 'string' ? { ...kept, 'x-nomad-index': String(fault.index(Number(index))) } : kept
}

function bodyOf(real: Buffer, fault: Fault | undefined): Buffer {
  if (fault?.kind === 'garbage') return Buffer.from(fault.body ?? '[{"Namespace":"default","Services":')
  if ((fault?.kind === 'body' || fault?.kind === 'no-leader') && fault.body !== undefined) return Buffer.from(fault.body)
  return real
}

function trickle(response: ServerResponse, body: Buffer, everyMs: number): void {
  let at = 0
  const next = (): void => {
    if (response.destroyed) return
    if (at >= body.length) {
      response.end()
      return
    }
    response.write(body.subarray(at, ++at))
    later(next, everyMs)
  }
  next()
}
