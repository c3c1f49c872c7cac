// One request of a client's HTTP/2 connection: its body and trailers, checked, go to the exchange; the answer goes out as frames.
import type { Timed } from '#src/io/deadlines.ts'
import type { Source } from '#src/io/wire.ts'
import { CHUNKED } from '#src/http1/body.ts'
import { withoutFields } from '#src/http1/fields.ts'
import type { HeadFault } from '#src/http1/request-head.ts'
import type { OutgoingHead } from '#src/http1/response-text.ts'
import { CANCEL, INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR } from '#src/http2/error-code.ts'
import type { Field } from '#src/http2/field.ts'
import { parsePriority } from '#src/http2/priority.ts'
import { readTrailers, type Http2Request } from '#src/http2/request-fields.ts'
import type { Session } from '#src/http2/session.ts'
import type { Stream, StreamOwner } from '#src/http2/stream.ts'
import type { DownstreamContext } from './context.ts'
import type { ClientGone, Peer, RequestSink, ResponseStream, TunnelSink } from './stream.ts'

/** The connection of a stream. */
export interface StreamHome {
  readonly peer: Peer
  readonly context: DownstreamContext
  readonly session: Session
  /** Why its streams end, should they. */
  readonly ending: ClientGone
}

/** Empty, with room on both sides. */
const nothing = Buffer.alloc(32)

export class RequestStream implements ResponseStream, StreamOwner, Timed {
  deadline = 0
  bucketTick = 0
  bucketPlace = 0
  readonly #connection: StreamHome
  readonly #stream: Stream
  #sink: RequestSink | null = null
  #tunnel: TunnelSink | null = null
  /** Octets of the body that were announced; below 0: it ends when it ends. */
  #length = -1
  #received = 0
  #bodyDone = false
  #responseBegun = false
  /** What the client said before the tunnel that it asks for was there; null where it asks for none. */
  #early: Buffer | null = null
  #earlySize = 0
  /** A call of gRPC, whose client may be silent. */
  #isCall = false
  /** For how long it has been, as far as that was looked at, and what had come of its body by then. */
  #silentMs = 0
  #receivedThen = -1
  #lastSent = 0
  /** On the connection, when the deadline was last looked at. */
  #receivedBefore = 0

  constructor(connection: StreamHome, stream: Stream) {
    this.#connection = connection
    this.#stream = stream
  }

  get peer(): Peer {
    return this.#connection.peer
  }

  get source(): Source {
    return this.#stream
  }

  /** The head was read: the exchange begins. */
  begin({ head, priority, connect }: Http2Request, end: boolean): void {
    const { context } = this.#connection
    this.#length = connect ? -1 : head.contentLength
    this.#bodyDone = end
    if (connect) this.#early = nothing.subarray(0, 0)
    if (!end && head.contentLength === CHUNKED) this.#isCall = head.fields.includes('content-type: application/grpc')
    if (priority !== '') this.#stream.priority = parsePriority(priority)
    const sink = context.handle(this, head, nothing, 16, 16, end, '')
    if (this.#stream.over || this.#responseBegun) return
    this.#sink = sink
    if (this.#bodyDone || connect) return // who waits for a tunnel need not speak
    this.#receivedBefore = this.#stream.connectionReceived
    context.deadlines.arm(this, context.bodyMs)
  }

  /** A head that cannot be used, but can be answered. */
  refuse(fault: HeadFault): void {
    this.#connection.context.refused(this.peer, fault)
    this.answer({ status: fault.status, reason: '', fields: '', length: 0, bodiless: false }, '')
  }

  /** A head, or a body, against the rules of the protocol: the stream is reset (RFC 9113 8.1.1). */
  malformed(reason: string): void {
    const { context, session } = this.#connection
    const sink = this.#sink
    this.#leave()
    this.#stream.reset(PROTOCOL_ERROR)
    if (sink === null) context.refused(this.peer, { status: 400, reason })
    else sink.clientGone('malformed_body')
    session.spendReset()
  }

  // ── what comes ──

  headers(fields: readonly Field[], count: number, tooLarge: boolean): void {
    const lines = tooLarge ? undefined : readTrailers(fields, count)
    if (lines === undefined || (this.#length >= 0 && this.#received !== this.#length)) return this.malformed('malformed trailers')
    if (this.#tunnel !== null) return this.malformed('trailers in a tunnel')
    this.#takeEnd()
    this.#sink?.requestBody(nothing, 16, 16, true, lines)
  }

  data(bytes: Buffer, from: number, to: number, end: boolean): void {
    const tunnel = this.#tunnel
    if (tunnel !== null) {
      if (to > from) tunnel.data(bytes, from, to)
      if (end) tunnel.end()
      return
    }
    if (this.#early !== null) return this.#takeEarly(this.#early, bytes, from, to, end)
    this.#received += to - from
    if (this.#length >= 0 && (this.#received > this.#length || (end && this.#received !== this.#length))) return this.malformed('a body of another length than content-length')
    const sink = this.#sink
    if (end) this.#takeEnd()
    else if (sink !== null) {
      this.#receivedBefore = this.#stream.connectionReceived
      this.#connection.context.deadlines.arm(this, this.#connection.context.bodyMs)
    }
    sink?.requestBody(bytes, from, to, end, '')
  }

  /** Nobody may have it before the tunnel is there: a service over HTTP/1.1 would take it for a request. The client gets no window beyond its first. */
  #takeEarly(early: Buffer, bytes: Buffer, from: number, to: number, end: boolean): void {
    if (end) this.#takeEnd()
    if (this.#responseBegun || from === to) return
    const kept = this.#earlySize
    const size = kept + to - from
    if (kept === 0) this.#stream.hold()
    if (size > early.length) {
      const larger = Buffer.allocUnsafe(2 * size) // by doubling, so that tiny pieces cost what they hold
      early.copy(larger, 0, 0, kept)
      this.#early = larger
    }
    bytes.copy(this.#early!, kept, from, to)
    this.#earlySize = size
    this.#connection.context.buffers.count(to - from)
  }

  /** What was kept, which is for the tunnel or for nobody. */
  #releaseEarly(): Buffer | null {
    const early = this.#early
    const size = this.#earlySize
    this.#early = null
    this.#earlySize = 0
    if (early === null || size === 0) return null
    this.#connection.context.buffers.count(-size)
    this.#stream.unhold()
    return early.subarray(0, size)
  }

  #takeEnd(): void {
    this.#bodyDone = true
    this.#connection.context.deadlines.disarm(this)
    if (this.#stream.blocked) this.#watchWriting()
  }

  gone(): void {
    this.#goneBecause(this.#connection.ending)
  }

  unblocked(): void {
    if (this.#bodyDone) this.#connection.context.deadlines.disarm(this)
  }

  closed(): void {
    const tunnel = this.#tunnel
    this.#leave()
    tunnel?.gone('client_abort') // after both ends, which is an orderly one
  }

  localEnd(): void {
    if (this.#tunnel !== null) return
    this.#leave()
    this.#stream.reset(NO_ERROR) // all is answered: the rest of the body need not come (RFC 9113 8.1)
  }

  expired(): void {
    const { deadlines, bodyMs } = this.#connection.context
    const stream = this.#stream
    if (stream.over) return
    if (stream.blocked) {
      if (stream.sendProgress === this.#lastSent) return this.#breakOff('client_write_timeout', 0)
      this.#lastSent = stream.sendProgress
    } else if (this.#bodyDone) return
    else if (!this.#mayPause() && !stream.excused(this.#receivedBefore)) return this.#breakOff('client_body_timeout', 408)
    this.#receivedBefore = stream.connectionReceived
    deadlines.arm(this, bodyMs)
  }

  /** Another `bodyMs` of silence: nothing wrong in a stream of messages. Once it is answered the endpoint's silence has a limit; until then its client's has, who may be no more. */
  #mayPause(): boolean {
    if (this.#length >= 0 || this.#responseBegun || !this.#isCall) return this.#length < 0 && this.#responseBegun
    const { bodyMs, tunnelIdleMs } = this.#connection.context
    this.#silentMs = this.#received === this.#receivedThen ? this.#silentMs + bodyMs : bodyMs
    this.#receivedThen = this.#received
    return this.#silentMs < tunnelIdleMs
  }

  /** The client stops in the middle of its body, or of reading ours. */
  #breakOff(reason: ClientGone, status: number): void {
    const sink = this.#sink
    const tunnel = this.#tunnel
    this.#sink = null
    this.#tunnel = null
    if (status > 0 && !this.#responseBegun) this.answer({ status, reason: '', fields: '', length: 0, bodiless: false }, '')
    this.#leave()
    this.#stream.reset(CANCEL)
    sink?.clientGone(reason)
    tunnel?.gone(reason)
  }

  #goneBecause(reason: ClientGone): void {
    const sink = this.#sink
    const tunnel = this.#tunnel
    this.#leave()
    sink?.clientGone(reason)
    tunnel?.gone(reason)
  }

  /** Nobody here waits for anything any more. */
  #leave(): void {
    this.#sink = null
    this.#tunnel = null
    this.#releaseEarly()
    if (this.bucketTick !== 0) this.#connection.context.deadlines.remove(this)
  }

  // ── what goes ──

  interim(status: number, _reason: string, fields: string): void {
    if (!this.#stream.over && !this.#responseBegun) this.#writeHead(status, fields, -1, false)
  }

  respond(head: OutgoingHead, bytes: Buffer, from: number, to: number, end: boolean, trailers: string, source: Source): void {
    if (this.#stream.over) return
    const empty = from === to && end && trailers === ''
    // An empty body needs no field that says so: the frame does.
    const length = empty && head.length === 0 && !head.bodiless ? -1 : head.length
    this.#responseBegun = true
    this.#writeHead(head.status, head.fields, length, empty)
    if (!empty) this.respondBody(bytes, from, to, end, trailers, source)
    else this.#over(source)
  }

  respondBody(bytes: Buffer, from: number, to: number, end: boolean, trailers: string, source: Source): void {
    const stream = this.#stream
    if (stream.over) return
    stream.send(bytes, from, to, end, trailers, source)
    if (stream.blocked) this.#watchWriting()
    if (end) this.#over(source)
  }

  answer(head: OutgoingHead, body: string): void {
    const stream = this.#stream
    if (stream.over || this.#responseBegun) return
    this.#responseBegun = true
    const empty = head.bodiless || body === ''
    this.#writeHead(head.status, head.fields, head.length, empty)
    this.#sink = null
    if (empty) {
      stream.localEnded()
      return
    }
    const bytes = Buffer.from(body, 'latin1')
    stream.send(bytes, 0, bytes.length, true, '', stream)
    if (stream.blocked) this.#watchWriting()
  }

  cut(): void {
    this.#leave()
    this.#stream.reset(INTERNAL_ERROR)
  }

  tunnel(fields: string, _protocol: string, sink: TunnelSink): void {
    const stream = this.#stream
    this.#sink = null
    this.#tunnel = sink
    this.#responseBegun = true
    this.#connection.context.deadlines.disarm(this)
    this.#writeHead(200, withoutFields(fields, ofHandshake), -1, false)
    const early = this.#releaseEarly()
    if (early !== null) sink.data(early, 0, early.length)
    if (stream.remoteClosed) sink.end()
  }

  pass(bytes: Buffer, from: number, to: number, source: Source): void {
    const stream = this.#stream
    stream.send(bytes, from, to, false, '', source)
    if (stream.blocked) this.#watchWriting()
  }

  end(): void {
    this.#stream.send(nothing, 16, 16, true, '', this.#stream)
  }

  shut(): void {
    this.#leave()
    this.#stream.reset(CANCEL)
  }

  #writeHead(status: number, fields: string, length: number, end: boolean): void {
    const { writer } = this.#connection.session
    const { encoder } = writer
    let at = writer.openBlock(fields.length)
    const { bytes } = writer
    at = encoder.lines(bytes, encoder.status(bytes, at, status), fields)
    if (length >= 0) at = encoder.length(bytes, at, length)
    writer.closeBlock(this.#stream.id, at, end)
  }

  /** The last octets are handed over; they may still wait for a window. */
  #over(source: Source): void {
    this.#sink = null
    source.endBody(null)
    const stream = this.#stream
    if (stream.over || stream.localClosed || stream.blocked) return
    stream.localEnded() // END_STREAM was on the head
  }

  /** The client reads slower than we write: from now on it has to open a window now and then. */
  #watchWriting(): void {
    if (this.deadline !== 0) return
    this.#lastSent = this.#stream.sendProgress
    this.#connection.context.deadlines.arm(this, this.#connection.context.bodyMs)
  }
}

/** What belongs to the upgrade of HTTP/1.1 alone (RFC 8441 5). */
const ofHandshake: ReadonlySet<string> = new Set(['sec-websocket-accept'])
