// A transport over a socket: of node:tls, or of node:net until it is connected and gives its handle away (nothing is written before).
import type { Socket } from 'node:net'
import type { StreamHandle } from './stream-binding.ts'
import type { Transport, TransportEvents } from './transport.ts'

/** So much may wait in a TLS socket, which says only a turn later that all is written, before whoever has more must wait too. */
const TLS_AHEAD = 64 * 1024

/** That of TLS stands on the one of its connection. */
type Handle = StreamHandle & { readonly _parent?: StreamHandle }

export class SocketTransport implements Transport {
  readonly socket: Socket
  readonly #written: (error?: Error | null) => void
  #error = ''

  /** `socket` gives `events` what it reads, by its own means. */
  constructor(socket: Socket, events: TransportEvents) {
    this.socket = socket
    this.#written = () => {
      if (socket.writableLength === 0) events.drained()
    }
    socket.on('end', () => events.ended())
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#error = error.code ?? error.message
    })
    socket.on('close', () => events.closed(this.#error))
  }

  get #handle(): Handle | null {
    return (this.socket as unknown as { readonly _handle: Handle | null })._handle
  }

  get flushed(): boolean {
    return this.socket.writableLength === 0
  }

  get behind(): boolean {
    const waiting = this.socket.writableLength
    return waiting > TLS_AHEAD || (waiting > 0 && (this.#handle?._parent?.writeQueueSize ?? 0) > 0)
  }

  get unsent(): number {
    const handle = this.#handle
    return (handle?.writeQueueSize ?? 0) + (handle?._parent?.writeQueueSize ?? 0)
  }

  get refused(): boolean {
    return this.socket.errored !== null
  }

  get remoteAddress(): string | undefined {
    return this.socket.remoteAddress
  }

  writeText(text: string): void {
    this.socket.write(text, 'latin1', this.#written)
  }

  writeBytes(bytes: Buffer): void {
    this.socket.write(bytes, this.#written)
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  end(): void {
    if (this.socket.connecting) this.destroy()
    else this.socket.end()
  }

  finish(): void {
    if (this.socket.connecting) this.destroy()
    else this.socket.destroySoon()
  }

  destroy(): void {
    this.socket.destroy()
  }

  reset(): void {
    this.socket.destroy() // Node cannot reset TLS
  }

  release(): never {
    throw new Error('only a connection that was accepted, and has no socket yet, is given away')
  }
}

/** What `onread` of node:net takes, for a transport that is made of the socket. */
export const onreadOf = (events: TransportEvents): { buffer: () => Uint8Array; callback: (count: number) => boolean } => ({
  buffer: () => events.memory(), // asked after every read, so that the next one can go elsewhere
  callback: (count) => {
    events.read(count)
    return true
  },
})

/** The handle of a socket that is connected and has read nothing yet; the socket is of no more use. */
export function handleOf(socket: Socket): StreamHandle {
  const holder = socket as unknown as { _handle: StreamHandle | null }
  const handle = holder._handle!
  holder._handle = null
  socket.pause() // it would ask for the first read once everybody has heard that it is connected
  return handle
}
