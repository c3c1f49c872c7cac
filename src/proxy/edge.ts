// The clients of one worker: its listeners, their limits, and how it all ends.
import type { DataPlaneSettings, ListenerSettings } from '#src/snapshot.ts'
import type { DownstreamContext } from '#src/downstream/context.ts'
import { LENT_WINDOW } from '#src/downstream/http2.ts'
import { Listener, type ListenerOptions, type ListenerTerms } from '#src/downstream/listener.ts'
import { WindowLoans } from '#src/http2/receive-window.ts'
import type { ReadBuffers } from '#src/io/read-buffer.ts'
import { MAX_LISTENERS, workerCounters } from '#src/observe/counters.ts'
import type { HandshakeFailure } from '#src/messages.ts'
import type { Contexts } from '#src/tls/contexts.ts'
import { Exchange } from './exchange.ts'
import { blockList, type Plane } from './plane.ts'
import { refusedRecord } from './refused.ts'

export interface EdgeOptions {
  readonly plane: Plane
  readonly buffers: ReadBuffers
  readonly counters: Float64Array
  readonly contexts: Contexts
  boundaryError(error: unknown): void
  /** A client did not get as far as HTTP, and the settings want to know. */
  handshakeFailed(failure: HandshakeFailure): void
}

/** The part of a connection's context that a reload changes. */
const clientTerms = ({ client, tunnel, limits, via }: DataPlaneSettings): Pick<DownstreamContext, 'headMs' | 'bodyMs' | 'keepAliveMs' | 'tunnelIdleMs' | 'headBytes' | 'limits'> =>
  ({ ...client, tunnelIdleMs: tunnel.idleMs, headBytes: limits.headBytes, limits: { headers: limits.headers, via } })

const termsOf = (settings: ListenerSettings, { tls }: DataPlaneSettings): ListenerTerms =>
  ({ settings, balancers: settings.proxyProtocol.length === 0 ? null : blockList(settings.proxyProtocol), handshakeMs: tls.handshakeMs })

const addressOf = ({ host, port }: ListenerSettings): string => `${host} ${port}`

export class Edge {
  readonly #plane: Plane
  readonly #options: EdgeOptions
  readonly #active = new Map<string, Listener>()
  /** Listeners that take nothing new and still have connections. */
  readonly #leaving = new Set<Listener>()
  readonly #perAddress = new Map<string, number>()
  readonly #windowLoans = new WindowLoans(LENT_WINDOW)
  #open = 0
  /** One change of listeners after the other: two at once would both open what is new. */
  #changing: Promise<void> = Promise.resolve()
  #draining = false
  #emptied: (() => void) | null = null

  constructor(options: EdgeOptions) {
    this.#options = options
    this.#plane = options.plane
  }

  /**
   * Listens on these and no others; listeners that are there already keep their sockets, those that are no more wanted drain. Takes
   * the settings' other terms too. Rejects with the first error; those that could be bound stay.
   */
  listen(settings: DataPlaneSettings, reusePort: boolean): Promise<void> {
    const changed = this.#changing.then(() => this.#change(settings, reusePort))
    this.#changing = changed.catch(() => undefined)
    return changed
  }

  async #change(settings: DataPlaneSettings, reusePort: boolean): Promise<void> {
    if (this.#draining) return
    const terms = clientTerms(settings)
    for (const listener of [...this.#active.values(), ...this.#leaving]) Object.assign(listener.context, terms)
    const wanted = new Set(settings.listeners.map(addressOf))
    for (const [address, listener] of this.#active) {
      if (wanted.has(address)) continue
      this.#active.delete(address)
      listener.index = MAX_LISTENERS // whoever takes its place is counted there alone
      this.#leaving.add(listener)
      void listener.drain(Number.POSITIVE_INFINITY).then(() => this.#forgetEmpty(listener))
    }
    const opened = await Promise.allSettled(settings.listeners.map(async (each, index) => {
      const address = addressOf(each)
      const there = this.#active.get(address)
      if (there === undefined) this.#active.set(address, await this.#listen(each, index, settings, reusePort))
      else {
        there.index = index
        there.take(termsOf(each, settings))
      }
    }))
    this.#recount()
    for (const result of opened) if (result.status === 'rejected') throw result.reason
  }

  #listen(settings: ListenerSettings, index: number, all: DataPlaneSettings, reusePort: boolean): Promise<Listener> {
    const plane = this.#plane
    const { buffers, boundaryError } = this.#options
    const context: ListenerOptions['context'] = {
      buffers,
      deadlines: plane.deadlines,
      outboxes: plane.outboxes,
      windowLoans: this.#windowLoans,
      boundaryError,
      ...clientTerms(all),
      handle: (stream, head, bytes, from, to, end, trailers) => {
        const exchange = new Exchange(plane, stream, head)
        try {
          exchange.start(bytes, from, to, end, trailers)
        } catch (error) {
          exchange.clientGone('internal_error') // or it would be counted as running for ever; the boundary ends the connection
          throw error
        }
        return exchange
      },
      refused: (peer, fault) => refusedRecord(plane, peer, fault),
    }
    return Listener.open({
      terms: termsOf(settings, all), index, reusePort, context, boundaryError,
      tls: {
        find: (serverName) => plane.identities.find(serverName),
        contextOf: (identity) => this.#options.contexts.of(identity),
        get policies() { return plane.identities.policies },
      },
      admit: (address, balancer) => this.#admit(address, balancer),
      readdress: (from, to) => this.#readdress(from, to),
      completed: (resumed) => plane.count(resumed ? 'tls_resumed_total' : 'tls_full_total', 1),
      failed: (listener, reason, address, serverName, detail) => {
        plane.count(`tls_failed_${reason}_total`, 1)
        if (plane.settings.tls.tellFailures) this.#options.handshakeFailed({ listener: listener.name, address, serverName, reason, detail })
      },
      isTrusted: (address) => this.#isTrusted(address),
      accepted: (listener, address) => this.#accepted(listener, address),
      closed: (listener, address) => this.#closed(listener, address),
    })
  }

  /**
   * Takes nothing new, lets what runs finish, and resolves when it has, or at the deadline: then what is left is cut.
   * Tunnels have no end of their own: they are closed at the deadline too.
   */
  async drain(deadlineMs: number): Promise<void> {
    this.#draining = true
    await this.#changing
    await Promise.all([...this.#active.values()].map((listener) => listener.drain(deadlineMs)))
    if (this.#open === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, deadlineMs)
      this.#emptied = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    for (const listener of [...this.#active.values(), ...this.#leaving]) listener.cut()
  }

  #isTrusted(address: string): boolean {
    if (this.#plane.settings.trustedPeers.length === 0) return false
    return this.#plane.trusted.check(address, address.includes(':') ? 'ipv6' : 'ipv4')
  }

  #admit(address: string, balancer: boolean): boolean {
    const { limits } = this.#plane.settings
    const fromThere = limits.connectionsPerAddress === 0 || balancer ? -1 : (this.#perAddress.get(address) ?? 0)
    if (this.#open < limits.connections && fromThere < limits.connectionsPerAddress) return true
    this.#plane.count('connections_refused_total', 1)
    return false
  }

  #readdress(from: string, to: string): boolean {
    const limit = this.#plane.settings.limits.connectionsPerAddress
    if (limit > 0 && (this.#perAddress.get(to) ?? 0) >= limit) {
      this.#plane.count('connections_refused_total', 1)
      return false
    }
    this.#oneLess(from)
    this.#oneMore(to)
    return true
  }

  // Counted whatever the limit is now: a reload may set one.
  #oneMore(address: string): void {
    this.#perAddress.set(address, (this.#perAddress.get(address) ?? 0) + 1)
  }

  #oneLess(address: string): void {
    const open = this.#perAddress.get(address)
    if (open === 1) this.#perAddress.delete(address)
    else if (open !== undefined) this.#perAddress.set(address, open - 1)
  }

  #accepted(listener: Listener, address: string): void {
    this.#oneMore(address)
    this.#plane.count('connections_accepted_total', 1)
    this.#count(listener, 1)
  }

  #closed(listener: Listener, address: string): void {
    this.#oneLess(address)
    this.#count(listener, -1)
    this.#forgetEmpty(listener)
    if (this.#open === 0) this.#emptied?.()
  }

  #forgetEmpty(listener: Listener): void {
    if (listener.size === 0) this.#leaving.delete(listener)
  }

  #count(listener: Listener, change: number): void {
    this.#open += change
    this.#options.counters[cellOf(listener)]! += change
  }

  /** Places may have changed: each listener's connections are counted where it now stands. */
  #recount(): void {
    const { counters } = this.#options
    counters.fill(0, workerCounters.length, workerCounters.length + MAX_LISTENERS)
    for (const listener of [...this.#active.values(), ...this.#leaving]) counters[cellOf(listener)]! += listener.size
  }
}

const cellOf = ({ index }: Listener): number => workerCounters.length + Math.min(index, MAX_LISTENERS - 1)
