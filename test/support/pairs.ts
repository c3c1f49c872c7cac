// Both sides of a proxy in either protocol behind one face: a client that asks over HTTP/1.1 or HTTP/2, a backend that answers so.
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { within } from './until.ts'

export type Protocol = 'h1' | 'h2'

export interface Ask {
  readonly method?: string
  readonly path?: string
  readonly host?: string
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  /** In these pieces, each once the one before it was taken. */
  readonly body?: readonly Buffer[]
  readonly trailers?: Readonly<Record<string, string>>
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: Buffer
  readonly trailers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** Statuses of 1xx that came before. */
  readonly interim: readonly number[]
}

/** A request that runs: what came of it, and the stream itself for tests that read or cut it themselves. */
export interface Running {
  /** The whole answer; rejects when it is cut. To be asked for once, and not beside `opened`. */
  readonly answer: Promise<Answer>
  /** Once the head is there: the body, to be read, and the request, to be written. */
  readonly opened: Promise<{ readonly status: number; readonly readable: NodeJS.ReadableStream & { destroy(): void } }>
  /** The client goes away. */
  abort(): void
}

export interface PairClient extends AsyncDisposable {
  ask(ask: Ask): Running
}

const TIME_MS = 20_000

/** A client of a port of 127.0.0.1. Over HTTP/2 all its requests share one connection. */
export function startClient(protocol: Protocol, port: number): PairClient {
  return protocol === 'h1' ? oldClient(port) : newClient(port)
}

function oldClient(port: number): PairClient {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1000 })
  return {
    ask({ method = 'GET', path = '/', host = 'web.example.org', headers = {}, body, trailers = {} }) {
      const request = http.request({ port, host: '127.0.0.1', agent, method, path, headers: { host, ...(Object.keys(trailers).length > 0 ? { trailer: Object.keys(trailers).join(', ') } : {}), ...headers } as http.OutgoingHttpHeaders })
      const interim: number[] = []
      request.on('error', () => undefined)
      request.on('information', ({ statusCode }) => interim.push(statusCode))
      const response = once(request, 'response').then(([message]) => message as http.IncomingMessage)
      const answer = (): Promise<Answer> => response.then(async (message) => {
        const parts: Buffer[] = []
        for await (const part of message) parts.push(part as Buffer)
        if (!message.complete) throw new Error('cut')
        return { status: message.statusCode ?? 0, headers: message.headers, body: Buffer.concat(parts), trailers: message.trailers, interim }
      })
      response.catch(() => undefined)
      void pour(request, body, () => { if (Object.keys(trailers).length > 0) request.addTrailers(trailers) })
      const opened = response.then((message) => ({ status: message.statusCode ?? 0, readable: message }))
      opened.catch(() => undefined)
      return { get answer() { return within(answer(), TIME_MS, () => `${method} ${path} over h1`) }, opened, abort: () => void request.destroy() }
    },
    async [Symbol.asyncDispose]() {
      agent.destroy()
    },
  }
}

function newClient(port: number): PairClient {
  const session = http2.connect(`http://127.0.0.1:${port}`, { maxSessionMemory: 1000 })
  session.on('error', () => undefined)
  return {
    ask({ method = 'GET', path = '/', host = 'web.example.org', headers = {}, body, trailers = {} }) {
      const own = Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'transfer-encoding'))
      const withTrailers = Object.keys(trailers).length > 0
      const request = session.request({ ':method': method, ':path': path, ':authority': host, ...own }, { endStream: body === undefined, waitForTrailers: withTrailers })
      request.on('error', () => undefined)
      if (withTrailers) request.on('wantTrailers', () => request.sendTrailers(trailers))
      const interim: number[] = []
      request.on('headers', (head) => interim.push(Number(head[':status'])))
      const closed = once(request, 'close').then((): never => { throw new Error(`closed with ${request.rstCode}`) })
      closed.catch(() => undefined)
      const response = Promise.race([once(request, 'response'), closed]).then(([head]) => head as http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader)
      let end: http2.IncomingHttpHeaders = {}
      request.on('trailers', (head) => { end = head })
      const answer = (): Promise<Answer> => response.then(async (head) => {
        const parts: Buffer[] = []
        for await (const part of request) parts.push(part as Buffer)
        if (request.rstCode !== 0) throw new Error(`cut with ${request.rstCode}`)
        return { status: Number(head[':status']), headers: head, body: Buffer.concat(parts), trailers: end, interim }
      })
      response.catch(() => undefined)
      const opened = response.then((head) => ({ status: Number(head[':status']), readable: request }))
      opened.catch(() => undefined)
      void pour(request, body, () => undefined)
      return { get answer() { return within(answer(), TIME_MS, () => `${method} ${path} over h2`) }, opened, abort: () => request.close(http2.constants.NGHTTP2_CANCEL) }
    },
    async [Symbol.asyncDispose]() {
      session.destroy()
    },
  }
}

async function pour(request: NodeJS.WritableStream & { readonly destroyed?: boolean }, body: readonly Buffer[] | undefined, last: () => void): Promise<void> {
  for (const piece of body ?? []) {
    if (request.destroyed === true) return
    if (!request.write(piece)) await Promise.race([once(request, 'drain'), once(request, 'close')]).catch(() => undefined)
  }
  last()
  if (!(request instanceof Duplex) || body !== undefined) request.end()
}

/** A request as a backend sees it, whatever it came by; what is the same in node:http and in node:http2's compatible interface. */
export type BackendRequest = http.IncomingMessage | http2.Http2ServerRequest
export type BackendResponse = NodeJS.WritableStream & {
  end(text?: string | Buffer): unknown
  writeHead(status: number, headers?: Readonly<Record<string, string | readonly string[]>>): unknown
  setHeader(name: string, value: string): unknown
  addTrailers(trailers: Readonly<Record<string, string>>): void
  writeEarlyHints(hints: Readonly<Record<string, string>>): void
  destroy(): unknown
  readonly socket: { destroy(): unknown } | null
}

export interface PairBackend extends AsyncDisposable {
  readonly address: string
  /** Connections so far. */
  readonly connections: number
  readonly requests: number
  /** Cuts every connection. */
  cut(): void
}

export async function startPairBackend(protocol: Protocol, handler: (request: BackendRequest, response: BackendResponse) => void | Promise<void>): Promise<PairBackend> {
  const sockets = new Set<Socket>()
  let connections = 0
  let requests = 0
  const count = (request: BackendRequest, response: BackendResponse): void => {
    requests++
    request.on('error', () => undefined)
    response.on('error', () => undefined)
    Promise.resolve(handler(request, response)).catch(() => response.destroy()) // most likely the request was cut
  }
  const server = protocol === 'h1' ? http.createServer(count as unknown as http.RequestListener) : http2.createServer({ maxSessionMemory: 1000 }, count as unknown as (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => void)
  server.on('connection', (socket: Socket) => {
    connections++
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
  })
  server.on('sessionError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    address: `127.0.0.1:${port}`,
    get connections() { return connections },
    get requests() { return requests },
    cut,
    async [Symbol.asyncDispose]() {
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}

/** All of a request's body. */
export async function bodyOf(request: BackendRequest): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts)
}
