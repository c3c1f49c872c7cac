// A bound address of one worker, warming → active → draining: accepts connections within limits, and closes without resetting those that wait.
import net, { type BlockList } from 'node:net'
import type { ListenerSettings } from '#src/snapshot.ts'
import { Roster } from '#src/io/roster.ts'
import type { TcpHandle } from '#src/io/wire.ts'
import type { HandshakeFailureReason } from '#src/observe/counters.ts'
import { Arrival, type ArrivalOptions, type TlsIdentities } from './arrival.ts'
import type { ClientConnection } from './client-connection.ts'
import type { DownstreamContext } from './context.ts'
import { serveConnection } from './protocols.ts'
import { nothingTold, type Peer } from './stream.ts'

/** What a listener's connections share; a reload writes new values into it. */
export type ListenerContext = { -readonly [Key in keyof DownstreamContext]: DownstreamContext[Key] }

/** How a listener takes connections; a reload may change it. */
export interface ListenerTerms {
  readonly settings: ListenerSettings
  /** Who sends a header of the PROXY protocol, and nobody else is let in; null: nobody does. */
  readonly balancers: BlockList | null
  readonly handshakeMs: number
}

export interface ListenerOptions {
  readonly terms: ListenerTerms
  /** Its place among the settings' listeners. */
  readonly index: number
  /** Each worker listens by itself, and the kernel spreads connections. */
  readonly reusePort: boolean
  readonly context: Omit<DownstreamContext, 'closed' | 'draining'>
  readonly tls: TlsIdentities
  /** Whether one more connection from this address may be taken; a balancer may have any number. */
  admit(address: string, balancer: boolean): boolean
  /** A balancer's connection is a client's; false: that one may have no more. */
  readdress(from: string, to: string): boolean
  completed(resumed: boolean): void
  failed(listener: Listener, reason: HandshakeFailureReason, address: string, serverName: string, detail: string): void
  isTrusted(address: string): boolean
  accepted(listener: Listener, address: string): void
  closed(listener: Listener, address: string): void
  boundaryError(error: unknown): void
}

/** Connections that may wait to be accepted. */
const BACKLOG = 4096
/** How long a listener may wait for a moment without new connections before it closes all the same. */
const QUIET_MS = 500
/** A turn of the loop this short was spent on nothing: a longer one leaves time for a connection to join the queue after the last look at it. */
const SHORT_TURN_MS = 0.2
/** A connection this young has a request on its way, most likely: it is not closed before it could ask. */
const FRESH_MS = 1000

/** What node:net keeps of a bound address (src/tcp_wrap.cc of Node). */
interface BoundHandle {
  onconnection: (error: number, handle: TcpHandle | undefined) => void
  setNoDelay(on: boolean): number
  close(): void
}

export class Listener {
  /** Its place among the settings' listeners; a reload may move it. */
  index: number
  #terms: ListenerTerms
  #arrivals: ArrivalOptions
  readonly context: ListenerContext
  readonly #server: net.Server
  readonly #options: ListenerOptions
  readonly #connections = new Roster<ClientConnection>()
  #accepts = 0

  /** Listens, or rejects with the system's error. */
  static async open(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options)
    const { host, port } = options.terms.settings
    await new Promise<void>((resolve, reject) => {
      listener.#server.once('error', reject)
      listener.#server.listen({ port, ...(host === '' ? {} : { host }), reusePort: options.reusePort, backlog: BACKLOG }, () => {
        listener.#server.removeListener('error', reject)
        listener.#server.on('error', (error) => options.boundaryError(error))
        listener.#takeConnections()
        resolve()
      })
    })
    return listener
  }

  private constructor(options: ListenerOptions) {
    this.#options = options
    this.index = options.index
    this.#terms = options.terms
    this.context = { ...options.context, draining: false, closed: (connection) => this.#closed(connection) }
    this.#arrivals = this.#arrivalOptions()
    this.#server = net.createServer()
  }

  /** How connections are taken from now on. */
  take(terms: ListenerTerms): void {
    this.#terms = terms
    this.#arrivals = this.#arrivalOptions()
  }

  /**
   * Connections are taken as bare handles: node:net would make a socket of each, and, since `onread` cannot be set on that one, we
   * another (bench/README.md: an eighth of a short connection's CPU).
   */
  #takeConnections(): void {
    const bound = this.#bound
    bound.setNoDelay(true) // what is accepted inherits it: a system call less for each
    bound.onconnection = (error, handle) => {
      if (error !== 0 || handle === undefined) return // without a descriptor left libuv closes what waits, and does not call (docs/operations.md)
      try {
        this.#accept(handle)
      } catch (thrown) {
        this.#options.boundaryError(thrown)
        handle.close()
      }
    }
  }

  get #bound(): BoundHandle {
    return (this.#server as unknown as { readonly _handle: BoundHandle })._handle
  }

  get name(): string {
    return this.#terms.settings.name
  }

  /** Open connections. */
  get size(): number {
    return this.#connections.size
  }

  #accept(handle: TcpHandle): void {
    this.#accepts++
    const remote: { address?: string } = {}
    if (handle.getpeername(remote) !== 0 || remote.address === undefined) return handle.close() // gone already
    const address = remote.address.startsWith('::ffff:') ? remote.address.slice(7) : remote.address
    const { settings: { port, tls, h2c }, balancers } = this.#terms
    if (balancers !== null && !balancers.check(address, address.includes(':') ? 'ipv6' : 'ipv4')) {
      this.#options.failed(this, 'proxy_header', address, '', 'not one of the balancers of this listener')
      return handle.close()
    }
    if (!this.#options.admit(address, balancers !== null)) return handle.close()
    const peer = this.#peer(address, port, this.context.deadlines.now)
    this.#connections.add(tls || h2c || balancers !== null ? new Arrival(this.#arrivals, handle, peer) : serveConnection('', this.context, handle, peer))
    this.#options.accepted(this, address)
  }

  #peer(address: string, localPort: number, since: number): Peer {
    const { tls, redirectPort } = this.#terms.settings
    return {
      address, trusted: this.#options.isTrusted(address), scheme: tls ? 'https' : 'http', localPort, since,
      tls: null, instead: redirectPort > 0 ? 'redirect' : '', redirectPort, told: nothingTold(),
    }
  }

  #arrivalOptions(): ArrivalOptions {
    const { settings, balancers, handshakeMs } = this.#terms
    const options = this.#options
    return {
      context: this.context,
      tls: settings.tls ? options.tls : null,
      proxied: balancers !== null,
      h2c: settings.h2c,
      handshakeMs,
      admit: (arrival, address, port) => address !== arrival.peer.address && !options.readdress(arrival.peer.address, address) ? false : this.#peer(address, port, arrival.peer.since),
      became: (arrival, connection) => {
        this.#connections.delete(arrival)
        this.#connections.add(connection)
      },
      completed: (resumed) => options.completed(resumed),
      failed: (reason, address, serverName, detail) => options.failed(this, reason, address, serverName, detail),
    }
  }

  #closed(connection: ClientConnection): void {
    if (this.#connections.delete(connection)) this.#options.closed(this, connection.peer.address)
  }

  /** Takes nothing new; every response now ends its connection, and idle ones end at once. Resolves when nothing new can come. */
  async drain(deadlineMs: number): Promise<void> {
    this.context.draining = true
    await this.#stopListening(Math.min(QUIET_MS, deadlineMs))
    for (const connection of this.#connections.all()) connection.drain?.()
    const { now } = this.context.deadlines
    for (const connection of this.#connections.all()) if (connection.idle && now - connection.peer.since >= FRESH_MS) connection.finish()
    if (this.#connections.size > 0) setTimeout(() => this.#finishIdle(), FRESH_MS).unref()
  }

  #finishIdle(): void {
    for (const connection of this.#connections.all()) if (connection.idle) connection.finish()
  }

  /** Ends every connection, whatever it is doing. */
  cut(): void {
    for (const connection of this.#connections.all()) connection.shut()
  }

  /**
   * Stops listening right after a short turn of the loop that accepted nothing: closing one of several sockets on a port resets what
   * its queue holds (measured: 99 of 200), and such a turn is one whose queue was empty a moment ago. Gives up waiting at `deadlineMs`.
   */
  async #stopListening(deadlineMs: number): Promise<void> {
    let now = performance.now()
    const until = now + deadlineMs
    for (let quiet = 0; quiet < 2 && now < until; ) {
      const accepts = this.#accepts
      const begun = now
      await new Promise((resolve) => setImmediate(resolve))
      now = performance.now()
      quiet = this.#accepts === accepts && now - begun <= SHORT_TURN_MS ? quiet + 1 : 0
    }
    // At once: what node:net does first, and for the first time here, takes longer than the rest of the turn.
    this.#bound.close()
    this.#server.close()
  }
}
