// One TCP connection, either side: reads into the thread's buffers, writes with back-pressure, one error boundary.
import type net from 'node:net'
import { HandleTransport } from './handle-transport.ts'
import type { ReadBuffer, ReadBuffers } from './read-buffer.ts'
import { SecureSocket } from './secure-socket.ts'
import { handleOf, onreadOf, SocketTransport } from './socket-transport.ts'
import type { StreamHandle } from './stream-binding.ts'
import type { Transport, TransportEvents } from './transport.ts'

/** What a connection does with what happens on its wire. Any of these may throw: the wire then ends, and only it. */
export interface WireOwner {
  /** Octets `from`..`to` of `bytes` were read; they are gone when this returns. */
  onRead(bytes: Buffer, from: number, to: number): void
  /** The peer has sent its FIN. */
  onEnd(): void
  /** Everything written so far has been taken by the kernel. */
  onFlush(): void
  /** Called once, when the wire is no more; `error` is the system's code, or '' after an orderly end. */
  onClose(error: string): void
}

/** Where the octets of a body come from: what can be told to wait, whatever protocol it speaks. */
export interface Source {
  /** Reading stops, or the peer gets no further window, until `unhold` was called as often. */
  hold(): void
  unhold(): void
  /** Whether these octets stay as they are while it is held: then they need not be copied to be written later. */
  keeps(bytes: Buffer): boolean
  /** The body that it read is over: it may read on, though `sink` may still be writing the last octets (null: all was copied). */
  endBody(sink: Wire | null): void
}

/** What wires of a thread share. */
export interface WireContext {
  readonly buffers: ReadBuffers
  /** An error of ours reached the boundary of a socket callback. */
  boundaryError(error: unknown): void
}

/** How a connection is opened. */
export interface Dial {
  /** Must not throw: what goes wrong is an `error` of the socket. `onread` is for sockets of TLS. */
  open(onread: net.OnReadOpts): net.Socket
  /** The socket's event that says that it can be written to. */
  readonly ready: 'connect' | 'secureConnect'
}

/** An accepted connection before any socket is made of it (node:net's own `TCP`, which has no public type). */
export interface TcpHandle {
  /** Fills in the address of the other end; 0 when that worked. */
  getpeername(into: { address?: string }): number
  close(): void
}

/** An accepted connection: as it came, after its TLS handshake, or with its first octets read already. */
export type Accepted = TcpHandle | SecureSocket | Wire

/** Below this, one latin1 string is cheaper to write than a copied buffer (bench/README.md). */
const SMALL = 4096
/** Small pieces that a TLS wire gathers before whoever has more must wait too. */
const GATHERED_AHEAD = 64 * 1024
const GATHERED_FIRST = 1024
const nothing = Buffer.alloc(0)

export class Wire implements Source, TransportEvents {
  readonly #context: WireContext
  #owner: WireOwner
  #transport!: Transport
  readonly #decrypts: boolean
  /** The buffer that a long body is read into; null: the shared one. */
  #own: ReadBuffer | null = null
  /** The buffer that the next read goes into. */
  #reading: ReadBuffer
  /** Whose octets wait in this wire's transport, and who may not read until they have gone. */
  #source: Source | null = null
  /** A buffer of a body that is over, but whose last octets this wire has not written yet. */
  #lastOfBody: ReadBuffer | null = null
  /** The read callback is running: after it, and only then, the transport asks where the next read goes. */
  #inRead = false
  #copied = 0
  /** Small pieces that came while the kernel took nothing, or before there was a connection: they go in one write when it does, as each write that waits costs hundreds of octets. */
  #gathered: Buffer | null = null
  #gatheredSize = 0
  /** It is not there yet: what is written is gathered. */
  #connecting = false
  #holds = 0
  #gone = false

  /** A wire over an accepted connection, which it owns from now on; one that there is already only changes its owner. */
  static accept(context: WireContext, owner: WireOwner, accepted: Accepted): Wire {
    if (accepted instanceof Wire) {
      accepted.#owner = owner
      return accepted
    }
    if (accepted instanceof SecureSocket) {
      const wire = new Wire(context, owner, true)
      wire.#transport = new SocketTransport(accepted, wire)
      accepted.reader = onreadOf(wire)
      return wire
    }
    const wire = new Wire(context, owner)
    wire.#transport = new HandleTransport(accepted as unknown as StreamHandle, wire)
    return wire
  }

  /** Opens a connection as `dial` says; `connected` is called when it is there, `owner.onClose` when it fails. */
  static connect(context: WireContext, owner: WireOwner, dial: Dial, connected: () => void): Wire {
    const encrypts = dial.ready === 'secureConnect'
    const wire = new Wire(context, owner, encrypts)
    wire.#connecting = true
    const socket = dial.open(onreadOf(wire))
    wire.#transport = new SocketTransport(socket, wire)
    socket.once(dial.ready, () => {
      if (socket.destroyed) return // by the dial, which had a condition
      wire.#connecting = false
      if (!encrypts) wire.#transport = new HandleTransport(handleOf(socket), wire)
      if (wire.#gathered !== null) wire.drained()
      wire.#guarded(connected)
      if (!encrypts && wire.#holds === 0) wire.#transport.resume()
    })
    return wire
  }

  private constructor(context: WireContext, owner: WireOwner, decrypts = false) {
    this.#context = context
    this.#owner = owner
    this.#decrypts = decrypts
    this.#reading = context.buffers.shared
  }

  // ── what the transport says ──

  memory(): Uint8Array {
    this.#reading = this.#own ?? this.#context.buffers.shared
    return this.#reading.view
  }

  read(count: number): void {
    const buffer = this.#reading
    this.#inRead = true
    try {
      if (!this.#gone) this.#owner.onRead(buffer.raw, buffer.offset, buffer.offset + count)
    } catch (error) {
      this.#fail(error)
    }
    this.#inRead = false
  }

  ended(): void {
    this.#guarded(() => this.#owner.onEnd())
  }

  drained(): void {
    if (this.#gone) return
    if (this.#gathered !== null) {
      this.#uncountCopies()
      this.#writeGathered()
      if (!this.flushed) return
    }
    this.#settle(false)
    try {
      this.#owner.onFlush()
    } catch (error) {
      this.#fail(error)
    }
  }

  closed(error: string): void {
    this.#gone = true
    this.#copied += this.#gathered?.length ?? 0
    this.#gathered = null
    this.#settle(true)
    if (this.#own !== null) {
      this.#own = null
      this.#context.buffers.drop() // the peer's transport may still be writing from it
    }
    this.#guarded(() => this.#owner.onClose(error))
  }

  // ── what its owner asks ──

  get gone(): boolean {
    return this.#gone
  }

  /** Nothing written waits in this process. */
  get flushed(): boolean {
    return this.#gathered === null && this.#transport.flushed
  }

  /** The kernel would not take what was written last, nor anything after it. */
  get refused(): boolean {
    return this.#transport.refused
  }

  /** This wire may not read at the moment. A TLS socket may all the same hand over what it has decrypted already (32 KiB at most). */
  get held(): boolean {
    return this.#holds > 0
  }

  /** Octets that the kernel has not taken yet; it falls while a slow peer reads, even within one large write. */
  get unsent(): number {
    return this.#transport.unsent
  }

  /** The other end's IP address; undefined when it is gone. */
  get remoteAddress(): string | undefined {
    return this.#transport.remoteAddress
  }

  /** The accepted handle, which nobody reads now, for TLS to take over: this wire is over, and its owner hears no more of it. */
  release(): StreamHandle {
    this.#gone = true
    return this.#transport.release()
  }

  start(): void {
    this.#transport.resume()
  }

  /** Hands octets that were read already to the owner of now. */
  replay(bytes: Buffer, from: number, to: number): void {
    if (!this.#gone && to > from) this.#owner.onRead(bytes, from, to)
  }

  writeText(text: string): void {
    if (this.#connecting) return this.#gather(text, nothing, 0, 0)
    this.#writeGathered()
    this.#transport.writeText(text)
  }

  /** The octets must stay as they are until it is `flushed`. */
  writeBuffer(bytes: Buffer): void {
    if (this.#connecting) return this.#gather('', bytes, 0, bytes.length)
    this.#writeGathered()
    this.#transport.writeBytes(bytes)
  }

  /**
   * Writes `text` and then octets that `source` has just read. When the kernel does not take them all, `source` reads on only
   * after it did: that is the back-pressure, and what lets a long body be written from where it was read.
   */
  pass(text: string, bytes: Buffer, from: number, to: number, source: Source): void {
    if (this.#gone) return
    const { flushed } = this
    // TLS encrypts at once what it is given while nothing waits: then the memory is free again when `write` returns.
    const encrypts = this.#decrypts && flushed
    if (to - from < SMALL) {
      if (flushed) this.writeText(text + bytes.latin1Slice(from, to))
      else this.#gather(text, bytes, from, to)
    } else if (encrypts && text === '') this.writeBuffer(bytes.subarray(from, to))
    else if (!this.#decrypts && source.keeps(bytes)) {
      if (text !== '') this.writeText(text)
      this.writeBuffer(bytes.subarray(from, to))
    } else this.#writeCopy(text, bytes, from, to, encrypts)
    if (this.#transport.behind || this.#gatheredSize > GATHERED_AHEAD) this.#holdUntilFlushed(source)
  }

  #gather(text: string, bytes: Buffer, from: number, to: number): void {
    const at = this.#gatheredSize
    const size = at + text.length + to - from
    if (this.#gathered === null || size > this.#gathered.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(GATHERED_FIRST, 2 * size))
      this.#gathered?.copy(larger, 0, 0, at)
      this.#context.buffers.count(larger.length - (this.#gathered?.length ?? 0))
      this.#gathered = larger
    }
    this.#gathered.latin1Write(text, at, text.length)
    bytes.copy(this.#gathered, at + text.length, from, to)
    this.#gatheredSize = size
  }

  #writeGathered(): void {
    const gathered = this.#gathered
    if (gathered === null) return
    this.#gathered = null
    this.#copied += gathered.length
    this.#transport.writeBytes(gathered.subarray(0, this.#gatheredSize))
    this.#gatheredSize = 0
  }

  /** What it reads into a buffer of its own stays there until it reads on. */
  keeps(bytes: Buffer): boolean {
    return this.#own !== null && this.#own.raw === bytes
  }

  /** `source` need not wait for this wire any more. */
  forget(source: Source): void {
    if (this.#source !== source) return
    this.#source = null
    source.unhold()
  }

  #holdUntilFlushed(source: Source): void {
    if (this.#source !== null) return
    this.#source = source
    source.hold()
  }

  /** The shared buffer is overwritten by the next read of any socket: what is written later must be a copy. */
  #writeCopy(text: string, bytes: Buffer, from: number, to: number, encrypts: boolean): void {
    const { buffers } = this.#context
    const size = text.length + to - from
    const copy = buffers.scratch(size)
    copy.latin1Write(text, 0, text.length)
    bytes.copy(copy, text.length, from, to)
    this.writeBuffer(copy.subarray(0, size))
    if (encrypts || this.flushed) return
    buffers.loseScratch()
    this.#copied += size
    buffers.count(size)
  }

  /**
   * From the next read on, this wire reads into a buffer of its own. Not where TLS decrypts: it reads on while held, and would
   * overwrite what is being written; what it reads is copied instead.
   */
  readLongBody(): void {
    if (this.#own === null && !this.#decrypts) this.#own = this.#context.buffers.take()
  }

  /** The body that this wire read is over: it may read on, though `sink` may still be writing the body's last octets (null: nobody does). */
  endBody(sink: Wire | null): void {
    sink?.forget(this)
    const own = this.#own
    if (own === null) return
    this.#own = null
    // Outside of its read callback the socket will still read once more into this buffer: it must never be anybody else's.
    if (!this.#inRead || (sink !== null && (sink.#gone || (!sink.flushed && sink.#lastOfBody !== null)))) this.#context.buffers.drop()
    else if (sink === null || sink.flushed) this.#context.buffers.give(own)
    else sink.#lastOfBody = own
  }

  /** Reading stops until `unhold` was called as often. */
  hold(): void {
    if (this.#holds++ === 0) this.#transport.pause()
  }

  unhold(): void {
    if (--this.#holds === 0 && !this.#gone) this.#transport.resume()
  }

  /** Sends FIN after what was written. */
  end(): void {
    this.#writeGathered()
    this.#transport.end()
  }

  /** Sends what was written and ends the connection both ways: for a peer that has nothing more to say. */
  finish(): void {
    this.#writeGathered()
    this.#transport.finish()
  }

  /** Ends the connection at once; what was not sent is lost. */
  destroy(): void {
    this.#transport.destroy()
  }

  /** Ends the connection so that the peer sees a reset, or TLS without its end: what it got is not complete. */
  reset(): void {
    this.#transport.reset()
  }

  #uncountCopies(): void {
    if (this.#copied === 0) return
    this.#context.buffers.count(-this.#copied)
    this.#copied = 0
  }

  #settle(gone: boolean): void {
    this.#uncountCopies()
    if (this.#lastOfBody !== null) {
      if (gone) this.#context.buffers.drop()
      else this.#context.buffers.give(this.#lastOfBody)
      this.#lastOfBody = null
    }
    const source = this.#source
    if (source === null) return
    this.#source = null
    source.unhold()
  }

  #guarded(callback: () => void): void {
    try {
      callback()
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    this.#context.boundaryError(error)
    this.#transport.destroy()
  }
}
