// A transport over a bare handle, of a connection that was accepted or dialled: no socket object, no stream, no event stands around it.
import { constants } from 'node:os'
import { RawWriter } from './raw-write.ts'
import { streamBinding, type ShutdownRequest, type StreamHandle } from './stream-binding.ts'
import { systemError } from './system-error.ts'
import type { Transport, TransportEvents } from './transport.ts'

/** libuv's UV_EOF. */
const END_OF_FILE = -4095
const CANCELLED = -constants.errno.ECANCELED
const NOT_CONNECTED = -constants.errno.ENOTCONN

export class HandleTransport implements Transport {
  readonly #handle: StreamHandle
  readonly #events: TransportEvents
  readonly #writer: RawWriter
  #memory: Uint8Array
  #state: 'open' | 'ending' | 'closed' = 'open'
  /** When the FIN has left: close. */
  #finishing = false
  // Once both sides have sent their FIN, nothing can come or go any more.
  #finSent = false
  #gotFin = false
  #refused = false
  /** libuv refuses to begin what it has begun. */
  #reads = false
  #error = ''
  #remote: { address?: string } | undefined

  /** Owns the handle from now on. */
  constructor(handle: StreamHandle, events: TransportEvents) {
    this.#handle = handle
    this.#events = events
    this.#writer = new RawWriter(handle, (status) => this.#taken(status))
    this.#memory = events.memory()
    handle.owner = this
    handle.onread = readHandle
    handle.useUserBuffer(this.#memory)
  }

  get flushed(): boolean {
    return this.#writer.waiting === 0
  }

  get behind(): boolean {
    return this.#writer.waiting > 0
  }

  get unsent(): number {
    return this.#state === 'closed' ? 0 : this.#handle.writeQueueSize
  }

  get refused(): boolean {
    return this.#refused
  }

  get remoteAddress(): string | undefined {
    if (this.#remote === undefined) {
      this.#remote = {}
      this.#handle.getpeername(this.#remote)
    }
    return this.#remote.address
  }

  writeText(text: string): void {
    if (this.#state === 'open') this.#sent(this.#writer.text(text))
  }

  writeBytes(bytes: Buffer): void {
    if (this.#state === 'open') this.#sent(this.#writer.bytes(bytes))
  }

  pause(): void {
    this.#reads = false
    if (this.#state !== 'closed') this.#handle.readStop()
  }

  resume(): void {
    if (this.#reads || this.#state === 'closed') return
    this.#reads = true
    const error = this.#handle.readStart()
    if (error !== 0) this.#fail(error, 'read')
  }

  end(): void {
    if (this.#state !== 'open') return
    this.#state = 'ending'
    const request = new streamBinding.ShutdownWrap()
    request.oncomplete = sentFin
    request.owner = this
    const error = this.#handle.shutdown(request)
    if (error === 1 || error === NOT_CONNECTED) this.finSent(0)
    else if (error !== 0) this.#fail(error, 'shutdown')
  }

  finish(): void {
    this.#finishing = true
    // What is closed sends its FIN: it need not be sent first when nothing waits.
    if (this.#finSent || (this.#state === 'open' && this.#writer.waiting === 0)) this.destroy()
    else this.end()
  }

  destroy(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#handle.close(closedHandle)
  }

  reset(): void {
    // The system cannot reset what has sent its FIN.
    if (this.#state !== 'open' || this.#handle.reset(closedHandle) !== 0) return this.destroy()
    this.#state = 'closed'
  }

  release(): StreamHandle {
    this.#state = 'closed'
    this.#handle.readStop()
    this.#handle.owner = undefined
    return this.#handle
  }

  onRead(result: number): Uint8Array | undefined {
    if (result > 0) {
      if (this.#state === 'closed') return undefined
      this.#events.read(result)
      const memory = this.#events.memory()
      if (memory === this.#memory) return undefined
      this.#memory = memory
      return memory
    }
    if (result === END_OF_FILE) {
      this.#gotFin = true
      this.#events.ended()
      if (this.#finSent) this.destroy()
    } else if (result < 0) this.#fail(result, 'read')
    return undefined
  }

  finSent(status: number): void {
    this.#finSent = true
    if (status !== 0 && status !== CANCELLED) this.#fail(status, 'shutdown')
    else if (this.#finishing || this.#gotFin) this.destroy()
  }

  onClosed(): void {
    this.#events.closed(this.#error)
  }

  #sent(error: number): void {
    if (error === 0) return
    this.#refused = true
    this.#fail(error, 'write')
  }

  /** A write that had to wait is over. */
  #taken(status: number): void {
    if (status !== 0) this.#fail(status, 'write')
    else if (this.#writer.waiting === 0) this.#events.drained()
  }

  #fail(error: number, call: string): void {
    if (this.#state === 'closed') return
    this.#error = systemError(error, call).code!
    this.destroy()
  }
}

function readHandle(this: StreamHandle): Uint8Array | undefined {
  return (this.owner as HandleTransport | undefined)?.onRead(streamBinding.streamBaseState[streamBinding.kReadBytesOrError]!)
}

function sentFin(this: ShutdownRequest, status: number): void {
  const owner = this.owner as HandleTransport
  owner.finSent(status)
}

function closedHandle(this: StreamHandle): void {
  const owner = this.owner as HandleTransport
  owner.onClosed()
}
