// A bound address of one worker: accepts connections within limits, and closes without resetting those that wait.
import net from 'node:net'
import type { ListenerSettings } from '#src/snapshot.ts'
import { Http1Connection, type DownstreamContext } from './http1.ts'
import type { Peer } from './stream.ts'

export interface ListenerOptions {
  readonly settings: ListenerSettings
  /** Its place among the settings' listeners. */
  readonly index: number
  /** Each worker listens by itself, and the kernel spreads connections. */
  readonly reusePort: boolean
  readonly context: DownstreamContext
  /** Whether one more connection from this address may be taken; it is then counted. */
  admit(address: string, listener: number): boolean
  isTrusted(address: string): boolean
  accepted(connection: Http1Connection): void
  boundaryError(error: unknown): void
}

/** Connections that may wait to be accepted. */
const BACKLOG = 4096

export class Listener {
  readonly #server: net.Server
  readonly #options: ListenerOptions
  #accepts = 0

  /** Listens, or rejects with the system's error. */
  static async open(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options)
    const { host, port } = options.settings
    await new Promise<void>((resolve, reject) => {
      listener.#server.once('error', reject)
      listener.#server.listen({ port, ...(host === '' ? {} : { host }), reusePort: options.reusePort, backlog: BACKLOG }, () => {
        listener.#server.removeListener('error', reject)
        listener.#server.on('error', (error) => options.boundaryError(error))
        resolve()
      })
    })
    return listener
  }

  private constructor(options: ListenerOptions) {
    this.#options = options
    this.#server = net.createServer({ noDelay: true, pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
      try {
        this.#accept(socket)
      } catch (error) {
        options.boundaryError(error)
        socket.destroy()
      }
    })
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  #accept(socket: net.Socket): void {
    this.#accepts++
    const { index, context } = this.#options
    const remote = socket.remoteAddress
    if (remote === undefined) return void socket.destroy() // gone already
    const address = remote.startsWith('::ffff:') ? remote.slice(7) : remote
    if (!this.#options.admit(address, index)) return void socket.destroy()
    const peer: Peer = { address, trusted: this.#options.isTrusted(address), scheme: 'http', localPort: socket.localPort ?? 0, listener: index }
    this.#options.accepted(new Http1Connection(context, socket, peer))
  }

  /**
   * Stops listening in a turn of the loop that accepted nothing: closing one of several sockets on a port resets what its
   * queue holds (measured: 99 of 200), and an idle turn is one whose queue was empty. Gives up waiting at `deadlineMs`.
   */
  async close(deadlineMs: number): Promise<void> {
    const until = performance.now() + deadlineMs
    for (let quiet = 0; quiet < 2 && performance.now() < until; ) {
      const before = this.#accepts
      await new Promise((resolve) => setImmediate(resolve))
      quiet = this.#accepts === before ? quiet + 1 : 0
    }
    this.#server.close()
  }
}
