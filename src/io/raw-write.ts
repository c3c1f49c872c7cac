// Writing to a connection's handle itself, past the stream that node:net puts around it.
import type { Socket } from 'node:net'

// What node:net does around each write (a request object, state for back-pressure, a callback in a later tick) costs as much as most of
// our own code for a request (bench/README.md), and the kernel nearly always takes everything at once. The binding is old, deprecated and
// has no successor; Node's version comes by the lock file. Where it is not there, wires write through their sockets.

/** A write under way, as libuv's wrapper knows it. */
interface WriteRequest {
  oncomplete: (this: WriteRequest, status: number) => void
  writer: RawWriter
  /** Kept from the garbage collector while the kernel has not taken it. */
  buffer: Buffer | undefined
}

/** The part of node's TCP handle that writes. Both return 0 or a negative error number. */
interface RawHandle {
  writeLatin1String(request: WriteRequest, text: string): number
  writeBuffer(request: WriteRequest, bytes: Buffer): number
}

interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest
  readonly streamBaseState: Int32Array
  readonly kLastWriteWasAsync: number
}

function streamBinding(): StreamBinding | undefined {
  try {
    const { binding } = process as unknown as { readonly binding?: (name: string) => Partial<StreamBinding> }
    const { WriteWrap, streamBaseState, kLastWriteWasAsync } = binding?.('stream_wrap') ?? {}
    return WriteWrap === undefined || streamBaseState === undefined || kLastWriteWasAsync === undefined ? undefined : { WriteWrap, streamBaseState, kLastWriteWasAsync }
  } catch {
    return undefined
  }
}

const stream = streamBinding()

/** One connection's writes. They stay in their order, among each other and with those of the socket. */
export class RawWriter {
  readonly #handle: RawHandle
  readonly #completed: (status: number) => void
  /** Serves again as long as the kernel takes everything at once. */
  #request: WriteRequest | null = null
  #waiting = 0

  /** A writer for a connected plain socket; undefined where Node does not let us. `completed` hears of each write that had to wait: 0, or a negative error number. */
  static of(socket: Socket, completed: (status: number) => void): RawWriter | undefined {
    const { _handle: handle } = socket as unknown as { readonly _handle: RawHandle | null }
    return stream === undefined || handle === null ? undefined : new RawWriter(handle, completed)
  }

  private constructor(handle: RawHandle, completed: (status: number) => void) {
    this.#handle = handle
    this.#completed = completed
  }

  /** Writes that the kernel has not taken whole yet. */
  get waiting(): number {
    return this.#waiting
  }

  /** Returns 0, or the negative error number: then nothing was written. */
  text(text: string): number {
    return this.#sent(this.#handle.writeLatin1String(this.#next(), text), undefined)
  }

  /** The same; the octets are not copied. */
  bytes(bytes: Buffer): number {
    return this.#sent(this.#handle.writeBuffer(this.#next(), bytes), bytes)
  }

  #next(): WriteRequest {
    if (this.#request !== null) return this.#request
    const request = new stream!.WriteWrap()
    request.oncomplete = completeWrite
    request.writer = this
    request.buffer = undefined
    this.#request = request
    return request
  }

  #sent(error: number, bytes: Buffer | undefined): number {
    if (error === 0 && stream!.streamBaseState[stream!.kLastWriteWasAsync] !== 0) {
      this.#request!.buffer = bytes
      this.#request = null
      this.#waiting++
    }
    return error
  }

  complete(status: number): void {
    this.#waiting--
    this.#completed(status)
  }
}

function completeWrite(this: WriteRequest, status: number): void {
  this.buffer = undefined
  this.writer.complete(status)
}
