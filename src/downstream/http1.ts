// A client's HTTP/1.1 connection: reads requests one after the other, strictly, and writes their responses in the same order.
import type net from 'node:net'
import type { Deadlines, Timed } from '#src/io/deadlines.ts'
import { BODY_BYTES, SHARED_BYTES } from '#src/io/read-buffer.ts'
import { Pending } from '#src/io/pending.ts'
import { Wire, type WireContext, type WireOwner } from '#src/io/wire.ts'
import { BodyReader } from '#src/http1/body.ts'
import { frameChunk, lastChunk } from '#src/http1/chunked.ts'
import { isFault, parseRequestHead, type HeadFault, type RequestHead, type RequestHeadLimits } from '#src/http1/request-head.ts'
import { interimText, responseHeadText, UNKNOWN_LENGTH, upgradeText, type OutgoingHead } from '#src/http1/response-text.ts'
import type { ClientGone, Peer, RequestHandler, RequestSink, ResponseStream, TunnelSink } from './stream.ts'

/** What client connections of a worker share. Times in milliseconds. */
export interface DownstreamContext extends WireContext {
  readonly deadlines: Deadlines
  readonly headMs: number
  readonly bodyMs: number
  readonly keepAliveMs: number
  readonly headBytes: number
  readonly limits: RequestHeadLimits
  /** Take nothing new: every response ends its connection. */
  readonly draining: boolean
  readonly handle: RequestHandler
  /** A head that was refused; answered and closed by the connection itself. */
  refused(peer: Peer, fault: Refused): void
  closed(connection: Http1Connection): void
}

/** Why a head was not taken; 408 when it did not come in time. */
export type Refused = HeadFault | { readonly status: 408; readonly reason: string }

type Phase = 'head' | 'busy' | 'tunnel' | 'lingering' | 'closed'

/** After our FIN: how long, and for how many octets, we listen on, so that a reset does not overtake the answer. */
const LINGER_MS = 2000
const LINGER_BYTES = 1024 * 1024
const CR = 0x0d
const LF = 0x0a

export class Http1Connection implements WireOwner, Timed, ResponseStream {
  deadline = 0
  bucketTick = 0
  readonly peer: Peer
  readonly wire: Wire
  readonly #context: DownstreamContext
  #phase: Phase = 'head'
  #sink: RequestSink | null = null
  #tunnel: TunnelSink | null = null
  #pending: Pending | null = null
  /** A loop over pipelined requests is running: a request that is answered at once does not start another. */
  #advancing = false
  #holding = false
  // The request being read.
  #minor: 0 | 1 = 1
  #close = false
  #body: BodyReader | null = null
  #bodyDone = true
  // The response being written.
  #responseBegun = false
  #chunked = false
  #lastUnsent = 0
  #lingered = 0

  constructor(context: DownstreamContext, accepted: net.Socket, peer: Peer) {
    this.#context = context
    this.peer = peer
    this.wire = Wire.accept(context, this, accepted)
    context.deadlines.arm(this, context.headMs)
    this.wire.start()
  }

  get closed(): boolean {
    return this.#phase === 'closed' || this.#phase === 'lingering'
  }

  get requestDone(): boolean {
    return this.#bodyDone
  }

  /** Nothing is being answered: it can be closed without anybody noticing. */
  get idle(): boolean {
    return this.#phase === 'head' && this.#pending === null && this.wire.flushed
  }

  /** Ends an idle connection in good order. */
  finish(): void {
    this.#finishConnection()
  }

  /** Ends the connection; an exchange in progress is told why. */
  shut(): void {
    this.#abandon('shutdown')
  }

  onRead(bytes: Buffer, from: number, to: number): void {
    switch (this.#phase) {
      case 'head':
        if (this.#pending !== null || !this.wire.flushed) this.#keep(bytes, from, to)
        else this.#keep(bytes, this.#advance(bytes, from, to), to)
        if (this.#pending !== null && this.wire.flushed) this.#advancePending()
        return
      case 'busy':
        if (this.#bodyDone || this.#body === null) this.#keep(bytes, from, to)
        else this.#keep(bytes, this.#readBody(this.#body, bytes, from, to), to)
        return
      case 'tunnel':
        this.#tunnel?.data(bytes, from, to)
        return
      case 'lingering':
        this.#lingered += to - from
        if (this.#lingered > LINGER_BYTES) this.#destroy()
        return
      case 'closed':
    }
  }

  onFlush(): void {
    if (this.#phase === 'head' && this.#pending !== null) this.#advancePending()
  }

  onEnd(): void {
    if (this.#phase === 'tunnel') this.#tunnel?.end()
    else if (this.#phase === 'busy') this.#abandon('client_abort')
    else if (this.#phase === 'head') this.#finishConnection()
    else this.#destroy()
  }

  onClose(): void {
    this.#abandon('client_abort')
  }

  expired(): void {
    const { unsent } = this.wire
    const stalled = unsent > 0 && unsent === this.#lastUnsent
    this.#lastUnsent = unsent
    if (this.#phase === 'lingering') this.#destroy()
    else if (stalled) this.#abandon('client_write_timeout')
    else if (unsent > 0 || this.wire.held) this.#context.deadlines.arm(this, this.#context.bodyMs)
    else if (this.#phase === 'busy' && !this.#bodyDone) this.#breakOff('client_body_timeout', 408)
    else if (this.#phase === 'head') {
      if (this.#pending === null) this.#finishConnection()
      else this.#refuse({ status: 408, reason: 'head not complete in time' })
    }
  }

  interim(status: number, reason: string, fields: string): void {
    if (this.#minor === 1 && this.#phase === 'busy' && !this.#responseBegun) this.wire.writeText(interimText(status, reason, fields))
  }

  respond(head: OutgoingHead, bytes: Buffer, from: number, to: number, end: boolean, trailers: string, source: Wire): void {
    if (this.#phase !== 'busy') return
    const text = this.#headText(head)
    this.#chunked = head.length === UNKNOWN_LENGTH && this.#minor === 1 && !head.bodiless
    this.#write(text, bytes, from, to, end, trailers, source)
  }

  respondBody(bytes: Buffer, from: number, to: number, end: boolean, trailers: string, source: Wire): void {
    if (this.#phase === 'busy') this.#write('', bytes, from, to, end, trailers, source)
  }

  answer(head: OutgoingHead, body: string, close: boolean): void {
    if (this.#phase !== 'busy') return
    if (close) this.#close = true
    this.wire.writeText(this.#headText(head) + (head.bodiless ? '' : body))
    this.#responseOver()
  }

  cut(): void {
    if (this.#phase === 'closed') return
    this.#sink = null
    this.#leave()
    this.wire.reset()
  }

  tunnel(fields: string, protocol: string, sink: TunnelSink): void {
    this.#phase = 'tunnel'
    this.#sink = null
    this.#tunnel = sink
    this.#responseBegun = true
    this.#context.deadlines.disarm(this)
    this.wire.writeText(upgradeText(fields, protocol))
    const pending = this.#takePending()
    if (pending !== null) sink.data(pending.bytes, pending.from, pending.to)
  }

  #headText(head: OutgoingHead): string {
    this.#responseBegun = true
    if (this.#context.draining || !this.#bodyDone || (head.length === UNKNOWN_LENGTH && this.#minor === 0 && !head.bodiless)) this.#close = true
    return responseHeadText(head, this.#minor, this.#close)
  }

  #write(text: string, bytes: Buffer, from: number, to: number, end: boolean, trailers: string, source: Wire): void {
    if (!this.#chunked || from === to) {
      const tail = this.#chunked && end ? text + lastChunk(trailers) : text
      if (to > from) this.wire.pass(text, bytes, from, to, source)
      else if (tail !== '') this.wire.writeText(tail)
    } else {
      const begin = frameChunk(bytes, from, to)
      const last = end && trailers === '' ? bytes.latin1Write(lastChunk(''), to + 2) : 0
      this.wire.pass(text, bytes, begin, to + 2 + last, source)
      if (end && trailers !== '') this.wire.writeText(lastChunk(trailers))
    }
    if (end) {
      source.endBody(this.wire)
      this.#responseOver()
    } else if (!this.wire.flushed) this.#watchWriting()
  }

  /** The client reads slower than we write: from now on it has to read something now and then. */
  #watchWriting(): void {
    if (this.deadline !== 0) return
    this.#lastUnsent = 0
    this.#context.deadlines.arm(this, this.#context.bodyMs)
  }

  #responseOver(): void {
    this.#sink = null
    if (this.#close || (this.#context.draining && this.#pending === null)) {
      this.#finishConnection()
      return
    }
    this.#phase = 'head'
    this.#responseBegun = false
    this.#lastUnsent = 0
    this.#context.deadlines.arm(this, this.#context.keepAliveMs)
    if (this.#pending !== null && !this.#advancing && this.wire.flushed) this.#advancePending()
  }

  /** Keeps what cannot be used yet; a client that sends more than a head's worth ahead has to wait. */
  #keep(bytes: Buffer, from: number, to: number): void {
    if (from >= to || this.closed) return
    this.#pending ??= new Pending(BODY_BYTES + SHARED_BYTES)
    if (this.#pending.size === 0 && this.#phase === 'head') this.#context.deadlines.arm(this, this.#context.headMs)
    this.#pending.append(bytes, from, to)
    if (this.#pending.size < this.#context.headBytes || this.#holding) return
    this.#holding = true
    this.wire.hold()
  }

  #takePending(): Pending | null {
    const pending = this.#pending
    this.#pending = null
    if (this.#holding) {
      this.#holding = false
      this.wire.unhold()
    }
    return pending
  }

  #advancePending(): void {
    const pending = this.#pending
    if (pending === null || this.#advancing || this.#phase !== 'head') return
    const end = pending.headEnd()
    if (end < 0) {
      this.#checkPartial(pending)
      return
    }
    pending.consume(this.#advance(pending.bytes, pending.from, pending.to))
    if (pending.size === 0) this.#takePending()
    else if (this.#phase === 'head' && this.wire.flushed) {
      this.#context.deadlines.arm(this, this.#context.headMs)
      if (pending.headEnd() < 0) this.#checkPartial(pending)
    }
  }

  /** A head that is too long, or that no CRLF will ever end, is refused before it is complete. */
  #checkPartial(pending: Pending): void {
    if (pending.size >= this.#context.headBytes) this.#refuse(tooLarge(pending))
    else if (pending.bareLineFeed()) this.#refuse({ status: 400, reason: 'bare LF' })
    else if (this.#holding) this.#unholdForHead()
  }

  #unholdForHead(): void {
    this.#holding = false
    this.wire.unhold()
  }

  /** Begins requests as long as each is answered at once; returns the first octet that was not used. */
  #advance(bytes: Buffer, from: number, to: number): number {
    this.#advancing = true
    let at = from
    while (this.#phase === 'head' && this.wire.flushed) {
      at = skipEmptyLines(bytes, at, to)
      const end = bytes.indexOf('\r\n\r\n', at, 'latin1')
      if (end < 0 || end + 4 > to) break
      at = this.#begin(bytes, at, end, to)
    }
    this.#advancing = false
    return this.closed ? to : at
  }

  #begin(bytes: Buffer, from: number, end: number, to: number): number {
    const context = this.#context
    const head = end - from > context.headBytes ? tooLarge({ bytes, from, to }) : parseRequestHead(bytes.latin1Slice(from, end + 2), context.limits)
    if (isFault(head)) {
      this.#refuse(head)
      return to
    }
    context.deadlines.disarm(this)
    this.#phase = 'busy'
    this.#minor = head.minor
    this.#close = head.close
    const at = end + 4
    if (head.contentLength === 0) {
      this.#bodyDone = true
      this.#hand(head, bytes, at, at, true, '')
      return at
    }
    const body = new BodyReader(head.contentLength)
    const result = body.read(bytes, at, to)
    if (result === 'bad') {
      this.#refuse({ status: 400, reason: body.fault })
      return to
    }
    this.#bodyDone = result === 'done'
    this.#body = body
    if (!this.#bodyDone) context.deadlines.arm(this, context.bodyMs)
    if (head.contentLength > SHARED_BYTES && !this.#bodyDone) this.wire.readLongBody()
    this.#hand(head, bytes, body.start, body.end, this.#bodyDone, body.trailers)
    return body.next
  }

  #hand(head: RequestHead, bytes: Buffer, from: number, to: number, end: boolean, trailers: string): void {
    const sink = this.#context.handle(this, head, bytes, from, to, end, trailers)
    if (this.#phase === 'busy') this.#sink = sink
  }

  /** Returns the first octet behind the body. */
  #readBody(body: BodyReader, bytes: Buffer, from: number, to: number): number {
    const result = body.read(bytes, from, to)
    if (result === 'bad') {
      this.#breakOff('malformed_body', 400)
      return to
    }
    if (result === 'done') {
      this.#bodyDone = true
      this.#context.deadlines.disarm(this)
    } else {
      this.#context.deadlines.arm(this, this.#context.bodyMs)
      if (body.passed > SHARED_BYTES) this.wire.readLongBody()
    }
    this.#sink?.requestBody(bytes, body.start, body.end, this.#bodyDone, body.trailers)
    return body.next
  }

  /** The client breaks the rules, or stops, in the middle of its body. */
  #breakOff(reason: ClientGone, status: number): void {
    const sink = this.#sink
    this.#sink = null
    if (this.#responseBegun) this.cut()
    else {
      this.#close = true
      this.wire.writeText(this.#headText(plainAnswer(status)))
      this.#finishConnection()
    }
    sink?.clientGone(reason)
  }

  /** Answers a head that cannot be used, and ends the connection: whatever follows could be read in two ways. */
  #refuse(fault: Refused): void {
    this.#takePending()
    this.#context.refused(this.peer, fault)
    this.#minor = 1
    this.#close = true
    this.wire.writeText(responseHeadText(plainAnswer(fault.status), 1, true))
    this.#finishConnection()
  }

  /** Nothing more to write: FIN, and then listen for a moment, so that no reset overtakes what was written. */
  #finishConnection(): void {
    if (this.closed) return
    this.#takePending()
    this.#phase = 'lingering'
    this.#context.deadlines.arm(this, LINGER_MS)
    this.wire.end()
  }

  #abandon(reason: ClientGone): void {
    const sink = this.#sink
    const tunnel = this.#tunnel
    this.#sink = null
    this.#tunnel = null
    this.#destroy()
    sink?.clientGone(reason)
    tunnel?.gone()
  }

  #destroy(): void {
    this.#leave()
    this.wire.destroy()
  }

  #leave(): void {
    if (this.#phase === 'closed') return
    this.#phase = 'closed'
    this.#context.deadlines.remove(this)
    this.#context.closed(this)
  }
}

const plainAnswer = (status: number): OutgoingHead => ({ status, reason: '', fields: '', length: 0, bodiless: false })

/** 414 when the request line alone is too long, else 431. */
function tooLarge(part: { readonly bytes: Buffer; readonly from: number; readonly to: number }): HeadFault {
  const line = part.bytes.indexOf('\r\n', part.from, 'latin1')
  return line < 0 || line >= part.to ? { status: 414, reason: 'target too long' } : { status: 431, reason: 'head too large' }
}

/** Empty lines before a request are passed over (RFC 9112 2.2): clients of old sent them after a body. */
function skipEmptyLines(bytes: Buffer, from: number, to: number): number {
  let at = from
  while (at + 1 < to && at < from + 4 && bytes[at] === CR && bytes[at + 1] === LF) at += 2
  return at
}
