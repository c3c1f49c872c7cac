// A TLS socket over an accepted handle that reads into the thread's buffers, as plain connections do.
import type net from 'node:net'
import tls from 'node:tls'
import type { StreamHandle } from './stream-binding.ts'

// node:tls heeds `onread` only where it makes the handle itself. It is handed the accepted one at that point, which also saves the
// socket below that it would otherwise stand on (bench/README.md: a tenth of a request's CPU). `_wrapHandle`, `_tlsOptions` and
// `_handle` are private to Node, whose version comes by the lock file; test/behaviour/tls.test.ts says when a release changes them.

/** What node:tls keeps of its options. */
interface Options extends tls.TLSSocketOptions {
  readonly handle: StreamHandle
  readonly onread: net.OnReadOpts
  readonly allowHalfOpen: boolean
}

interface Wrapping {
  _wrapHandle(socket: null, handle: StreamHandle, active: boolean): object
}

export class SecureSocket extends (tls.TLSSocket as unknown as new (socket: null, options: Options) => tls.TLSSocket & Wrapping) {
  declare readonly _tlsOptions: Options
  declare readonly _handle: { receive(bytes: Buffer): void } | null
  /** Who gets what is decrypted; set before the handshake is over. */
  declare reader: net.OnReadOpts | undefined

  /** A server's side of TLS over `handle`, which is read no more by anybody else. `first` is what its first read goes into: the thread's shared buffer. */
  static over(handle: StreamHandle, first: Uint8Array, options: tls.TLSSocketOptions): SecureSocket {
    const read: { socket?: SecureSocket } = {}
    const socket = new SecureSocket(null, {
      ...options,
      isServer: true,
      handle,
      allowHalfOpen: true,
      onread: {
        buffer: () => (read.socket?.reader?.buffer as (() => Uint8Array) | undefined)?.() ?? first,
        callback: (count, bytes) => read.socket?.reader?.callback(count, bytes) ?? true,
      },
    })
    read.socket = socket
    ;(socket as { connecting: boolean }).connecting = false // it takes itself for one that is yet to connect
    return socket
  }

  override _wrapHandle(socket: null, _: StreamHandle, active: boolean): object {
    return super._wrapHandle(socket, this._tlsOptions.handle, active)
  }

  /** Octets that the client has sent and somebody else has read. */
  receive(bytes: Buffer): void {
    this._handle?.receive(bytes)
  }
}
