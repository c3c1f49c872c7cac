// A client's HTTP/2 connection: its session on its wire, what it costs to keep, and how it ends.
import { randomBytes } from 'node:crypto'
import type { Timed } from '#src/io/deadlines.ts'
import { Outbox, OUTBOX_BYTES } from '#src/io/outbox.ts'
import { Wire, type Accepted, type WireOwner } from '#src/io/wire.ts'
import { CANCEL, ENHANCE_YOUR_CALM, errorName, NO_ERROR } from '#src/http2/error-code.ts'
import type { Field } from '#src/http2/field.ts'
import { kindOfRequestField, requestFields } from '#src/http2/request-fields.ts'
import { RequestMemory } from '#src/http2/request-memory.ts'
import { Session, type SessionOwner } from '#src/http2/session.ts'
import { ENABLE_CONNECT_PROTOCOL, MAX_CONCURRENT_STREAMS, MAX_HEADER_LIST_SIZE, NO_RFC7540_PRIORITIES } from '#src/http2/settings.ts'
import type { Stream } from '#src/http2/stream.ts'
import type { ClientConnection } from './client-connection.ts'
import type { DownstreamContext } from './context.ts'
import { RequestStream, type StreamHome } from './http2-stream.ts'
import type { ClientGone, Peer } from './stream.ts'

/** After our FIN: how long we listen on, so that no reset overtakes what was written. */
const LINGER_MS = 2000
/** Between the two steps of going away, where the client does not answer our PING. */
const FAREWELL_MS = 1000
/** Octets a second that a client has to take while any wait for it: one that sips keeps what waits alive for ever. */
const LEAST_RATE = 256
/** Requests that a client may have open at once. */
const STREAMS = 128
/** Octets that a worker lends its clients of windows while services do not take their uploads: what one connection can have lent at most, twice. */
export const LENT_WINDOW = 64 * 1024 * 1024

type Phase = 'open' | 'announced' | 'leaving' | 'ending' | 'lingering' | 'closed'

export class Http2Connection implements ClientConnection, StreamHome, WireOwner, SessionOwner, Timed {
  deadline = 0
  bucketTick = 0
  bucketPlace = 0
  place = -1
  readonly peer: Peer
  readonly context: DownstreamContext
  readonly session: Session
  ending: ClientGone = 'client_abort'
  readonly #wire: Wire
  readonly #outbox: Outbox
  readonly #lastRequest = new RequestMemory()
  #phase: Phase = 'open'
  /** Something has begun that has to be complete in time: the greeting, a header block. */
  #inHead = false
  /** Nothing is read: the client has not taken what it was answered. */
  #held = false
  /** Octets written so far, and how many of them had been taken when that was looked at last. */
  #written = 0
  #lastWrite = 0
  #lastTaken = 0
  /** Since when no stream is open: what else comes, PINGs for instance, does not keep the connection. 0: one is. */
  #idleSince = 0

  constructor(context: DownstreamContext, accepted: Accepted, peer: Peer) {
    this.context = context
    this.peer = peer
    this.#wire = Wire.accept(context, this, accepted)
    this.#outbox = new Outbox(context.outboxes, (bytes) => this.#write(bytes))
    this.session = new Session({
      role: 'server', owner: this, outbox: this.#outbox, fields: requestFields, kindOf: kindOfRequestField,
      limits: { fields: context.limits.headers, bytes: context.headBytes },
      streams: STREAMS,
      loans: context.windowLoans,
      settings: [[MAX_CONCURRENT_STREAMS, STREAMS], [MAX_HEADER_LIST_SIZE, context.headBytes], [ENABLE_CONNECT_PROTOCOL, 1], [NO_RFC7540_PRIORITIES, 1]],
      now: () => context.deadlines.now,
      waiting: (change) => context.buffers.count(change),
    })
    this.#watch()
    if (context.draining) this.drain()
    this.#wire.start()
  }

  get idle(): boolean {
    return this.session.streams.open.size === 0 && !this.#inHead && this.#outbox.empty
  }

  /** Ends it in good order: what the client has sent since, it knows to be untaken (RFC 9113 6.8). */
  finish(): void {
    if (this.#phase !== 'open' && this.#phase !== 'announced') return
    this.#phase = 'leaving'
    this.session.goaway()
    if (this.session.streams.open.size === 0) this.#end()
  }

  /** Takes nothing new: first the client is told, and when it must have heard of it, it is meant. */
  drain(): void {
    if (this.#phase !== 'open') return
    this.#phase = 'announced'
    this.session.announceGoaway()
    this.session.writer.ping(emptyPing, 0, false)
    this.context.deadlines.arm(this, FAREWELL_MS)
  }

  shut(): void {
    this.#abandon('shutdown')
  }

  // ── its wire ──

  onRead(bytes: Buffer, from: number, to: number): void {
    if (this.#phase === 'ending' || this.#phase === 'lingering' || this.#phase === 'closed') return
    this.session.read(bytes, from, to)
    if (this.#outbox.busy && this.#outbox.at > OUTBOX_BYTES) this.#hold()
    if (this.#phase === 'open' || this.#phase === 'announced' || this.#phase === 'leaving') this.#watch()
  }

  onFlush(): void {
    this.#outbox.written()
    if (this.#outbox.at <= OUTBOX_BYTES) this.#unhold()
    if (this.#phase === 'ending' && this.#outbox.empty) this.#linger()
    else if (this.#phase !== 'closed' && this.#phase !== 'lingering') {
      this.session.drained()
      if (this.#outbox.empty) this.#watch()
    }
  }

  onEnd(): void {
    this.#abandon('client_abort')
  }

  onClose(): void {
    this.#abandon('client_abort')
  }

  /** Bodies wait for room in the outbox; heads, resets and answers to PINGs cannot, but what makes us write them can. */
  #hold(): void {
    if (this.#held) return
    this.#held = true
    this.#wire.hold()
  }

  #unhold(): void {
    if (!this.#held) return
    this.#held = false
    this.#wire.unhold()
  }

  #write(bytes: Buffer): boolean {
    const { deadlines, bodyMs } = this.context
    this.#written += bytes.length
    this.#lastWrite = bytes.length
    this.#wire.writeBuffer(bytes)
    if (this.#wire.flushed) return true
    if (this.deadline === 0) {
      this.#lastTaken = this.#written - bytes.length
      deadlines.arm(this, bodyMs) // from now on the client has to read something now and then
    }
    return false
  }

  /** The deadline that fits what the connection is doing. */
  #watch(): void {
    const { session, context } = this
    const { deadlines } = context
    if (this.#phase === 'announced') return
    const idle = session.streams.open.size === 0
    if (!idle) this.#idleSince = 0
    else if (this.#idleSince === 0) this.#idleSince = deadlines.now
    if (this.#outbox.busy) return // what is being written has a deadline of its own, whatever else comes or ends meanwhile
    const inHead = !session.settled || session.midway
    if (inHead !== this.#inHead) {
      this.#inHead = inHead
      if (inHead) deadlines.arm(this, context.headMs)
      else deadlines.disarm(this)
    }
    if (inHead) return
    if (idle) deadlines.arm(this, Math.max(0, this.#idleSince + context.keepAliveMs - deadlines.now))
    else deadlines.disarm(this)
  }

  expired(): void {
    const { unsent } = this.#wire
    const taken = this.#written - Math.min(unsent, this.#lastWrite) // one write at a time; TLS counts its octets before and behind its encryption
    const stalled = unsent > 0 && taken - this.#lastTaken < (LEAST_RATE * this.context.bodyMs) / 1000
    this.#lastTaken = taken
    if (this.#phase === 'lingering') this.#close()
    else if (stalled) this.#abandon('client_write_timeout')
    else if (unsent > 0) this.context.deadlines.arm(this, this.context.bodyMs) // a slow reader, but it reads
    else if (this.#phase === 'announced') this.finish()
    else if (this.#inHead && this.session.settled) this.session.fail(ENHANCE_YOUR_CALM, 'a frame not complete in time')
    else if (this.#inHead) this.#refuseSilence()
    else if (this.session.streams.open.size === 0) this.finish()
  }

  /** No greeting came: a client that says nothing gets no answer. */
  #refuseSilence(): void {
    this.context.refused(this.peer, { status: 408, reason: 'no HTTP/2 greeting in time' })
    this.#abandon('client_abort')
  }

  // ── its session ──

  opened(stream: Stream, fields: readonly Field[], count: number, tooLarge: boolean, end: boolean): void {
    const own = new RequestStream(this, stream)
    stream.owner = own
    if (tooLarge) return own.refuse({ status: 431, reason: 'head too large' })
    const request = this.#lastRequest.read(fields, count, end, this.context.limits.via, webSocketKey)
    if ('malformed' in request) own.malformed(request.malformed)
    else if ('reason' in request) own.refuse(request)
    else own.begin(request, end)
  }

  failed(code: number, reason: string): void {
    if (code !== NO_ERROR) this.context.refused(this.peer, { status: 400, reason: `HTTP/2 ${errorName(code)}: ${reason}` })
    this.#end()
  }

  goaway(): void {
    // The client opens nothing more; what it has open goes on.
  }

  settled(): void {
    // Windows and tables have changed already.
  }

  pong(): void {
    if (this.#phase === 'announced') this.finish()
  }

  emptied(): void {
    if (this.#phase === 'leaving') this.#end()
    else if (this.#phase === 'open') this.#watch()
  }

  /** All of the outbox, then FIN. */
  #end(): void {
    if (this.#phase === 'ending' || this.#phase === 'lingering' || this.#phase === 'closed') return
    this.#phase = 'ending'
    this.session.end(CANCEL)
    this.#outbox.flush()
    if (this.#outbox.empty) this.#linger()
    else this.context.deadlines.arm(this, this.context.bodyMs)
  }

  #linger(): void {
    this.#phase = 'lingering'
    this.#unhold()
    this.context.deadlines.arm(this, LINGER_MS)
    this.#wire.end()
  }

  #abandon(reason: ClientGone): void {
    if (this.#phase === 'closed') return
    this.ending = reason
    const { unsent } = this.#wire
    this.#close(unsent > 0 || this.session.streams.open.size > 0)
  }

  #close(broken = false): void {
    if (this.#phase === 'closed') return
    this.#phase = 'closed'
    this.#outbox.close()
    this.session.end(CANCEL)
    this.context.deadlines.remove(this)
    this.context.closed(this)
    if (broken) this.#wire.reset()
    else this.#wire.destroy()
  }
}

const emptyPing = Buffer.alloc(8)

/** Where an extended CONNECT goes on as HTTP/1.1's upgrade, the key is ours (RFC 6455 4.1). */
const webSocketKey = (): string => randomBytes(16).toString('base64')
