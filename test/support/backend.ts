// A raw HTTP/1.1 backend that records every byte it receives and answers, byte for byte, what the test tells it to.
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { CutError, Inbox } from './inbox.ts'
import type { Ending } from './inbox.ts'
import { declaredFraming, readBody, readHead } from './message.ts'
import type { Body, Head } from './message.ts'
import { DEADLINE_MS, within } from './until.ts'

export interface RequestHead extends Head {
  readonly method: string
  readonly target: string
  /** 0 for the first request of its connection. */
  readonly index: number
}

export interface BackendRequest extends RequestHead, Body {}

export interface BackendOptions {
  /** The same bytes for every request. The default says 200 with the text `ok`. */
  readonly respond?: string | Buffer
  /** Called with each whole request; answers through the connection, or does not. Requests of one connection come one after another. */
  readonly onRequest?: (request: BackendRequest, connection: BackendConnection) => void | Promise<void>
  /** Called as soon as a head is there; true: the test has taken over, the body is left to it. */
  readonly onHead?: (request: RequestHead, connection: BackendConnection) => boolean | Promise<boolean>
  /** Called with each accepted connection, for example to close it at once. */
  readonly onConnection?: (connection: BackendConnection) => void | Promise<void>
  /** False: bytes and bodies are counted, not kept. */
  readonly record?: boolean
  readonly host?: string
  /** A fixed port, only for a backend that comes back where another has been. */
  readonly port?: number
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok'

/** One accepted connection. */
export class BackendConnection {
  readonly #inbox: Inbox
  readonly socket: Socket
  readonly requests: BackendRequest[] = []

  constructor(socket: Socket, record: boolean) {
    this.socket = socket
    this.#inbox = new Inbox(socket, { deadlineMs: DEADLINE_MS, record })
  }

  /** Writes bytes (strings as latin1); resolves when the peer's kernel or ours has taken them. */
  async send(bytes: string | Buffer): Promise<void> {
    const raw = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
    if (this.socket.destroyed || this.socket.write(raw)) return
    await Promise.race([once(this.socket, 'drain'), this.#inbox.ended])
  }

  /** Ends our direction (FIN). */
  end(): void {
    this.socket.end()
  }

  /** Cuts the connection with a reset. */
  reset(): void {
    // Node keeps a socket for ever that is reset after it has sent its FIN.
    if (this.socket.writableEnded) this.socket.destroy()
    else this.socket.resetAndDestroy()
  }

  /** Stops reading, so that the peer feels back-pressure. */
  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  /** How the peer ended the connection; fails at the deadline. */
  get closed(): Promise<Ending> {
    return this.#inbox.closed()
  }

  /** Every byte received on this connection. */
  get bytes(): Buffer {
    return this.#inbox.bytes
  }

  get received(): number {
    return this.#inbox.received
  }

  /** The bytes that no request has taken yet: what follows an upgrade or a head that the test took over. */
  get inbox(): Inbox {
    return this.#inbox
  }
}

/** A listening backend. */
export interface Backend extends AsyncDisposable {
  readonly port: number
  /** `127.0.0.1:port`, as services files write it. */
  readonly address: string
  readonly connections: readonly BackendConnection[]
  /** Whole requests of all connections, in the order in which they were complete. */
  readonly requests: readonly BackendRequest[]
  /** Every byte received, connection by connection. */
  readonly bytes: Buffer
  /** What went wrong in reading (malformed chunks, scripts that threw); a request cut short is none. */
  readonly errors: readonly unknown[]
  /** Stops listening and cuts every connection: the backend dies. */
  kill(): Promise<void>
}

/** Starts a backend on a free port of 127.0.0.1. */
export async function startBackend(options: BackendOptions = {}): Promise<Backend> {
  const { record = true, host = '127.0.0.1' } = options
  const connections: BackendConnection[] = []
  const requests: BackendRequest[] = []
  const errors: unknown[] = []
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const connection = new BackendConnection(socket, record)
    connections.push(connection)
    serve(connection, options, requests).catch((error: unknown) => {
      if (!(error instanceof CutError)) errors.push(error)
      if (!socket.destroyed) socket.end()
    })
  })
  server.listen(options.port ?? 0, host)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const kill = async (): Promise<void> => {
    for (const connection of connections) connection.reset()
    if (!server.listening) return
    server.close()
    await within(once(server, 'close'), DEADLINE_MS, () => `the backend on port ${port} closing`)
  }
  return {
    port,
    address: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
    connections,
    requests,
    get bytes() { return Buffer.concat(connections.map((each) => each.bytes)) },
    errors,
    kill,
    [Symbol.asyncDispose]: kill,
  }
}

async function serve(connection: BackendConnection, options: BackendOptions, requests: BackendRequest[]): Promise<void> {
  const { onConnection, onHead, onRequest, respond = OK, record = true } = options
  await onConnection?.(connection)
  for (let index = 0; await connection.inbox.hasMore(); index++) {
    const head = await readHead(connection.inbox, 'a request head')
    const [method = '', target = ''] = head.startLine.split(' ')
    const requestHead = { ...head, method, target, index }
    if (await onHead?.(requestHead, connection) === true) return
    const body = await readBody(connection.inbox, declaredFraming(head.headers) ?? 0, record)
    const request = Object.assign(body, requestHead)
    connection.requests.push(request)
    requests.push(request)
    if (onRequest === undefined) await connection.send(respond)
    else await onRequest(request, connection)
  }
  connection.end()
}
