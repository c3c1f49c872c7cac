// The HTTP/2 connections of one endpoint in one worker: as few as there is room in, their limits, and the queue of those that wait.
import { isIP } from 'node:net'
import type { Outboxes } from '#src/io/outbox.ts'
import { serverNameFor, type Origin } from './dial.ts'
import { Http2Connection, STREAMS, type Http2Home } from './http2-connection.ts'
import type { EndpointPool, Trust, UpstreamContext, Waiter } from './pool.ts'
import type { ResponseSink, UpstreamStream } from './stream.ts'

export class Http2Pool implements EndpointPool, Http2Home {
  readonly #context: UpstreamContext
  readonly #outboxes: Outboxes
  readonly #origin: Origin
  /** Those that take attempts. */
  readonly #connections: Http2Connection[] = []
  readonly #waiters = new Set<Waiter>()
  readonly #named: boolean
  /** Attempts at once that a connection is expected to take: what the last one said. */
  #streams = STREAMS
  #retired = false

  constructor(context: UpstreamContext, outboxes: Outboxes, origin: Origin) {
    this.#context = context
    this.#outboxes = outboxes
    this.#origin = origin
    this.#named = isIP(origin.host) === 0
  }

  get open(): number {
    return this.#connections.length
  }

  get idle(): number {
    return this.#connections.reduce((count, { load }) => count + (load === 0 ? 1 : 0), 0)
  }

  get waiting(): number {
    return this.#waiters.size
  }

  acquire(sink: ResponseSink, waiter: Waiter, trust: Trust, host: string): UpstreamStream | 'queued' | 'full' {
    const serverName = serverNameFor(this.#origin, host)
    const found = trust === 'new' ? undefined : this.#connections.find((each) => each.serverName === serverName && each.hasRoom)
    if (found !== undefined) return found.attempt(sink, waiter)
    const { connections, queue } = this.#context.limits
    if (this.#connections.length >= connections) this.#connections.find(({ load }) => load === 0)?.retire()
    if (this.#connections.length < connections && !this.#retired) return this.#dial(serverName).attempt(sink, waiter)
    if (this.#waiters.size >= queue) return 'full'
    this.#waiters.add(waiter)
    return 'queued'
  }

  #dial(serverName: string): Http2Connection {
    const context = this.#context
    const connection = new Http2Connection(context, this.#outboxes, this, context.dialer.dial(this.#origin, serverName), serverName, this.#streams)
    this.#connections.push(connection)
    return connection
  }

  leaveQueue(waiter: Waiter): void {
    this.#waiters.delete(waiter)
  }

  told(streams: number): void {
    this.#streams = Math.max(1, streams)
  }

  roomIn(connection: Http2Connection): void {
    if (this.#named && connection.load === 0 && !this.#context.dialer.leadsTo(this.#origin, connection.remoteAddress)) return connection.retire()
    this.#wake()
  }

  left(connection: Http2Connection): void {
    const at = this.#connections.indexOf(connection)
    if (at >= 0) this.#connections.splice(at, 1)
    this.#wake()
  }

  retire(): void {
    this.#retired = true
    for (const connection of [...this.#connections]) connection.retire()
  }

  /** Wakes as many as there may be room for, each at most once: one that waits for a connection to another server name queues again. */
  #wake(): void {
    for (let left = this.#waiters.size; left > 0 && this.#mayTake; left--) {
      const [waiter] = this.#waiters
      if (waiter === undefined) return
      this.#waiters.delete(waiter)
      waiter.retry()
    }
  }

  get #mayTake(): boolean {
    return (this.#connections.length < this.#context.limits.connections && !this.#retired) || this.#connections.some(({ hasRoom }) => hasRoom)
  }
}
