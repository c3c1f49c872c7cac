// One connection to an endpoint: sends a request, reads its response strictly, and says how it ended.
import type { Deadlines, Timed } from '#src/io/deadlines.ts'
import { SHARED_BYTES } from '#src/io/read-buffer.ts'
import { Pending } from '#src/io/pending.ts'
import { Wire, type Dial, type Source, type WireContext, type WireOwner } from '#src/io/wire.ts'
import { BodyReader } from '#src/http1/body.ts'
import { parseResponseHead, type ResponseHead } from '#src/http1/response-head.ts'
import type { ResponseSink, UpstreamFailure, UpstreamRequest, UpstreamStream, UpstreamTunnelSink } from './stream.ts'

/** What connections of a worker share. Milliseconds. */
export interface ConnectionContext extends WireContext {
  readonly deadlines: Deadlines
  readonly connectMs: number
  readonly keepAliveMs: number
  opened(): void
  /** Octets came on an idle connection, or behind a response. */
  surplus(): void
  now(): number
}

/** Who lends a connection out. */
export interface Home {
  /** It can take another request; false when it is not wanted. It may be lent out again before this returns. */
  giveBack(connection: UpstreamConnection): boolean
  /** It is no more. */
  left(connection: UpstreamConnection): void
}

/** Interim responses before the real one; more is an attack on our patience. */
const MAX_INFORMATIONAL = 16
const HEAD_BYTES = 64 * 1024

type Phase = 'connecting' | 'idle' | 'head' | 'body' | 'tunnel' | 'closed'

export class UpstreamConnection implements UpstreamStream, WireOwner, Timed {
  deadline = 0
  bucketTick = 0
  bucketPlace = 0
  readonly wire: Wire
  /** The name that its TLS was verified for; '' in the clear. */
  readonly serverName: string
  /** When it became idle, by the worker's clock. */
  idleSince = 0
  /** Requests that it has answered. */
  served = 0
  readonly #context: ConnectionContext
  readonly #home: Home
  #sink: ResponseSink | null
  #tunnel: UpstreamTunnelSink | null = null
  #phase: Phase = 'connecting'
  #request: UpstreamRequest = nothingAsked
  #requestSent = true
  /** The kernel took nothing of the request. */
  #untaken = false
  #lastUnsent = 0
  #partial: Pending | null = null
  #informational = 0
  #body: BodyReader | null = null
  #keepAliveMs: number
  #mayReuse = true

  /** Opens a connection for `sink`, which hears `connected` or `upstreamFailed`. */
  constructor(context: ConnectionContext, home: Home, dial: Dial, serverName: string, sink: ResponseSink) {
    this.#context = context
    this.#home = home
    this.serverName = serverName
    this.#sink = sink
    this.#keepAliveMs = context.keepAliveMs
    context.opened()
    context.deadlines.arm(this, context.connectMs)
    this.wire = Wire.connect(context, this, dial, () => {
      if (this.#phase !== 'connecting') return
      context.deadlines.disarm(this)
      this.#phase = 'idle'
      this.#sink?.connected()
    })
  }

  /** Whether it has been idle for less than `ms` (a fresh one always has). */
  freshFor(ms: number): boolean {
    return this.served === 0 || this.#context.now() - this.idleSince < ms
  }

  get source(): Source {
    return this.wire
  }

  begin(sink: ResponseSink, request: UpstreamRequest, first: string): void {
    this.#sink = sink
    this.#request = request
    this.#phase = 'head'
    this.#informational = 0
    this.#requestSent = request.whole
    this.#lastUnsent = 0
    this.#context.deadlines.arm(this, request.whole ? request.headTimeoutMs : request.bodyTimeoutMs)
    this.wire.writeText(first === '' ? request.text : request.text + first)
    this.#untaken = this.wire.refused
  }

  /** The kernel took no octet of the request. */
  get mayBeUntaken(): boolean {
    return this.#untaken
  }

  send(bytes: Buffer, from: number, to: number, end: boolean, tail: string, source: Source): void {
    if (to > from) this.wire.pass('', bytes, from, to, source)
    if (tail !== '') this.wire.writeText(tail)
    if (!end) return
    this.#requestSent = true
    if (this.#phase === 'head') this.#context.deadlines.arm(this, this.#request.headTimeoutMs)
  }

  sendKept(piece: string | Buffer, _end: boolean, tail: string): void {
    if (typeof piece !== 'string') this.wire.writeBuffer(piece)
    const text = typeof piece === 'string' ? piece + tail : tail
    if (text !== '') this.wire.writeText(text)
  }

  tunnel(sink: UpstreamTunnelSink): void {
    this.#sink = null
    this.#tunnel = sink
  }

  get ready(): boolean {
    return this.#phase === 'idle'
  }

  end(): void {
    this.wire.end()
  }

  cancel(broken = false): void {
    this.#sink = null
    this.#tunnel = null
    if (broken) this.wire.reset()
    this.close()
  }

  /** Ends the connection, whatever it is doing. */
  close(): void {
    if (this.#phase === 'closed') return
    this.#leave()
    this.wire.destroy()
  }

  onRead(bytes: Buffer, from: number, to: number): void {
    switch (this.#phase) {
      case 'head':
        this.#readHead(bytes, from, to)
        return
      case 'body':
        if (this.#body !== null) this.#readBody(this.#body, bytes, from, to)
        return
      case 'tunnel':
        this.#tunnel?.data(bytes, from, to)
        return
      case 'idle':
        // Nobody asked: these octets must never become somebody's response.
        if (this.#sink === null) this.#context.surplus()
        this.#fail({ kind: 'malformed', of: 'answer', detail: 'octets before the request' })
        return
      case 'connecting':
      case 'closed':
    }
  }

  onFlush(): void {}

  onEnd(): void {
    if (this.#phase === 'tunnel') this.#tunnel?.end()
    else if (this.#body?.untilClose === true) this.#finish()?.responseBody(emptySpan, 0, 0, true, '')
    else this.#ended('closed by the upstream')
  }

  onClose(error: string): void {
    if (this.#phase !== 'closed') this.#ended(error === '' ? 'closed by the upstream' : error)
  }

  expired(): void {
    switch (this.#phase) {
      case 'idle':
        return this.close()
      case 'connecting':
        return this.#fail({ kind: 'connect', detail: 'timeout' })
      case 'head':
        if (this.#requestSent) this.#fail({ kind: 'head timeout', detail: 'no response head in time' })
        else this.#checkSending()
        return
      case 'body':
        // A client that does not read is not the upstream's fault.
        if (this.wire.held) this.#context.deadlines.arm(this, this.#request.bodyTimeoutMs)
        else this.#fail({ kind: 'body timeout', detail: 'no octet of the body in time' })
        return
      case 'tunnel':
      case 'closed':
    }
  }

  /** The request is still being sent: by a slow client, or to an upstream that has stopped to read. */
  #checkSending(): void {
    const { unsent } = this.wire
    const stalled = unsent > 0 && unsent === this.#lastUnsent
    this.#lastUnsent = unsent
    if (stalled) this.#fail({ kind: 'head timeout', detail: 'the request was not taken in time' })
    else this.#context.deadlines.arm(this, this.#request.bodyTimeoutMs)
  }

  #readHead(bytes: Buffer, from: number, to: number): void {
    let end: number
    if (this.#partial === null) {
      end = indexOfHeadEnd(bytes, from, to)
      if (end < 0) {
        this.#partial = new Pending(HEAD_BYTES + SHARED_BYTES) // a read may bring the rest of the head and much of the body
        this.#partial.append(bytes, from, to)
        this.#checkPartial(this.#partial)
        return
      }
    } else {
      const partial = this.#partial
      partial.append(bytes, from, to)
      end = partial.headEnd()
      if (end < 0) {
        this.#checkPartial(partial)
        return
      }
      this.#partial = null
      bytes = partial.bytes
      from = partial.from
      to = partial.to
    }
    const head = end - from > HEAD_BYTES ? 'response head too large' : parseResponseHead(bytes.latin1Slice(from, end + 2), this.#request.method)
    if (typeof head === 'string') this.#fail({ kind: 'malformed', of: 'answer', detail: head })
    else if (head.status < 200) this.#interim(head, bytes, end + 4, to)
    else this.#final(head, bytes, end + 4, to)
  }

  /** A head that is too long, or that no CRLF will ever end, need not be waited for. */
  #checkPartial(partial: Pending): void {
    if (partial.size >= HEAD_BYTES) this.#fail({ kind: 'malformed', of: 'answer', detail: 'response head too large' })
    else if (partial.bareLineFeed()) this.#fail({ kind: 'malformed', of: 'answer', detail: 'bare LF in a response head' })
  }

  #interim(head: ResponseHead, bytes: Buffer, from: number, to: number): void {
    if (head.status === 101) {
      if (this.#request.upgrade === '' || head.upgrade !== this.#request.upgrade || !this.#requestSent) {
        this.#fail({ kind: 'malformed', of: 'answer', detail: '101 to something that was not asked for' })
        return
      }
      this.#context.deadlines.disarm(this)
      this.#phase = 'tunnel'
      this.#sink?.responseHead(head, bytes, from, to, false, '')
      return
    }
    if (++this.#informational > MAX_INFORMATIONAL) {
      this.#fail({ kind: 'malformed', of: 'answer', detail: 'too many interim responses' })
      return
    }
    this.#sink?.informational(head)
    if (to > from && this.#phase === 'head') this.#readHead(bytes, from, to)
  }

  #final(head: ResponseHead, bytes: Buffer, from: number, to: number): void {
    if (head.close) this.#mayReuse = false
    if (head.keepAliveSeconds >= 0) this.#keepAliveMs = Math.min(this.#context.keepAliveMs, (head.keepAliveSeconds - 1) * 1000)
    if (head.contentLength >= 0 && to - from >= head.contentLength) {
      // The usual case: all of a small response in one read.
      if (to - from > head.contentLength) this.#surplusAfterResponse()
      this.#finish()?.responseHead(head, bytes, from, from + head.contentLength, true, '')
      return
    }
    const body = new BodyReader(head.contentLength)
    this.#phase = 'body'
    this.#body = body
    this.#context.deadlines.arm(this, this.#request.bodyTimeoutMs)
    if (head.contentLength > SHARED_BYTES) this.wire.readLongBody()
    const result = body.read(bytes, from, to)
    if (result === 'bad') this.#fail({ kind: 'malformed', of: 'answer', detail: body.fault })
    else if (result === 'more') this.#sink?.responseHead(head, bytes, body.start, body.end, false, '')
    else {
      if (body.next < to) this.#surplusAfterResponse()
      this.#finish()?.responseHead(head, bytes, body.start, body.end, true, body.trailers)
    }
  }

  #readBody(body: BodyReader, bytes: Buffer, from: number, to: number): void {
    this.#context.deadlines.arm(this, this.#request.bodyTimeoutMs)
    // Reads that fill the shared buffer gain by a larger one; a slow stream of events does not, however long it is.
    if (to - from === SHARED_BYTES) this.wire.readLongBody()
    const result = body.read(bytes, from, to)
    if (result === 'bad') this.#fail({ kind: 'malformed', of: 'answer', detail: body.fault })
    else if (result === 'more') this.#sink?.responseBody(bytes, body.start, body.end, false, '')
    else {
      if (body.next < to) this.#surplusAfterResponse()
      this.#finish()?.responseBody(bytes, body.start, body.end, true, body.trailers)
    }
  }

  /** The response is complete: back to the pool before it is handed on, so that the next request finds the connection. */
  #finish(): ResponseSink | null {
    const sink = this.#sink
    this.#sink = null
    const untilClose = this.#body?.untilClose === true
    this.#body = null
    this.served++
    if (this.#mayReuse && this.#requestSent && !untilClose && this.#keepAliveMs > 0) {
      this.#phase = 'idle'
      this.idleSince = this.#context.now()
      this.#context.deadlines.arm(this, this.#keepAliveMs)
      if (this.#home.giveBack(this)) return sink
    }
    this.#leave()
    this.wire.destroy()
    return sink
  }

  #surplusAfterResponse(): void {
    this.#mayReuse = false
    this.#context.surplus()
  }

  /** The connection ended when nobody wanted it to. */
  #ended(detail: string): void {
    const stale = this.served > 0 && this.#phase === 'head' && this.#partial === null && this.#informational === 0
    this.#fail(this.#phase === 'connecting' ? { kind: 'connect', detail } : { kind: 'reset', detail, stale, untaken: this.#untaken })
  }

  #fail(failure: UpstreamFailure): void {
    if (this.#phase === 'closed') return
    const sink = this.#sink
    const tunnel = this.#tunnel
    this.#sink = null
    this.#tunnel = null
    this.#leave()
    this.wire.destroy()
    sink?.upstreamFailed(failure)
    tunnel?.gone()
  }

  /** Out of every list; after that the connection is nobody's. */
  #leave(): void {
    if (this.#phase === 'closed') return
    this.#phase = 'closed'
    this.#context.deadlines.remove(this)
    this.#home.left(this)
  }
}

const nothingAsked: UpstreamRequest = { method: '', upgrade: '', whole: true, empty: true, headTimeoutMs: 0, bodyTimeoutMs: 0, text: '', target: '', authority: '' }
const emptySpan = Buffer.alloc(0)

/** Where the empty line after a head begins, or -1. */
function indexOfHeadEnd(bytes: Buffer, from: number, to: number): number {
  const found = bytes.indexOf('\r\n\r\n', from, 'latin1')
  return found >= 0 && found + 4 <= to ? found : -1
}
