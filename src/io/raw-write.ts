// Writes to a connection's handle itself, which cost no object as long as the kernel takes them at once.
import { streamBinding, type StreamHandle, type WriteRequest } from './stream-binding.ts'

/** One connection's writes. They stay in their order, among each other and with those of a socket over the same handle. */
export class RawWriter {
  readonly #handle: StreamHandle
  readonly #completed: (status: number) => void
  /** Serves again as long as the kernel takes everything at once. */
  #request: WriteRequest | null = null
  #waiting = 0

  /** `completed` hears of each write that had to wait: 0, or a negative error number. */
  constructor(handle: StreamHandle, completed: (status: number) => void) {
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
    const request = new streamBinding.WriteWrap()
    request.oncomplete = completeWrite
    request.writer = this
    request.buffer = undefined
    this.#request = request
    return request
  }

  #sent(error: number, bytes: Buffer | undefined): number {
    if (error === 0 && streamBinding.streamBaseState[streamBinding.kLastWriteWasAsync] !== 0) {
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
  const writer = this.writer as RawWriter
  writer.complete(status)
}
