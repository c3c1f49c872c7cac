// The clients of one worker: its listeners, its connections, their limits, and how it all ends.
import type { DataPlaneSettings, ListenerSettings } from '#src/snapshot.ts'
import type { Http1Connection, DownstreamContext } from '#src/downstream/http1.ts'
import { Listener } from '#src/downstream/listener.ts'
import type { ReadBuffers } from '#src/io/read-buffer.ts'
import { MAX_LISTENERS, workerCounters } from '#src/observe/counters.ts'
import { Exchange } from './exchange.ts'
import type { Plane } from './plane.ts'
import { refusedRecord } from './refused.ts'

export interface EdgeOptions {
  readonly plane: Plane
  readonly buffers: ReadBuffers
  readonly counters: Float64Array
  boundaryError(error: unknown): void
}

/** The part of a connection's context that a reload changes. */
const clientTerms = ({ client, limits, via }: DataPlaneSettings): Pick<DownstreamContext, 'headMs' | 'bodyMs' | 'keepAliveMs' | 'headBytes' | 'limits'> =>
  ({ ...client, headBytes: limits.headBytes, limits: { headers: limits.headers, via } })

const addressOf = ({ host, port }: ListenerSettings): string => `${host} ${port}`

/** How long a listener may wait for a moment without new connections before it closes all the same. */
const QUIET_MS = 500

export class Edge {
  readonly #plane: Plane
  readonly #options: EdgeOptions
  readonly #connections = new Set<Http1Connection>()
  readonly #perAddress = new Map<string, number>()
  readonly #context: { -readonly [Key in keyof DownstreamContext]: DownstreamContext[Key] }
  readonly #listeners = new Map<string, Listener>()
  #emptied: (() => void) | null = null

  constructor(options: EdgeOptions) {
    const { plane } = options
    this.#options = options
    this.#plane = plane
    this.#context = {
      buffers: options.buffers,
      deadlines: plane.deadlines,
      boundaryError: options.boundaryError,
      ...clientTerms(plane.settings),
      draining: false,
      handle: (stream, head, bytes, from, to, end, trailers) => {
        const exchange = new Exchange(plane, stream, head)
        exchange.start(bytes, from, to, end, trailers)
        return exchange
      },
      refused: (peer, fault) => refusedRecord(plane, peer, fault),
      closed: (connection) => this.#closed(connection),
    }
  }

  /**
   * Listens on these and no others; listeners that are there already keep their sockets. Takes the settings' other terms too.
   * Rejects with the first error; those that could be bound stay.
   */
  async listen(settings: DataPlaneSettings, reusePort: boolean): Promise<void> {
    Object.assign(this.#context, clientTerms(settings))
    const wanted = new Set(settings.listeners.map(addressOf))
    for (const [address, listener] of this.#listeners) {
      if (wanted.has(address)) continue
      this.#listeners.delete(address)
      void listener.close(QUIET_MS)
    }
    await Promise.all(settings.listeners.map(async (listener, index) => {
      const address = addressOf(listener)
      if (this.#listeners.has(address)) return
      this.#listeners.set(address, await this.#open(listener, index, reusePort))
    }))
  }

  #open(settings: ListenerSettings, index: number, reusePort: boolean): Promise<Listener> {
    return Listener.open({
      settings,
      index,
      reusePort,
      context: this.#context,
      admit: (address, listener) => this.#admit(address, listener),
      isTrusted: (address) => this.#isTrusted(address),
      accepted: (connection) => this.#connections.add(connection),
      boundaryError: this.#options.boundaryError,
    })
  }

  /**
   * Takes nothing new, lets what runs finish, and resolves when it has, or at the deadline: then what is left is cut.
   * Tunnels have no end of their own: they are closed at the deadline too.
   */
  async drain(deadlineMs: number): Promise<void> {
    this.#context.draining = true
    await Promise.all([...this.#listeners.values()].map((listener) => listener.close(Math.min(QUIET_MS, deadlineMs))))
    for (const connection of [...this.#connections]) if (connection.idle) connection.finish()
    if (this.#connections.size === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, deadlineMs)
      this.#emptied = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    for (const connection of [...this.#connections]) connection.shut()
  }

  #isTrusted(address: string): boolean {
    if (this.#plane.settings.trustedPeers.length === 0) return false
    return this.#plane.trusted.check(address, address.includes(':') ? 'ipv6' : 'ipv4')
  }

  #admit(address: string, listener: number): boolean {
    const { limits } = this.#plane.settings
    const already = limits.connectionsPerAddress === 0 ? 0 : (this.#perAddress.get(address) ?? 0)
    if (this.#connections.size >= limits.connections || (limits.connectionsPerAddress > 0 && already >= limits.connectionsPerAddress)) {
      this.#plane.count('connections_refused_total', 1)
      return false
    }
    if (limits.connectionsPerAddress > 0) this.#perAddress.set(address, already + 1)
    this.#plane.count('connections_accepted_total', 1)
    this.#countOpen(listener, 1)
    return true
  }

  #closed(connection: Http1Connection): void {
    this.#connections.delete(connection)
    const { address, listener } = connection.peer
    const open = this.#perAddress.get(address)
    if (open === 1) this.#perAddress.delete(address)
    else if (open !== undefined) this.#perAddress.set(address, open - 1)
    this.#countOpen(listener, -1)
    if (this.#connections.size === 0) this.#emptied?.()
  }

  #countOpen(listener: number, change: number): void {
    this.#options.counters[workerCounters.length + Math.min(listener, MAX_LISTENERS - 1)]! += change
  }
}
