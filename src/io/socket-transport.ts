// A transport over a socket of node:net or node:tls: what we dial ourselves, and what TLS encrypts.
import type { Socket } from 'node:net'
import { RawWriter } from './raw-write.ts'
import type { StreamHandle } from './stream-binding.ts'
import { systemError } from './system-error.ts'
import type { Transport, TransportEvents } from './transport.ts'

/** So much may wait in a TLS socket, which says only a turn later that all is written, before whoever has more must wait too. */
const TLS_AHEAD = 64 * 1024

/** That of TLS stands on the one of its connection. */
type Handle = StreamHandle & { readonly _parent?: StreamHandle }

export class SocketTransport implements Transport {
  readonly socket: Socket
  readonly #events: TransportEvents
  readonly #encrypts: boolean
  readonly #written: (error?: Error | null) => void
  /** Undefined until it is connected, and where all writes go through the socket. */
  #raw: RawWriter | undefined
  #error = ''

  /** `socket` gives `events` what it reads, by its own means. */
  constructor(socket: Socket, events: TransportEvents, encrypts: boolean) {
    this.socket = socket
    this.#events = events
    this.#encrypts = encrypts
    this.#written = () => {
      if (socket.writableLength === 0) events.drained()
    }
    socket.on('end', () => events.ended())
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#error = error.code ?? error.message
    })
    socket.on('close', () => events.closed(this.#error))
  }

  /** It is connected: from now on it is written to without the stream. Not where TLS encrypts, which has a buffer of its own. */
  writeRaw(): void {
    const handle = this.#handle
    if (handle !== null && !this.#encrypts) this.#raw = new RawWriter(handle, (status) => this.#taken(status))
  }

  get #handle(): Handle | null {
    return (this.socket as unknown as { readonly _handle: Handle | null })._handle
  }

  get flushed(): boolean {
    return this.#raw === undefined ? this.socket.writableLength === 0 : this.#raw.waiting === 0
  }

  get behind(): boolean {
    if (!this.#encrypts) return !this.flushed
    const waiting = this.socket.writableLength
    return waiting > TLS_AHEAD || (waiting > 0 && (this.#handle?._parent?.writeQueueSize ?? 0) > 0)
  }

  get unsent(): number {
    const handle = this.#handle
    return (handle?.writeQueueSize ?? 0) + (this.#encrypts ? (handle?._parent?.writeQueueSize ?? 0) : 0)
  }

  get refused(): boolean {
    return this.socket.errored !== null
  }

  get remoteAddress(): string | undefined {
    return this.socket.remoteAddress
  }

  writeText(text: string): void {
    if (this.#raw === undefined) this.socket.write(text, 'latin1', this.#written)
    else this.#sent(this.#raw.text(text))
  }

  writeBytes(bytes: Buffer): void {
    if (this.#raw === undefined) this.socket.write(bytes, this.#written)
    else this.#sent(this.#raw.bytes(bytes))
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  end(): void {
    this.socket.end()
  }

  finish(): void {
    this.socket.destroySoon()
  }

  destroy(): void {
    this.socket.destroy()
  }

  reset(): void {
    // Node cannot reset what has sent its FIN: it fails with EINVAL and keeps the descriptor for ever. And TLS it cannot reset at all.
    if (this.socket.writableEnded || this.#encrypts) this.socket.destroy()
    else this.socket.resetAndDestroy()
  }

  release(): never {
    throw new Error('only a connection that was accepted, and has no socket yet, is given away')
  }

  #sent(error: number): void {
    if (error !== 0) this.socket.destroy(systemError(error, 'write'))
  }

  /** A write that had to wait is over. */
  #taken(status: number): void {
    if (status !== 0) this.socket.destroy(systemError(status, 'write'))
    else if (this.#raw!.waiting === 0) this.#events.drained()
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
