// The connections of one endpoint in one worker: idle ones, their limits, and the queue of those that wait for one.
import { isIP } from 'node:net'
import type { Dialer, Origin } from './dial.ts'
import { serverNameFor } from './dial.ts'
import { UpstreamConnection, type ConnectionContext, type Home } from './connection.ts'
import type { ResponseSink, UpstreamStream } from './stream.ts'

/** What pools of a worker share. */
export interface UpstreamContext extends ConnectionContext {
  readonly dialer: Dialer
  /** Of one endpoint, in one worker. */
  readonly limits: { readonly connections: number; readonly idle: number; readonly queue: number }
}

/** Something that waits until the endpoint has a connection to spare. */
export interface Waiter {
  /** Try again now. */
  retry(): void
}

/**
 * How far an idle connection is to be trusted, for the upstream may just be closing it: `any`; `recent`, for a request that must
 * not be repeated; `new`: only one that is opened for the request.
 */
export type Trust = 'any' | 'recent' | 'new'

/** The connections of one endpoint, whatever it speaks. */
export interface EndpointPool {
  /** Connections that are open or being opened. */
  readonly open: number
  /** Connections that wait for a request. */
  readonly idle: number
  /** Exchanges that wait for a connection. */
  readonly waiting: number
  /**
   * For a request to `host`: an attempt that is `ready` or waits for its connection (the sink hears `connected` or `upstreamFailed`),
   * `queued` (the waiter is told when to ask again) or `full`.
   */
  acquire(sink: ResponseSink, waiter: Waiter, trust: Trust, host: string): UpstreamStream | 'queued' | 'full'
  /** Takes a waiter out of the queue. */
  leaveQueue(waiter: Waiter): void
  /** No service names the endpoint any more: idle connections end, busy ones when their exchanges do. */
  retire(): void
}

/** What `recent` means. */
const RECENT_MS = 1000

export class Pool implements EndpointPool, Home {
  open = 0
  readonly #context: UpstreamContext
  readonly #origin: Origin
  /** The most recently used last: it is the warmest. */
  readonly #idle: UpstreamConnection[] = []
  readonly #waiters = new Set<Waiter>()
  readonly #named: boolean
  #retired = false

  constructor(context: UpstreamContext, origin: Origin) {
    this.#context = context
    this.#origin = origin
    this.#named = isIP(origin.host) === 0
  }

  get idle(): number {
    return this.#idle.length
  }

  get waiting(): number {
    return this.#waiters.size
  }

  acquire(sink: ResponseSink, waiter: Waiter, trust: Trust, host: string): UpstreamConnection | 'queued' | 'full' {
    const serverName = serverNameFor(this.#origin, host)
    const idle = trust === 'new' ? undefined : this.#takeIdle(serverName, trust)
    if (idle !== undefined) return idle
    const { connections, queue } = this.#context.limits
    // An idle one that does not do is in the way: the coldest has to go.
    if (this.open >= connections) this.#idle[0]?.close()
    if (this.open < connections) {
      this.open++
      return new UpstreamConnection(this.#context, this, this.#context.dialer.dial(this.#origin, serverName), serverName, sink)
    }
    if (this.#waiters.size >= queue) return 'full'
    this.#waiters.add(waiter)
    return 'queued'
  }

  leaveQueue(waiter: Waiter): void {
    this.#waiters.delete(waiter)
  }

  giveBack(connection: UpstreamConnection): boolean {
    if (this.#retired || (this.#named && !this.#context.dialer.leadsTo(this.#origin, connection.wire.remoteAddress))) return false
    if (this.#waiters.size === 0 && this.#idle.length >= this.#context.limits.idle) return false
    this.#idle.push(connection)
    this.#wakeOne()
    return true
  }

  left(connection: UpstreamConnection): void {
    this.open--
    const at = this.#idle.indexOf(connection)
    if (at >= 0) this.#idle.splice(at, 1)
    this.#wakeOne()
  }

  retire(): void {
    this.#retired = true
    while (this.#idle.length > 0) this.#idle.pop()!.close()
  }

  /** The warmest that was verified for this name, and is not too old. */
  #takeIdle(serverName: string, trust: Trust): UpstreamConnection | undefined {
    for (let at = this.#idle.length - 1; at >= 0; at--) {
      const connection = this.#idle[at]!
      if (connection.serverName !== serverName) continue
      if (trust === 'recent' && !connection.freshFor(RECENT_MS)) return undefined // those below are older still
      this.#idle.splice(at, 1)
      return connection
    }
    return undefined
  }

  #wakeOne(): void {
    const [waiter] = this.#waiters
    if (waiter === undefined) return
    this.#waiters.delete(waiter)
    waiter.retry()
  }
}
