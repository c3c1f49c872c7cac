// One TCP connection, either side: reads into the thread's buffers, writes with back-pressure, one error boundary.
import net from 'node:net'
import type { TLSSocket } from 'node:tls'
import { getSystemErrorName } from 'node:util'
import { RawWriter } from './raw-write.ts'
import type { ReadBuffer, ReadBuffers } from './read-buffer.ts'

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
  /** Must not throw: what goes wrong is an `error` of the socket. */
  open(onread: net.OnReadOpts): net.Socket
  /** The socket's event that says that it can be written to. */
  readonly ready: 'connect' | 'secureConnect'
}

/** An accepted connection before any socket is made of it (node:net's own `TCP`, which has no public type). */
export interface TcpHandle {
  setNoDelay(on: boolean): number
  /** Fills in the address of the other end; 0 when that worked. */
  getpeername(into: { address?: string }): number
  close(): void
}

/** An accepted connection: as it came, after its TLS handshake, or with its first octets read already. */
export type Accepted = TcpHandle | TLSSocket | Wire

/** Below this, one latin1 string is cheaper to write than a copied buffer (bench/README.md). */
const SMALL = 4096
/** So much may wait in a TLS socket, which says only a turn later that all is written, before whoever has more must wait too. */
const TLS_AHEAD = 64 * 1024

export class Wire implements Source {
  readonly socket: net.Socket
  readonly #context: WireContext
  #owner: WireOwner
  readonly #flushed: (error?: Error | null) => void
  /** Undefined until it is connected, and where all writes go through the socket. */
  #raw: RawWriter | undefined
  readonly #decrypts: boolean
  /** The buffer that a long body is read into; null: the shared one. */
  #own: ReadBuffer | null = null
  /** The buffer that the next read goes into. */
  #reading: ReadBuffer
  /** Whose octets wait in this wire's socket, and who may not read until they have gone. */
  #source: Source | null = null
  /** A buffer of a body that is over, but whose last octets this wire has not written yet. */
  #lastOfBody: ReadBuffer | null = null
  /** The read callback is running: after it, and only then, the socket asks where the next read goes. */
  #inRead = false
  #copied = 0
  #holds = 0
  #gone = false
  #error = ''

  /** A wire over an accepted connection, which it owns from now on; one that there is already only changes its owner. */
  static accept(context: WireContext, owner: WireOwner, accepted: Accepted): Wire {
    if (accepted instanceof Wire) {
      accepted.#owner = owner
      return accepted
    }
    if (accepted instanceof net.Socket) return new Wire(context, owner, (onread) => readByEvents(accepted, onread), true)
    const wire = new Wire(context, owner, (onread) => {
      const options = { handle: accepted, onread, allowHalfOpen: true }
      return new net.Socket(options as unknown as net.SocketConstructorOpts)
    })
    wire.#writeRaw()
    return wire
  }

  /** Opens a connection as `dial` says; `connected` is called when it is there, `owner.onClose` when it fails. */
  static connect(context: WireContext, owner: WireOwner, dial: Dial, connected: () => void): Wire {
    const wire = new Wire(context, owner, dial.open, dial.ready === 'secureConnect')
    wire.socket.once(dial.ready, () => {
      wire.#writeRaw()
      wire.#guarded(connected)
    })
    return wire
  }

  constructor(context: WireContext, owner: WireOwner, open: (onread: net.OnReadOpts) => net.Socket, decrypts = false) {
    this.#context = context
    this.#owner = owner
    this.#decrypts = decrypts
    this.#flushed = () => this.#afterFlush()
    const shared = context.buffers.shared
    this.#reading = shared
    this.socket = open({
      // Asked after every read, so that the next one can go elsewhere.
      buffer: () => {
        this.#reading = this.#own ?? shared
        return this.#reading.view
      },
      callback: (count) => {
        const buffer = this.#reading
        this.#inRead = true
        try {
          if (!this.#gone) this.#owner.onRead(buffer.raw, buffer.offset, buffer.offset + count)
        } catch (error) {
          this.#fail(error)
        }
        this.#inRead = false
        return true
      },
    })
    this.socket.on('end', () => this.#guarded(() => this.#owner.onEnd()))
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#error = error.code ?? error.message
    })
    this.socket.on('close', () => this.#closed())
  }

  get gone(): boolean {
    return this.#gone
  }

  /** Nothing written waits in this process. */
  get flushed(): boolean {
    return this.#raw === undefined ? this.socket.writableLength === 0 : this.#raw.waiting === 0
  }

  /** The kernel would not take what was written last, nor anything after it. */
  get refused(): boolean {
    return this.socket.errored !== null
  }

  /** This wire may not read at the moment. A TLS socket may all the same hand over what it has decrypted already (32 KiB at most). */
  get held(): boolean {
    return this.#holds > 0
  }

  /** Octets that the kernel has not taken yet; it falls while a slow peer reads, even within one large write. */
  get unsent(): number {
    const handle = (this.socket as unknown as { _handle: StreamHandle | null })._handle
    return (handle?.writeQueueSize ?? 0) + (this.#decrypts ? (handle?._parent?.writeQueueSize ?? 0) : 0)
  }

  /** Whoever has more for this wire should wait. */
  get #behind(): boolean {
    if (!this.#decrypts) return !this.flushed
    const waiting = this.socket.writableLength
    if (waiting === 0) return false
    const handle = (this.socket as unknown as { _handle: StreamHandle | null })._handle
    return waiting > TLS_AHEAD || (handle?._parent?.writeQueueSize ?? 0) > 0
  }

  start(): void {
    this.socket.resume()
  }

  /** Hands octets that were read already to the owner of now. */
  replay(bytes: Buffer, from: number, to: number): void {
    if (!this.#gone && to > from) this.#owner.onRead(bytes, from, to)
  }

  /** Not where TLS encrypts, which has a buffer of its own. */
  #writeRaw(): void {
    if (!this.#decrypts) this.#raw = RawWriter.of(this.socket, (status) => this.#taken(status))
  }

  writeText(text: string): void {
    if (this.#raw === undefined) this.socket.write(text, 'latin1', this.#flushed)
    else this.#sent(this.#raw.text(text))
  }

  writeBuffer(bytes: Buffer): void {
    if (this.#raw === undefined) this.socket.write(bytes, this.#flushed)
    else this.#sent(this.#raw.bytes(bytes))
  }

  #sent(error: number): void {
    if (error !== 0) this.socket.destroy(systemError(error))
  }

  /** A write that had to wait is over. */
  #taken(status: number): void {
    if (status !== 0) this.socket.destroy(systemError(status))
    else this.#afterFlush()
  }

  /**
   * Writes `text` and then octets that `source` has just read. When the kernel does not take them all, `source` reads on only
   * after it did: that is the back-pressure, and what lets a long body be written from where it was read.
   */
  pass(text: string, bytes: Buffer, from: number, to: number, source: Source): void {
    if (this.#gone) return
    // TLS encrypts at once what it is given while nothing waits: then the memory is free again when `write` returns.
    const encrypts = this.#decrypts && this.flushed
    if (to - from < SMALL) this.writeText(text + bytes.latin1Slice(from, to))
    else if (encrypts && text === '') this.writeBuffer(bytes.subarray(from, to))
    else if (!this.#decrypts && source.keeps(bytes)) {
      if (text !== '') this.writeText(text)
      this.writeBuffer(bytes.subarray(from, to))
    } else this.#writeCopy(text, bytes, from, to, encrypts)
    if (this.#behind) this.#holdUntilFlushed(source)
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
    if (this.#holds++ === 0) this.socket.pause()
  }

  unhold(): void {
    if (--this.#holds === 0 && !this.#gone) this.socket.resume()
  }

  /** Sends FIN after what was written. */
  end(): void {
    this.socket.end()
  }

  /** Sends what was written and ends the connection both ways: for a peer that has nothing more to say. */
  finish(): void {
    this.socket.destroySoon()
  }

  /** Ends the connection at once; what was not sent is lost. */
  destroy(): void {
    this.socket.destroy()
  }

  /** Ends the connection so that the peer sees a reset, or TLS without its end: what it got is not complete. */
  reset(): void {
    // Node cannot reset what has sent its FIN: it fails with EINVAL and keeps the descriptor for ever. And TLS it cannot reset at all.
    if (this.socket.writableEnded || this.#decrypts) this.socket.destroy()
    else this.socket.resetAndDestroy()
  }

  #afterFlush(): void {
    if (!this.flushed || this.#gone) return
    this.#settle(false)
    try {
      this.#owner.onFlush()
    } catch (error) {
      this.#fail(error)
    }
  }

  #settle(gone: boolean): void {
    if (this.#copied > 0) {
      this.#context.buffers.count(-this.#copied)
      this.#copied = 0
    }
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

  #closed(): void {
    this.#gone = true
    this.#settle(true)
    if (this.#own !== null) {
      this.#own = null
      this.#context.buffers.drop() // the peer's socket may still be writing from it
    }
    this.#guarded(() => this.#owner.onClose(this.#error))
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
    this.socket.destroy()
  }
}

/** What is used of a socket's handle; that of TLS stands on the one of its connection. */
interface StreamHandle {
  readonly writeQueueSize?: number
  readonly _parent?: StreamHandle
}

/** Reads a socket as `onread` would: node:tls heeds that only for sockets that it opens itself. The copy costs less than 0.2 µs (bench/README.md). */
function readByEvents(socket: net.Socket, { buffer, callback }: net.OnReadOpts): net.Socket {
  const next = buffer as () => Uint8Array
  socket.on('data', (data: Buffer) => {
    for (let at = 0; at < data.length && !socket.destroyed;) {
      const into = next()
      const count = data.copy(into, 0, at)
      at += count
      callback(count, into)
    }
  })
  return socket
}

/** As node:net would have said it. */
function systemError(number: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(number)
  return Object.assign(new Error(`write ${code}`), { code, errno: number, syscall: 'write' })
}
