// What carries a wire's octets: a bare handle, or a socket of node:net or node:tls.
import type { StreamHandle } from './stream-binding.ts'

/** What a transport tells its wire. None of these may throw. */
export interface TransportEvents {
  /** Memory for the next read. Asked for after each one, before the next. */
  memory(): Uint8Array
  /** So many octets were read, into the memory that was asked for last. */
  read(count: number): void
  /** The peer has sent its FIN. */
  ended(): void
  /** Nothing that was written waits any more, though something did. */
  drained(): void
  /** Told once: it is no more. `error` is the system's code, or ''. */
  closed(error: string): void
}

export interface Transport {
  /** Everything written so far has been taken by the kernel (by OpenSSL, where it encrypts). */
  readonly flushed: boolean
  /** Octets that the kernel has not taken yet; it falls while a slow peer reads, even within one large write. */
  readonly unsent: number
  /** Whoever has more to write should wait. */
  readonly behind: boolean
  /** The kernel would not take what was written last, nor anything after it. */
  readonly refused: boolean
  /** The other end's IP address; undefined when it is gone. */
  readonly remoteAddress: string | undefined
  writeText(text: string): void
  /** The octets must stay as they are until it is `flushed`. */
  writeBytes(bytes: Buffer): void
  pause(): void
  resume(): void
  /** Sends FIN after what was written. */
  end(): void
  /** Sends FIN after what was written, and closes then. */
  finish(): void
  /** Closes at once; what was not sent is lost. */
  destroy(): void
  /** The same, so that the peer sees a reset, where that can be. */
  reset(): void
  /** The handle of an accepted connection, which nobody reads now; the transport says no more. */
  release(): StreamHandle
}
