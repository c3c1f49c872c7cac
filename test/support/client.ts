// A raw TCP client: sends the bytes it is given and reads the answers, with a deadline on everything.
import { connect as connectSocket } from 'node:net'
import type { Socket } from 'node:net'
import { once } from 'node:events'
import { Inbox } from './inbox.ts'
import type { Ending } from './inbox.ts'
import { declaredFraming, readBody, readHead } from './message.ts'
import type { Body, Head } from './message.ts'
import { DEADLINE_MS, within } from './until.ts'

export interface ResponseHead extends Head {
  readonly status: number
  readonly reason: string
}

export interface Response extends ResponseHead, Body {
  /** The 1xx responses that came before. */
  readonly interim: readonly ResponseHead[]
}

export interface ClientOptions {
  readonly host?: string
  /** Of every single wait, in milliseconds. */
  readonly deadline?: number
  /** False: what was received is not kept, for bodies of many megabytes. */
  readonly record?: boolean
  /** The client's own address, for example 127.0.0.2. */
  readonly localAddress?: string
}

/** One connection of a client. */
export class Client implements AsyncDisposable {
  readonly #inbox: Inbox
  readonly #deadlineMs: number
  /** For what this class does not offer: pausing, addresses. */
  readonly socket: Socket

  constructor(socket: Socket, deadlineMs: number, record: boolean) {
    this.socket = socket
    this.#deadlineMs = deadlineMs
    this.#inbox = new Inbox(socket, { deadlineMs, record })
  }

  /** Writes bytes (strings as latin1) and does not wait; false when the kernel's buffer is full. */
  send(bytes: string | Buffer): boolean {
    return this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** Writes bytes and waits until the kernel has taken them. */
  async sendAll(bytes: string | Buffer): Promise<void> {
    if (!this.send(bytes)) await within(once(this.socket, 'drain'), this.#deadlineMs, () => 'the peer reading what was sent')
  }

  /** Sends a GET of `target` at `host`, ready to be followed by `receiveResponse`. */
  get(target: string, host: string, ...fields: string[]): void {
    this.send([`GET ${target} HTTP/1.1`, `Host: ${host}`, ...fields, '', ''].join('\r\n'))
  }

  /** The next response head, 1xx ones too; its body is left unread. */
  async receiveHead(): Promise<ResponseHead> {
    const head = await readHead(this.#inbox, 'a response head')
    const [, status, reason = ''] = /^HTTP\/\d\.\d (\d{3})(?: (.*))?$/.exec(head.startLine) ?? []
    if (status === undefined) throw new Error(`not a status line: ${JSON.stringify(head.startLine)}; ${this.#inbox.describe()}`)
    return { ...head, status: Number(status), reason }
  }

  /** The next final response, whole; `to: 'HEAD'` expects no body, `keep: false` counts the body without keeping it. A cut body throws CutError. */
  async receiveResponse({ to = 'GET', keep = true }: { readonly to?: string; readonly keep?: boolean } = {}): Promise<Response> {
    const interim: ResponseHead[] = []
    let head = await this.receiveHead()
    for (; head.status < 200 && head.status !== 101; head = await this.receiveHead()) interim.push(head)
    const bodiless = to === 'HEAD' || head.status === 101 || head.status === 204 || head.status === 304
    const body = await readBody(this.#inbox, bodiless ? 0 : declaredFraming(head.headers) ?? 'close', keep)
    return Object.assign(body, head, { interim })
  }

  /** Exactly `count` further bytes. */
  receiveBytes(count: number): Promise<Buffer> {
    return this.#inbox.take(count, `${count} bytes`)
  }

  /** Reads `count` bytes and keeps none. */
  skipBytes(count: number): Promise<void> {
    return this.#inbox.skip(count, `${count} bytes`)
  }

  /** Everything unread, up to the end of the connection. */
  receiveUntilClose(): Promise<Buffer> {
    return this.#inbox.takeAll()
  }

  /** How the peer ended the connection. */
  get closed(): Promise<Ending> {
    return this.#inbox.closed()
  }

  /** Every byte received so far, read or not. */
  get bytes(): Buffer {
    return this.#inbox.bytes
  }

  /** Count of the bytes received so far. */
  get received(): number {
    return this.#inbox.received
  }

  /** Ends our direction (FIN); the answer can still be read. */
  end(): void {
    this.socket.end()
  }

  /** Cuts the connection with a reset. */
  reset(): void {
    this.socket.resetAndDestroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.socket.closed) return
    this.socket.destroy()
    await once(this.socket, 'close')
  }
}

/** Opens a connection to a port of 127.0.0.1, unless `host` says otherwise. */
export async function connect(port: number, options: ClientOptions = {}): Promise<Client> {
  const { host = '127.0.0.1', deadline = DEADLINE_MS, record = true, localAddress } = options
  const socket = connectSocket({ host, port, allowHalfOpen: true, noDelay: true, ...(localAddress === undefined ? {} : { localAddress }) })
  await within(once(socket, 'connect'), deadline, () => `a connection to ${host}:${port}`)
  return new Client(socket, deadline, record)
}

/** One GET on a connection of its own. */
export async function get(port: number, target: string, host: string, ...fields: string[]): Promise<Response> {
  await using client = await connect(port)
  client.get(target, host, ...fields)
  return await client.receiveResponse()
}
