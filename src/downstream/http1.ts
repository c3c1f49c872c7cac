// A client's HTTP/1.1 connection: reads requests one after the other, strictly, and writes their responses in the same order.
import type { Timed } from '#src/io/deadlines.ts'
import { SHARED_BYTES } from '#src/io/read-buffer.ts'
import { Wire, type Accepted, type Source, type WireOwner } from '#src/io/wire.ts'
import { BodyReader } from '#src/http1/body.ts'
import { isFault, type RequestHead } from '#src/http1/request-head.ts'
import { interimText, responseHeadText, UNKNOWN_LENGTH, upgradeText, type OutgoingHead } from '#src/http1/response-text.ts'
import { Ahead } from './ahead.ts'
import type { ClientConnection } from './client-connection.ts'
import type { DownstreamContext } from './context.ts'
import { writeSpan } from './response-span.ts'
import type { ClientGone, Peer, Refused, RequestSink, ResponseStream, TunnelSink } from './stream.ts'

type Phase = 'head' | 'busy' | 'tunnel' | 'lingering' | 'closed'

/** After our FIN: how long, and for how many octets, we listen on, so that a reset does not overtake the answer. */
const LINGER_MS = 2000
const LINGER_BYTES = 1024 * 1024

export class Http1Connection implements ClientConnection, WireOwner, Timed, ResponseStream {
  deadline = 0
  bucketTick = 0
  bucketPlace = 0
  place = -1
  readonly peer: Peer
  readonly wire: Wire
  readonly #context: DownstreamContext
  #phase: Phase = 'head'
  #sink: RequestSink | null = null
  #tunnel: TunnelSink | null = null
  readonly #ahead: Ahead
  /** A loop over pipelined requests is running: a request that is answered at once does not start another. */
  #advancing = false
  #holding = false
  // The request being read.
  #minor: 0 | 1 = 1
  #close = false
  /** The client has said that it sends no further request. */
  #lastRequest = false
  #body: BodyReader | null = null
  #bodyDone = true
  // The response being written.
  #responseBegun = false
  #chunked = false
  #lastUnsent = 0
  #lingered = 0

  constructor(context: DownstreamContext, accepted: Accepted, peer: Peer) {
    this.#context = context
    this.#ahead = new Ahead(context)
    this.peer = peer
    this.wire = Wire.accept(context, this, accepted)
    context.deadlines.arm(this, context.headMs)
    this.wire.start()
  }

  get closed(): boolean {
    return this.#phase === 'closed' || this.#phase === 'lingering'
  }

  get source(): Source {
    return this.wire
  }

  /** Nothing is being answered: it can be closed without anybody noticing. */
  get idle(): boolean {
    return this.#phase === 'head' && this.#ahead.size === 0 && this.wire.flushed
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
        this.#keep(bytes, this.#ahead.size > 0 ? from : this.#advance(bytes, from, to), to)
        this.#advanceKept()
        return
      case 'busy':
        if (this.#bodyDone || this.#body === null) this.#keep(bytes, from, to)
        else this.#keep(bytes, this.#readBody(this.#body, bytes, from, to), to)
        return
      case 'tunnel':
        this.#tunnel?.data(bytes, from, to)
        return
      case 'lingering':
        // Who sends on and on is not read any more: the deadline ends it, and until then the answer can be read.
        if (this.#lingered <= LINGER_BYTES && (this.#lingered += to - from) > LINGER_BYTES) this.wire.hold()
        return
      case 'closed':
    }
  }

  onFlush(): void {
    if (this.#phase === 'lingering') this.#context.deadlines.arm(this, LINGER_MS) // all of the answer has left: from here on
    else if (this.#context.draining && this.idle) this.#finishConnection()
    else this.#advanceKept()
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
    if (stalled) this.#abandon('client_write_timeout')
    else if (unsent > 0) this.#context.deadlines.arm(this, this.#context.bodyMs) // a slow reader, but it reads
    else if (this.#phase === 'lingering') this.#destroy()
    else if (this.wire.held) this.#context.deadlines.arm(this, this.#context.bodyMs) // it is we who do not read
    else if (this.#phase === 'busy' && !this.#bodyDone) this.#breakOff('client_body_timeout', 408)
    else if (this.#phase === 'head') {
      if (this.#ahead.size === 0) this.#finishConnection()
      else this.#refuse({ status: 408, reason: 'head not complete in time' })
    }
  }

  interim(status: number, reason: string, fields: string): void {
    if (this.#minor === 1 && this.#phase === 'busy' && !this.#responseBegun) this.wire.writeText(interimText(status, reason, fields))
  }

  respond(head: OutgoingHead, bytes: Buffer, from: number, to: number, end: boolean, trailers: string, source: Source): void {
    if (this.#phase !== 'busy') return
    const text = this.#headText(head)
    this.#chunked = head.length === UNKNOWN_LENGTH && this.#minor === 1 && !head.bodiless
    this.#write(text, bytes, from, to, end, trailers, source)
  }

  respondBody(bytes: Buffer, from: number, to: number, end: boolean, trailers: string, source: Source): void {
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
    this.#reset()
  }

  tunnel(fields: string, protocol: string, sink: TunnelSink): void {
    this.#phase = 'tunnel'
    this.#sink = null
    this.#tunnel = sink
    this.#responseBegun = true
    this.#context.deadlines.disarm(this)
    this.wire.writeText(upgradeText(fields, protocol))
    const kept = this.#ahead.take()
    this.#readOn()
    if (kept !== null) sink.data(kept.bytes, kept.from, kept.to)
  }

  pass(bytes: Buffer, from: number, to: number, source: Source): void {
    this.wire.pass('', bytes, from, to, source)
  }

  end(): void {
    this.wire.end()
  }

  #headText(head: OutgoingHead): string {
    this.#responseBegun = true
    if (this.#context.draining || !this.#bodyDone || (head.length === UNKNOWN_LENGTH && this.#minor === 0 && !head.bodiless)) this.#close = true
    return responseHeadText(head, this.#minor, this.#close)
  }

  #write(text: string, bytes: Buffer, from: number, to: number, end: boolean, trailers: string, source: Source): void {
    writeSpan(this.wire, this.#chunked, text, bytes, from, to, end, trailers, source)
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
    this.#body = null
    if (this.#close || this.#context.draining) {
      this.#finishConnection(this.#lastRequest && this.#bodyDone && this.#ahead.size === 0)
      return
    }
    this.#phase = 'head'
    this.#responseBegun = false
    this.#lastUnsent = 0
    // What has come of the next head while this was answered is a head that has begun.
    this.#context.deadlines.arm(this, this.#ahead.size === 0 ? this.#context.keepAliveMs : this.#context.headMs)
    this.#advanceKept()
  }

  /** Keeps what cannot be used yet; a client that sends more than a head's worth ahead has to wait. */
  #keep(bytes: Buffer, from: number, to: number): void {
    if (from >= to || this.closed) return
    if (this.#phase === 'head' && this.#ahead.size === 0) this.#context.deadlines.arm(this, this.#context.headMs)
    this.#ahead.keep(bytes, from, to)
    if (!this.#ahead.full || this.#holding) return
    this.#holding = true
    this.wire.hold()
  }

  /** What made us stop reading has been used. */
  #readOn(): void {
    if (!this.#holding || this.#ahead.full) return
    this.#holding = false
    this.wire.unhold()
  }

  /** Begins what was kept, unless its turn has not come; a head that can never be complete is refused at once. */
  #advanceKept(): void {
    const ahead = this.#ahead
    if (ahead.size === 0 || this.#advancing || this.#phase !== 'head' || !this.wire.flushed) return
    const kept = ahead.usable
    if (kept !== null) {
      ahead.consume(this.#advance(kept.bytes, kept.from, kept.to))
      if (ahead.size > 0 && this.#phase === 'head') this.#context.deadlines.arm(this, this.#context.headMs)
    }
    if (this.#phase === 'head' && this.wire.flushed) {
      const fault = ahead.fault()
      if (fault !== undefined) return this.#refuse(fault)
    }
    this.#readOn()
  }

  /** Begins requests as long as each is answered at once; returns the first octet that was not used. */
  #advance(bytes: Buffer, from: number, to: number): number {
    this.#advancing = true
    let at = from
    while (this.#phase === 'head' && this.wire.flushed) {
      const head = this.#ahead.find(bytes, at, to)
      at = this.#ahead.next
      if (head === undefined) break
      if (isFault(head)) this.#refuse(head)
      else at = this.#begin(head, bytes, at, to)
    }
    this.#advancing = false
    return this.closed ? to : at
  }

  /** Begins a request whose head ends before `at`; returns the first octet behind it. */
  #begin(head: RequestHead, bytes: Buffer, at: number, to: number): number {
    const context = this.#context
    context.deadlines.disarm(this)
    this.#minor = head.minor
    this.#close = head.close
    // Clients of old send a stray CRLF behind a body: after one we listen a while.
    this.#lastRequest = head.close && head.contentLength === 0
    if (head.contentLength === 0) {
      this.#phase = 'busy'
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
    this.#phase = 'busy'
    this.#bodyDone = result === 'done'
    this.#body = body
    if (!this.#bodyDone) context.deadlines.arm(this, context.bodyMs)
    this.#hand(head, bytes, body.start, body.end, this.#bodyDone, body.trailers)
    if (head.contentLength > SHARED_BYTES && this.#phase === 'busy' && !this.#bodyDone) this.wire.readLongBody()
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
      if (!this.wire.flushed) this.#watchWriting() // it was answered while it sent, and does not read
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
    this.#context.refused(this.peer, fault)
    this.#minor = 1
    this.#close = true
    this.wire.writeText(responseHeadText(plainAnswer(fault.status), 1, true))
    this.#finishConnection()
  }

  /**
   * Nothing more to write: FIN, and then listen for a moment, so that no reset overtakes what was written. There is no need to
   * listen to a `silent` client, which said that it sends nothing more.
   */
  #finishConnection(silent = false): void {
    if (this.closed) return
    this.#phase = 'lingering'
    this.#ahead.drop()
    this.#readOn()
    this.#lastUnsent = 0
    this.#context.deadlines.arm(this, LINGER_MS)
    if (silent) this.wire.finish()
    else this.wire.end()
  }

  #abandon(reason: ClientGone): void {
    const sink = this.#sink
    const tunnel = this.#tunnel
    this.#sink = null
    this.#tunnel = null
    // A FIN would make what was sent look complete to whoever reads up to the end.
    if (this.wire.unsent > 0 || (this.#phase === 'busy' && this.#responseBegun)) this.#reset()
    else this.#destroy()
    sink?.clientGone(reason)
    tunnel?.gone(reason)
  }

  #destroy(): void {
    this.#leave()
    this.wire.destroy()
  }

  #reset(): void {
    this.#leave()
    this.wire.reset()
  }

  #leave(): void {
    if (this.#phase === 'closed') return
    this.#phase = 'closed'
    this.#ahead.drop()
    this.#context.deadlines.remove(this)
    this.#context.closed(this)
  }
}

const plainAnswer = (status: number): OutgoingHead => ({ status, reason: '', fields: '', length: 0, bodiless: false })
