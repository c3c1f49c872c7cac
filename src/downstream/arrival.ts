// A connection before it speaks HTTP: a balancer's PROXY header, a TLS handshake, the first octets that tell HTTP/2, each within bounds and time.
import type { X509Certificate } from 'node:crypto'
import type { SecureContext } from 'node:tls'
import type { Timed } from '#src/io/deadlines.ts'
import { Pending } from '#src/io/pending.ts'
import { SHARED_BYTES } from '#src/io/read-buffer.ts'
import type { SecureSocket } from '#src/io/secure-socket.ts'
import { Wire, type TcpHandle, type WireOwner } from '#src/io/wire.ts'
import type { HandshakeFailureReason } from '#src/observe/counters.ts'
import { alertRecord, alerts, isHelloFault, MAX_HELLO_BYTES, readClientHello, type ClientHello, type HelloFault } from '#src/tls/hello.ts'
import type { Identity } from '#src/tls/identities.ts'
import { subjectText } from '#src/tls/subject.ts'
import type { ClientPolicy } from '#src/snapshot.ts'
import type { ClientConnection } from './client-connection.ts'
import { shakeHands } from './handshake.ts'
import type { DownstreamContext } from './context.ts'
import { clearProtocol, serveConnection } from './protocols.ts'
import { MAX_PROXY_HEADER_BYTES, readProxyHeader } from './proxy-header.ts'
import type { Peer } from './stream.ts'

/** What a listener knows of TLS. */
export interface TlsIdentities {
  /** Who we are under this name; undefined: nobody. */
  find(serverName: string): Identity | undefined
  contextOf(identity: Identity): SecureContext
  /** Those in force. */
  readonly policies: readonly ClientPolicy[]
}

export interface ArrivalOptions {
  readonly context: DownstreamContext
  /** Null: this listener is in the clear. */
  readonly tls: TlsIdentities | null
  /** A header of the PROXY protocol comes first. */
  readonly proxied: boolean
  /** In the clear, a client may begin with HTTP/2. */
  readonly h2c: boolean
  readonly handshakeMs: number
  /** What is known of a client by its address; false: it may have no more connections. */
  admit(arrival: Arrival, address: string, port: number): Peer | false
  /** It speaks HTTP from now on. */
  became(arrival: Arrival, connection: ClientConnection): void
  completed(resumed: boolean): void
  failed(reason: HandshakeFailureReason, address: string, serverName: string, detail: string): void
}

type Phase = 'proxy header' | 'hello' | 'preface' | 'handshake' | 'over'

export class Arrival implements ClientConnection, WireOwner, Timed {
  deadline = 0
  bucketTick = 0
  bucketPlace = 0
  place = -1
  peer: Peer
  readonly #options: ArrivalOptions
  readonly #wire: Wire
  #phase: Phase
  #kept: Pending | null = null
  #socket: SecureSocket | null = null
  #serverName = ''

  constructor(options: ArrivalOptions, handle: TcpHandle, peer: Peer) {
    this.#options = options
    this.peer = peer
    this.#phase = options.proxied ? 'proxy header' : options.tls === null ? 'preface' : 'hello'
    this.#wire = Wire.accept(options.context, this, handle)
    options.context.deadlines.arm(this, options.handshakeMs)
    this.#wire.start()
  }

  get idle(): boolean {
    return this.#phase !== 'handshake' && this.#kept === null
  }

  finish(): void {
    this.#end()
  }

  shut(): void {
    this.#end()
  }

  onRead(bytes: Buffer, from: number, to: number): void {
    if (this.#phase === 'handshake' || this.#phase === 'over') return
    if (this.#kept === null) return this.#advance(bytes, from, to)
    if (!this.#kept.append(bytes, from, to)) return this.#fail('other', 'too much before the first request')
    this.#advance(this.#kept.bytes, this.#kept.from, this.#kept.to)
  }

  onFlush(): void {
    // Alerts are small, and nothing follows them.
  }

  onEnd(): void {
    if (this.#phase === 'preface') this.#end()
    else if (this.#phase !== 'over') this.#fail('client_gone', this.#kept === null ? 'nothing was sent' : 'it ended')
  }

  onClose(error: string): void {
    if (this.#phase === 'preface') this.#end()
    else if (this.#phase !== 'handshake') this.#fail('client_gone', error)
  }

  expired(): void {
    if (this.#phase === 'preface') this.#end() // as an idle connection does
    else this.#fail('timeout', this.#phase)
  }

  #advance(bytes: Buffer, from: number, to: number): void {
    let at = from
    if (this.#phase === 'proxy header') {
      const header = readProxyHeader(bytes, at, to)
      if (header === undefined) return this.#keep(bytes, from, to)
      if (header === 'bad') return this.#fail('proxy_header', 'not a header of the PROXY protocol')
      at += header.length
      const peer = this.#options.admit(this, header.address === '' ? this.peer.address : header.address, header.port === 0 ? this.peer.localPort : header.port)
      if (peer === false) return this.#end()
      this.peer = peer
      this.#phase = this.#options.tls === null ? 'preface' : 'hello'
    }
    if (this.#phase === 'preface') {
      const protocol = this.#options.h2c ? clearProtocol(bytes, at, to) : ''
      if (protocol === undefined) this.#keep(bytes, at, to)
      else this.#serve(protocol, bytes, at, to)
      return
    }
    const hello = readClientHello(bytes, at, to)
    if (hello === undefined) this.#keep(bytes, at, to)
    else if (isHelloFault(hello)) this.#refuse(hello, bytes, at, to)
    else this.#handshake(hello, bytes, at, to)
  }

  #keep(bytes: Buffer, from: number, to: number): void {
    if (this.#kept === null) {
      if (from === to) return
      this.#kept = new Pending(MAX_HELLO_BYTES + MAX_PROXY_HEADER_BYTES + SHARED_BYTES)
      this.#kept.append(bytes, from, to)
    } else this.#kept.consume(from)
  }

  /** In the clear, whatever was meant: a plain listener behind its PROXY header, or plain HTTP on one that speaks TLS. */
  #serve(protocol: '' | 'h2', bytes: Buffer, from: number, to: number): void {
    this.#leave()
    this.#options.became(this, serveConnection(protocol, this.#options.context, this.#wire, this.peer))
    this.#wire.replay(bytes, from, to)
  }

  #refuse({ fault, detail }: HelloFault, bytes: Buffer, from: number, to: number): void {
    if (fault === 'plain_http') {
      this.#tell('plain_http', detail)
      this.peer = { ...this.peer, scheme: 'http', instead: 'plain_http' }
      return this.#serve('', bytes, from, to)
    }
    if (fault === 'not_tls') return this.#fail('not_tls', detail)
    this.#alert('bad_hello', `${fault}: ${detail}`, fault === 'ssl2' ? alerts.protocolVersion : alerts.decodeError)
  }

  #handshake({ serverName, protocols }: ClientHello, bytes: Buffer, from: number, to: number): void {
    const { tls } = this.#options
    this.#serverName = serverName
    const identity = tls?.find(serverName)
    if (tls === null || identity === undefined) {
      return this.#alert('unknown_name', serverName === '' ? 'no server name' : `offers ${protocols.join(' ')}`, alerts.unrecognizedName)
    }
    const { policies } = tls // those that `identity` is of: a reload before the handshake ends must not lend it newer ones
    const context = tls.contextOf(identity)
    const first = Buffer.from(bytes.subarray(from, to))
    this.#phase = 'handshake'
    this.#kept = null
    const handle = this.#wire.release()
    try {
      this.#socket = shakeHands(handle, {
        context, identity, first, into: this.#options.context.buffers.shared.view,
        done: (socket, client) => this.#guarded(socket, () => this.#secured(socket, identity.scope, policies, client)),
        failed: (reason, detail) => this.#guarded(null, () => this.#fail(reason, detail)),
      })
    } catch (error) {
      handle.close(() => undefined) // nobody else would
      this.#leave()
      this.#options.context.closed(this)
      throw error
    }
  }

  /** A mistake of ours in an event of the TLS socket ends this connection alone. */
  #guarded(socket: SecureSocket | null, callback: () => void): void {
    try {
      callback()
    } catch (error) {
      this.#options.context.boundaryError(error)
      socket?.destroy()
    }
  }

  #secured(socket: SecureSocket, scope: Identity['scope'], policies: readonly ClientPolicy[], client: X509Certificate | undefined): void {
    const options = this.#options
    options.completed(socket.isSessionReused())
    this.#leave()
    const subjectField = client === undefined ? '' : `X-Forwarded-Tls-Client-Subject: ${subjectText(client.subject)}\r\n`
    const tls = { serverName: this.#serverName, scope, policies, subjectField }
    const protocol = typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : ''
    options.became(this, serveConnection(protocol, options.context, socket, { ...this.peer, tls }))
  }

  #alert(reason: HandshakeFailureReason, detail: string, description: number): void {
    this.#tell(reason, detail)
    this.#leave()
    this.#options.context.closed(this)
    this.#wire.writeBuffer(alertRecord(description))
    this.#wire.finish()
  }

  #fail(reason: HandshakeFailureReason, detail: string): void {
    if (this.#phase === 'over') return
    this.#tell(reason, detail)
    this.#end()
  }

  #tell(reason: HandshakeFailureReason, detail: string): void {
    this.#options.failed(reason, this.peer.address, this.#serverName, detail)
  }

  #end(): void {
    if (this.#phase === 'over') return
    const socket = this.#socket
    this.#leave()
    this.#options.context.closed(this)
    if (socket === null) this.#wire.destroy()
    else socket.destroy()
  }

  #leave(): void {
    this.#phase = 'over'
    this.#kept = null
    this.#socket = null
    this.#options.context.deadlines.remove(this)
  }
}
