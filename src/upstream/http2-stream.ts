// One attempt on an HTTP/2 connection: the request as frames, its response checked strictly, and how it ended (RFC 9113 section 8).
import { createHash } from 'node:crypto'
import type { Deadlines, Timed } from '#src/io/deadlines.ts'
import type { Member } from '#src/io/roster.ts'
import type { Source } from '#src/io/wire.ts'
import { fieldValue, withoutFields } from '#src/http1/fields.ts'
import type { ResponseHead } from '#src/http1/response-head.ts'
import { CANCEL, errorName, NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM } from '#src/http2/error-code.ts'
import type { Field } from '#src/http2/field.ts'
import { readTrailers } from '#src/http2/request-fields.ts'
import { readResponse } from '#src/http2/response-fields.ts'
import type { Session } from '#src/http2/session.ts'
import type { Stream, StreamOwner } from '#src/http2/stream.ts'
import type { Waiter } from './pool.ts'
import type { ResponseSink, UpstreamFailure, UpstreamRequest, UpstreamStream, UpstreamTunnelSink } from './stream.ts'

/** The connection of an attempt. */
export interface AttemptHome {
  readonly session: Session
  readonly deadlines: Deadlines
  readonly scheme: 'http' | 'https'
  readonly ready: boolean
  /** Why it ended, or is about to; ''. */
  readonly why: string
  /** It ended because the endpoint broke the protocol's rules. */
  readonly malformed: boolean
  /** Requests that it has answered. */
  readonly served: number
  /** How often something has come. */
  readonly reads: number
  /** A response did not come in time: is anybody there? */
  suspect(): void
  /** The endpoint refused a stream: it has no room for so many. */
  refused(): void
  /** A stream of it was reset by us. */
  hasReset(): void
  /** Another stream has its place now. */
  left(attempt: Http2Attempt): void
}

/** Interim responses before the real one; more is an attack on our patience. */
const MAX_INFORMATIONAL = 16
/** Empty, with room on both sides for the framing of a chunk. */
const ROOM = 16
const nothing = Buffer.alloc(2 * ROOM)

type Phase = 'new' | 'head' | 'body' | 'tunnel' | 'over'

export class Http2Attempt implements UpstreamStream, StreamOwner, Timed, Member {
  deadline = 0
  bucketTick = 0
  bucketPlace = 0
  place = -1
  readonly wire = null
  readonly #home: AttemptHome
  readonly #waiter: Waiter
  #sink: ResponseSink | null
  #tunnel: UpstreamTunnelSink | null = null
  #stream: Stream | null = null
  #request: UpstreamRequest | null = null
  #phase: Phase = 'new'
  #readsBefore = 0
  #informational = 0
  /** Octets of the body that were announced; below 0: it ends when it ends. */
  #length = -1
  #received = 0
  #lastSent = -1
  /** The last octets of a body, while its end has not come. */
  #last = nothing
  /** On the connection, when the last octet of the body came. */
  #receivedBefore = 0

  constructor(home: AttemptHome, sink: ResponseSink, waiter: Waiter) {
    this.#home = home
    this.#waiter = waiter
    this.#sink = sink
  }

  get ready(): boolean {
    return this.#home.ready
  }

  get source(): Source {
    return this.#stream!
  }

  /** GOAWAY and REFUSED_STREAM can come until it has answered. */
  get mayBeUntaken(): boolean {
    return true
  }

  /** The connection is there. */
  connected(): void {
    this.#sink?.connected()
  }

  /** The connection is there and has no room for it: nothing was sent, and another place has to be found. */
  placeless(): void {
    if (this.#phase === 'over') return
    this.#phase = 'over'
    this.#sink = null
    this.#waiter.retry()
  }

  /** The connection is no more, or did not come about. */
  lost(): void {
    const { ready, why, malformed, served, reads } = this.#home
    if (!ready) this.#fail({ kind: 'connect', detail: why })
    else if (this.#phase === 'new') this.#fail({ kind: 'reset', detail: why, stale: true, untaken: true })
    else if (malformed) this.#fail({ kind: 'malformed', of: 'connection', detail: why })
    // It was there already, and nothing has come since the request went: it may have been dead for long.
    else this.#fail({ kind: 'reset', detail: why, stale: served > 0 && this.#phase === 'head' && reads === this.#readsBefore, untaken: false })
  }

  begin(sink: ResponseSink, request: UpstreamRequest): void {
    const { deadlines, reads } = this.#home
    this.#sink = sink
    this.#request = request
    this.#readsBefore = reads
    this.#phase = 'head'
    deadlines.arm(this, request.whole ? request.headTimeoutMs : request.bodyTimeoutMs)
    this.#open(request)
  }

  #open(request: UpstreamRequest): void {
    const { session } = this.#home
    if (session.over) return this.#fail({ kind: 'reset', detail: 'the connection has failed', stale: false, untaken: true }) // nothing is written
    if (request.upgrade !== '' && !session.peer.connectProtocol) return this.#fail({ kind: 'malformed', of: 'answer', detail: 'the upstream has no extended CONNECT (RFC 8441)' })
    const stream = session.open(this)
    this.#stream = stream
    this.#writeHead(stream.id, request)
    if (request.empty && request.upgrade === '') stream.localEnded()
  }

  #writeHead(id: number, { method, upgrade, text, target, authority, empty }: UpstreamRequest): void {
    const { writer } = this.#home.session
    const { encoder } = writer
    const connect = upgrade !== ''
    const lines = connect ? withoutFields(text, ofHandshake) : text
    let at = writer.openBlock(lines.length + target.length + authority.length + 100)
    const { bytes } = writer
    at = encoder.plain(bytes, at, ':method', connect ? 'CONNECT' : method)
    at = encoder.plain(bytes, at, ':scheme', this.#home.scheme)
    at = encoder.plain(bytes, at, ':path', target)
    at = encoder.authority(bytes, at, authority)
    if (connect) at = encoder.plain(bytes, at, ':protocol', upgrade)
    writer.closeBlock(id, encoder.lines(bytes, at, lines), empty && !connect)
  }

  send(bytes: Buffer, from: number, to: number, end: boolean, tail: string, source: Source): void {
    const stream = this.#stream
    if (stream === null || stream.over) return
    stream.send(bytes, from, to, end, tail, source)
    if (end && this.#phase === 'head') this.#home.deadlines.arm(this, this.#request!.headTimeoutMs)
  }

  sendKept(piece: string | Buffer, end: boolean, tail: string, source: Source): void {
    const bytes = typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece
    this.send(bytes, 0, bytes.length, end, tail, source)
  }

  tunnel(sink: UpstreamTunnelSink): void {
    this.#sink = null
    this.#tunnel = sink
    this.#home.deadlines.disarm(this)
  }

  end(): void {
    this.send(nothing, 16, 16, true, '', this.#stream!)
  }

  cancel(): void {
    this.#sink = null
    this.#tunnel = null
    this.#leave()
    this.#reset(CANCEL)
  }

  // ── what comes ──

  headers(fields: readonly Field[], count: number, tooLarge: boolean, end: boolean): void {
    if (tooLarge) return this.#malformed('response head too large')
    if (this.#phase === 'head') this.#readHead(fields, count, end)
    else if (this.#phase === 'body') this.#readTrailers(fields, count, end)
    else if (this.#phase === 'tunnel') this.#malformed('trailers in a tunnel')
  }

  #readHead(fields: readonly Field[], count: number, end: boolean): void {
    const request = this.#request!
    const head = readResponse(fields, count, end, request.method)
    if (typeof head === 'string') return this.#malformed(head)
    if (head.status < 200) {
      if (++this.#informational > MAX_INFORMATIONAL) return this.#malformed('too many interim responses')
      this.#sink?.informational(head)
      return
    }
    if (request.upgrade !== '' && head.status < 300) return this.#openTunnel(head, request, end)
    this.#length = head.announcedLength !== '' ? 0 : head.contentLength
    this.#phase = 'body'
    // Whatever follows, the client knows by then that there is no more.
    if (end || this.#length === 0) return this.#finish()?.responseHead(head, nothing, 16, 16, true, '')
    this.#home.deadlines.arm(this, request.bodyTimeoutMs)
    this.#sink?.responseHead(head, nothing, 16, 16, false, '')
  }

  /** As HTTP/1.1 would say it. `end`: nothing comes through it. */
  #openTunnel(head: ResponseHead, request: UpstreamRequest, end: boolean): void {
    this.#phase = 'tunnel'
    const key = fieldValue(request.text, 'sec-websocket-key')
    const accept = key === undefined ? '' : `Sec-WebSocket-Accept: ${acceptOf(key)}\r\n`
    this.#sink?.responseHead({ ...head, status: 101, upgrade: request.upgrade, fields: accept + head.fields }, nothing, 16, 16, false, '')
    if (end) this.#tunnel?.end()
  }

  #readTrailers(fields: readonly Field[], count: number, end: boolean): void {
    const lines = readTrailers(fields, count)
    if (lines === undefined || !end) return this.#malformed('malformed trailers')
    if (this.#length >= 0 && this.#received !== this.#length) return this.#malformed('a body of another length than content-length')
    this.#finish()?.responseBody(this.#last, ROOM, this.#last.length - ROOM, true, lines)
  }

  data(bytes: Buffer, from: number, to: number, end: boolean): void {
    if (this.#phase === 'tunnel') {
      if (to > from) this.#tunnel?.data(bytes, from, to)
      if (end) this.#tunnel?.end()
      return
    }
    if (this.#phase === 'over') return
    if (this.#phase !== 'body') return this.#malformed('DATA before a response')
    this.#received += to - from
    if (this.#length >= 0 && (this.#received > this.#length || (end && this.#received !== this.#length))) {
      return this.#malformed('a body of another length than content-length')
    }
    if (end && from === to) return this.#finish()?.responseBody(this.#last, ROOM, this.#last.length - ROOM, true, '')
    if (end) return this.#finish()?.responseBody(bytes, from, to, true, '')
    if (from === to) return // padding alone
    if (this.#received === this.#length) return this.#holdLast(bytes, from, to)
    this.#receivedBefore = this.#stream!.connectionReceived
    this.#home.deadlines.arm(this, this.#request!.bodyTimeoutMs)
    this.#sink?.responseBody(bytes, from, to, false, '')
  }

  /**
   * The last octets by content-length, and not the end of the stream: a client of HTTP/1.1 that had them would go on to its next request, so
   * they wait for the end, and the trailers, which most often stand in the next frame.
   */
  #holdLast(bytes: Buffer, from: number, to: number): void {
    this.#last = Buffer.allocUnsafe(2 * ROOM + to - from)
    bytes.copy(this.#last, ROOM, from, to)
  }

  gone(code: number): void {
    if (this.#phase === 'body' && this.#received === this.#length) { // nothing was missing but the word that it was all
      this.#finish()?.responseBody(this.#last, ROOM, this.#last.length - ROOM, true, '')
      return
    }
    const { session, why } = this.#home
    if (session.over) return // the connection says why, in the same turn
    const untaken = code === REFUSED_STREAM
    if (untaken && why === '') this.#home.refused()
    this.#fail({ kind: 'reset', detail: untaken && why !== '' ? why : `RST_STREAM ${errorName(code)}`, stale: false, untaken })
  }

  unblocked(): void {
    this.#lastSent = -1
  }

  localEnd(): void {
    // The response may take its time.
  }

  closed(): void {
    const tunnel = this.#tunnel
    this.#tunnel = null
    this.#leave()
    tunnel?.gone()
  }

  expired(): void {
    const stream = this.#stream
    const request = this.#request
    if (stream === null || request === null || this.#phase === 'over') return
    if (this.#phase === 'head' && !stream.localClosed) {
      // The request is still being sent: by a slow client, or to an upstream that opens no window.
      if (stream.blocked && stream.sendProgress === this.#lastSent) return this.#late('head timeout', 'the request was not taken in time')
      this.#lastSent = stream.sendProgress
      this.#home.deadlines.arm(this, request.bodyTimeoutMs)
    } else if (this.#phase === 'head') this.#late('head timeout', 'no response head in time')
    else if (this.#phase !== 'body') return
    else if (stream.excused(this.#receivedBefore)) { // a client that does not read is not the upstream's fault
      this.#receivedBefore = stream.connectionReceived
      this.#home.deadlines.arm(this, request.bodyTimeoutMs)
    } else this.#late('body timeout', 'no octet of the body in time')
  }

  #late(kind: 'head timeout' | 'body timeout', detail: string): void {
    this.#home.suspect()
    this.#reset(CANCEL)
    this.#fail({ kind, detail })
  }

  #malformed(detail: string): void {
    this.#reset(PROTOCOL_ERROR)
    this.#fail({ kind: 'malformed', of: 'answer', detail })
  }

  /** The response is complete; what the request still had to say nobody needs. */
  #finish(): ResponseSink | null {
    const sink = this.#sink
    const stream = this.#stream
    this.#sink = null
    this.#leave()
    if (stream?.localClosed === false) this.#reset(NO_ERROR)
    return sink
  }

  #reset(code: number): void {
    const stream = this.#stream
    if (stream === null || stream.over) return
    stream.reset(code)
    this.#home.hasReset()
  }

  #fail(failure: UpstreamFailure): void {
    if (this.#phase === 'over') return
    const sink = this.#sink
    const tunnel = this.#tunnel
    this.#sink = null
    this.#tunnel = null
    this.#leave()
    sink?.upstreamFailed(failure)
    tunnel?.gone()
  }

  #leave(): void {
    if (this.#phase === 'over') return
    this.#phase = 'over'
    this.#home.deadlines.remove(this)
    this.#home.left(this)
  }
}

/** What belongs to the upgrade of HTTP/1.1 alone (RFC 8441 5). */
const ofHandshake: ReadonlySet<string> = new Set(['sec-websocket-key'])

/** RFC 6455 4.2.2. */
const acceptOf = (key: string): string => createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
