// One HTTP/2 connection to an endpoint, which carries many attempts at once: its session on its wire, and how it ends.
import { Outbox, type Outboxes } from '#src/io/outbox.ts'
import { Roster } from '#src/io/roster.ts'
import type { Deadlines, Timed } from '#src/io/deadlines.ts'
import { Wire, type Dial, type WireOwner } from '#src/io/wire.ts'
import { CANCEL, errorName, REFUSED_STREAM } from '#src/http2/error-code.ts'
import { kindOfResponseField, responseFields } from '#src/http2/response-fields.ts'
import { ofServices, type Patience } from '#src/http2/patience.ts'
import { WindowLoans } from '#src/http2/receive-window.ts'
import { Session, type SessionOwner } from '#src/http2/session.ts'
import { ENABLE_PUSH, INITIAL_WINDOW_SIZE, MAX_HEADER_LIST_SIZE } from '#src/http2/settings.ts'
import { STREAM_WINDOW } from '#src/http2/stream.ts'
import type { ConnectionContext } from './connection.ts'
import { mayBeginHttp2, otherProtocol } from './first-octets.ts'
import { Http2Attempt, type AttemptHome } from './http2-stream.ts'
import type { Waiter } from './pool.ts'
import type { ResponseSink } from './stream.ts'

/** Attempts at once on one connection, if the endpoint does not want fewer: beyond it, another connection is opened. */
export const STREAMS = 100
const HEAD_BYTES = 64 * 1024
const HEAD_FIELDS = 200
/** How long an answer to a PING may take. */
const PONG_MS = 5000
/** Ids are used up somewhere; long before that, another connection is opened. */
const LAST_ID = 0x3fff_ffff

/** What the connections of an endpoint belong to. */
export interface Http2Home {
  /** Its SETTINGS came: so many attempts at once it takes, at least 1. */
  told(streams: number): void
  /** There is room for another attempt. */
  roomIn(connection: Http2Connection): void
  /** It takes no more attempts, or is no more. */
  left(connection: Http2Connection): void
}

export class Http2Connection implements AttemptHome, WireOwner, SessionOwner, Timed {
  deadline = 0
  bucketTick = 0
  bucketPlace = 0
  readonly deadlines: Deadlines
  readonly session: Session
  readonly scheme: 'http' | 'https'
  /** The name that its TLS was verified for; '' in the clear. */
  readonly serverName: string
  ready = false
  why = ''
  malformed = false
  served = 0
  reads = 0
  readonly #context: ConnectionContext
  readonly #home: Http2Home
  readonly #wire: Wire
  readonly #outbox: Outbox
  /** Attempts that run or wait for the connection. */
  readonly #attempts = new Roster<Http2Attempt>()
  /** Attempts at once that the endpoint takes: what is expected, then what its SETTINGS say, or less once it has refused some. */
  #limit: number
  /** Attempts that ended since it last refused one or was given more. */
  #since = 0
  readonly #patience: Patience
  #wired = false
  #leaving = false
  #gone = false
  #pinged = false

  constructor(context: ConnectionContext, outboxes: Outboxes, home: Http2Home, dial: Dial, serverName: string, expected: number) {
    this.#context = context
    this.deadlines = context.deadlines
    this.#home = home
    this.serverName = serverName
    this.#limit = expected
    this.#patience = ofServices(() => context.deadlines.now)
    this.scheme = dial.ready === 'secureConnect' ? 'https' : 'http'
    context.opened()
    context.deadlines.arm(this, context.connectMs)
    this.#outbox = new Outbox(outboxes, (bytes) => {
      this.#wire.writeBuffer(bytes)
      return this.#wire.flushed
    })
    this.#wire = Wire.connect(context, this, dial, () => this.#connected())
    this.session = new Session({
      role: 'client', owner: this, outbox: this.#outbox, fields: responseFields, kindOf: kindOfResponseField,
      limits: { fields: HEAD_FIELDS, bytes: HEAD_BYTES }, streams: 0,
      // Strangers share it: what one of them does not read is bounded by its stream's window, and takes nothing of the others'.
      loans: new WindowLoans(Number.POSITIVE_INFINITY),
      settings: [[ENABLE_PUSH, 0], [INITIAL_WINDOW_SIZE, STREAM_WINDOW], [MAX_HEADER_LIST_SIZE, HEAD_BYTES]],
      now: () => context.deadlines.now,
      waiting: (change) => context.buffers.count(change),
    })
  }

  get remoteAddress(): string | undefined {
    return this.#wire.remoteAddress
  }

  /** Attempts on it. */
  get load(): number {
    return this.#attempts.size
  }

  /** Whether it can take one more. One that may be dead takes none until it has answered the PING. */
  get hasRoom(): boolean {
    // Streams too: an endpoint may answer and leave them open.
    return !this.#leaving && !this.#gone && !this.#pinged && !this.session.over && this.#attempts.size < this.#limit && this.session.streams.open.size < 2 * STREAMS
  }

  /** An attempt of `sink`: begun at once, or when the connection is there; if there turns out to be no room for it, `waiter` has to ask again. */
  attempt(sink: ResponseSink, waiter: Waiter): Http2Attempt {
    const attempt = new Http2Attempt(this, sink, waiter)
    this.#attempts.add(attempt)
    if (this.ready && !this.#pinged) this.deadlines.disarm(this)
    return attempt
  }

  /** What it refuses is more than it takes just now; it is given one more each time that as many as it takes have ended. */
  refused(): void {
    this.#limit = Math.max(1, this.#attempts.size - 1)
    this.#since = 0
  }

  /** Servers end a connection of too many resets, and with it what strangers have asked there: a fresh one takes its place before that. */
  hasReset(): void {
    if (!this.#patience.spend(1)) this.retire()
  }

  left(attempt: Http2Attempt): void {
    if (!this.#attempts.delete(attempt) || this.#gone) return
    this.served++
    if (++this.#since > this.#limit && this.#limit < this.#most) {
      this.#limit++
      this.#since = 0
    }
    if (this.#attempts.size === 0) this.#rest()
    if (this.hasRoom) this.#home.roomIn(this)
  }

  /** Takes no more attempts; ends when there are none. */
  retire(): void {
    this.#leave()
    if (this.#attempts.size === 0) this.#close('')
  }

  suspect(): void {
    if (this.#pinged || this.#gone || !this.ready) return
    this.#pinged = true
    this.session.writer.ping(emptyPing, 0, false)
    this.deadlines.arm(this, PONG_MS)
  }

  #connected(): void {
    if (this.#gone) return
    this.#wired = true
    this.#outbox.flush()
  }

  get #most(): number {
    return Math.min(STREAMS, this.session.peer.maxConcurrentStreams)
  }

  /** Nobody uses it: for a while it is kept. */
  #rest(): void {
    if (this.#leaving) this.#close('')
    else if (this.ready && !this.#pinged) this.deadlines.arm(this, this.#context.keepAliveMs)
  }

  #leave(): void {
    if (this.#leaving) return
    this.#leaving = true
    this.#home.left(this)
  }

  // ── its wire ──

  onRead(bytes: Buffer, from: number, to: number): void {
    if (this.#gone) return
    if (this.reads++ === 0 && !mayBeginHttp2(bytes[from]!)) return this.#close(otherProtocol(bytes, from, to))
    this.session.read(bytes, from, to)
  }

  onFlush(): void {
    if (this.#gone) return
    this.#outbox.written()
    this.session.drained()
  }

  onEnd(): void {
    this.#close(this.#closed)
  }

  onClose(error: string): void {
    this.#close(error === '' ? this.#closed : error)
  }

  get #closed(): string {
    return this.#wired && !this.ready ? 'closed by the upstream before it spoke HTTP/2' : 'closed by the upstream'
  }

  expired(): void {
    if (!this.ready) this.#close(this.#wired ? 'no SETTINGS in time' : 'timeout')
    else if (this.#pinged) this.#close('no answer to a PING')
    else if (this.#attempts.size === 0) this.#close('')
  }

  // ── its session ──

  opened(): void {
    // Servers open no streams: we allow no pushes.
  }

  failed(code: number, reason: string): void {
    this.malformed = true
    this.#close(`${errorName(code)}: ${reason}`)
  }

  goaway(lastId: number, code: number): void {
    this.why = `GOAWAY ${errorName(code)}`
    this.#leave()
    const { streams } = this.session
    for (const stream of streams.open.all()) if (stream.id > lastId && !stream.over) streams.resetByPeer(stream, REFUSED_STREAM)
    if (this.#attempts.size === 0) this.#close('')
  }

  /** Only now it is known how many attempts it takes, and no attempt begins before; one that takes none yet is waited for, as for a connection. */
  settled(): void {
    const most = this.#most
    if (most === 0 && !this.ready) return
    this.#limit = most
    if (!this.ready) this.#begin(most)
    if (this.hasRoom) this.#home.roomIn(this)
  }

  #begin(most: number): void {
    this.deadlines.disarm(this)
    this.ready = true
    this.#home.told(most)
    const waiting = this.#attempts.all()
    const placeless = waiting.splice(most)
    for (const attempt of placeless) this.#attempts.delete(attempt)
    for (const attempt of waiting) attempt.connected()
    for (const attempt of placeless) attempt.placeless()
    if (this.#attempts.size === 0) this.#rest()
  }

  pong(): void {
    if (!this.#pinged) return
    this.#pinged = false
    if (this.#attempts.size === 0) this.#rest()
    else this.deadlines.disarm(this)
    if (this.hasRoom) this.#home.roomIn(this)
  }

  emptied(): void {
    if (this.session.streams.lastId >= LAST_ID) this.retire()
  }

  #close(why: string): void {
    if (this.#gone) return
    this.#gone = true
    if (why !== '') this.why = why
    this.deadlines.remove(this)
    this.#leave()
    this.#outbox.flush()
    this.#outbox.close()
    this.session.end(CANCEL)
    for (const attempt of this.#attempts.all()) attempt.lost()
    this.ready = false
    this.#wire.finish()
  }
}

const emptyPing = Buffer.alloc(8)
