// One HTTP/2 connection, either role: frames in, frames out, and nothing of sockets (RFC 9113).
import type { Outbox } from '#src/io/outbox.ts'
import { DataFrames, type DataHost } from './data-frames.ts'
import { COMPRESSION_ERROR, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, STREAM_CLOSED } from './error-code.ts'
import type { Field, KindOf } from './field.ts'
import {
  ACK, CONTINUATION, DATA, DEFAULT_WINDOW, END_HEADERS, END_STREAM, GOAWAY, HEADERS, MAX_STREAM_ID, MAX_WINDOW, PADDED, PING, PRIORITY, PRIORITY_FLAG, PRIORITY_UPDATE, PUSH_PROMISE,
  readId, readWord, RST_STREAM, SETTINGS, WINDOW_UPDATE,
} from './frame.ts'
import { FrameReader, type FrameSink } from './frame-reader.ts'
import { FrameWriter } from './frame-writer.ts'
import { HeaderBlock } from './header-block.ts'
import { fragmentOf } from './headers-frame.ts'
import { HpackDecoder, type BlockLimits } from './hpack-decoder.ts'
import { EarlyPriorities, parsePriority } from './priority.ts'
import { CONNECTION_WINDOW, type WindowLoans } from './receive-window.ts'
import { defaultSettings, readSettings, type PeerSettings } from './settings.ts'
import { nobody, type Stream, type StreamOwner } from './stream.ts'
import { Streams } from './streams.ts'
import { Tolerance } from './tolerance.ts'

/** What a connection does with what happens on its session. */
export interface SessionOwner {
  /** Server: a header block asks for a stream, whose owner is to be set. Its fields are gone when the call returns. */
  opened(stream: Stream, fields: readonly Field[], count: number, tooLarge: boolean, end: boolean): void
  /** The connection has failed: nothing more is read, and a GOAWAY stands in the outbox. */
  failed(code: number, reason: string): void
  /** The peer takes no stream above `lastId`. */
  goaway(lastId: number, code: number): void
  /** Its SETTINGS came. */
  settled(): void
  /** An answer to a PING of ours came. */
  pong(): void
  /** The last stream has ended. */
  emptied(): void
}

export interface SessionOptions {
  readonly role: 'server' | 'client'
  readonly owner: SessionOwner
  readonly outbox: Outbox
  /** `staticFields` of `kindOf`: the kinds of field of what the peer sends. */
  readonly fields: readonly Field[]
  readonly kindOf: KindOf
  readonly limits: BlockLimits
  /** Streams that the peer may have open at once. */
  readonly streams: number
  /** What the peer is lent of while octets of it are not used yet. */
  readonly loans: WindowLoans
  readonly settings: readonly (readonly [key: number, value: number])[]
  /** Milliseconds; coarse. */
  now(): number
  /** Octets of bodies that wait for a window: by how much they grow or shrink. */
  waiting(change: number): void
}

const TABLE = 4096

export class Session implements FrameSink, DataHost {
  readonly streams: Streams
  readonly writer: FrameWriter
  peer: PeerSettings = defaultSettings
  /** Nothing more is read or opened. */
  over = false
  readonly #options: SessionOptions
  readonly #owner: SessionOwner
  readonly #server: boolean
  readonly #reader: FrameReader
  readonly #decoder: HpackDecoder
  readonly #tolerance: Tolerance
  readonly #data: DataFrames
  readonly #early = new EarlyPriorities()
  #block: HeaderBlock | null = null
  #settled = false
  /** Streams above it are refused: we are going away. */
  #lastTaken = MAX_STREAM_ID

  constructor(options: SessionOptions) {
    const { role, owner, outbox, fields, kindOf, limits, loans, now, waiting } = options
    this.#options = options
    this.#owner = owner
    this.#server = role === 'server'
    this.#decoder = new HpackDecoder(fields, kindOf, TABLE, limits)
    this.#tolerance = new Tolerance(this.#server, now)
    this.writer = new FrameWriter(outbox)
    this.streams = new Streams({ writer: this.writer, tolerance: this.#tolerance, loans, waiting, emptied: () => owner.emptied() })
    this.#data = new DataFrames({ host: this, streams: this.streams, tolerance: this.#tolerance, server: this.#server })
    this.#reader = new FrameReader(this, this.#data, this.#server)
    if (!this.#server) this.writer.preface()
    this.writer.settings(options.settings)
    this.writer.windowUpdate(0, CONNECTION_WINDOW - DEFAULT_WINDOW)
  }

  /** The peer's SETTINGS have come. */
  get settled(): boolean { return this.#settled }

  /** A frame or a header block has begun and is not complete. */
  get midway(): boolean {
    return this.#reader.midway || this.#block !== null
  }

  /** Reads what came. */
  read(bytes: Buffer, from: number, to: number): void {
    if (!this.over) this.#reader.read(bytes, from, to)
  }

  /** Client: opens the next stream; whoever asks writes its head at once. */
  open(owner: StreamOwner): Stream {
    const { lastId } = this.streams
    return this.streams.add(lastId === 0 ? 1 : lastId + 2, owner)
  }

  /** What was written has left: those who waited for room go on. */
  drained(): void {
    this.streams.unblock()
  }

  /** The connection fails: every stream's owner hears of it. */
  fail(code: number, reason: string): false {
    if (this.over) return false
    this.writer.goaway(this.#server ? Math.min(this.streams.lastId, this.#lastTaken) : 0, code)
    this.end(code)
    this.#owner.failed(code, reason)
    return false
  }

  /** Nothing more is read; every stream's owner hears of it. */
  end(code: number): void {
    if (this.over) return
    this.over = true
    this.streams.end(code)
  }

  /** First step of going away: the peer learns of it, and what is on its way is still taken (RFC 9113 6.8). */
  announceGoaway(): void {
    if (!this.over) this.writer.goaway(MAX_STREAM_ID, NO_ERROR)
  }

  /** Second step: no stream above those that are open is taken. */
  goaway(): void {
    if (this.over) return
    this.#lastTaken = this.#server ? this.streams.lastId : 0
    this.writer.goaway(this.#lastTaken, NO_ERROR)
  }

  // ── frames ──

  unreadable(code: number, reason: string): void {
    this.fail(code, reason)
  }

  frame(type: number, flags: number, id: number, bytes: Buffer, at: number, to: number): boolean {
    if (this.misplaced(type, id)) return this.fail(PROTOCOL_ERROR, 'a frame where none belongs')
    const size = to - at
    switch (type) {
      case HEADERS:
        return this.#headers(flags, id, bytes, at, to)
      case CONTINUATION:
        return this.#continuation(flags, bytes, at, to)
      case DATA:
        return this.#data.padded(flags, id, bytes, at, to)
      case WINDOW_UPDATE:
        if (size !== 4) return this.fail(FRAME_SIZE_ERROR, 'WINDOW_UPDATE of another size')
        return this.#windowUpdate(id, readId(bytes, at)) && this.spend(1)
      case RST_STREAM:
        if (size !== 4) return this.fail(FRAME_SIZE_ERROR, 'RST_STREAM of another size')
        return this.#reset(id, readWord(bytes, at))
      case SETTINGS:
        if (id !== 0) return this.fail(PROTOCOL_ERROR, 'SETTINGS of a stream')
        if ((flags & ACK) === 0) return this.#settings(bytes, at, to)
        return size === 0 ? this.spend(1) : this.fail(FRAME_SIZE_ERROR, 'an ACK with SETTINGS in it')
      case PING:
        if (id !== 0) return this.fail(PROTOCOL_ERROR, 'PING on a stream')
        if (size !== 8) return this.fail(FRAME_SIZE_ERROR, 'PING of another size')
        if ((flags & ACK) === 0) this.writer.ping(bytes, at, true)
        else this.#owner.pong()
        return this.spend(1)
      case GOAWAY:
        if (id !== 0) return this.fail(PROTOCOL_ERROR, 'GOAWAY of a stream')
        if (size < 8) return this.fail(FRAME_SIZE_ERROR, 'GOAWAY too short')
        this.#owner.goaway(readId(bytes, at), readWord(bytes, at + 4))
        return this.spend(1)
      case PRIORITY:
        if (id === 0) return this.fail(PROTOCOL_ERROR, 'PRIORITY of the connection')
        if (size !== 5) return this.#strayError(id, FRAME_SIZE_ERROR)
        return readId(bytes, at) === id ? this.#strayError(id, PROTOCOL_ERROR) : this.spend(1)
      case PRIORITY_UPDATE:
        if (id !== 0 || !this.#server) return this.fail(PROTOCOL_ERROR, 'PRIORITY_UPDATE on a stream, or of a server')
        if (size < 4) return this.fail(FRAME_SIZE_ERROR, 'PRIORITY_UPDATE too short')
        return this.#reprioritise(readId(bytes, at), bytes.latin1Slice(at + 4, Math.min(to, at + 100)))
      case PUSH_PROMISE:
        return this.fail(PROTOCOL_ERROR, 'PUSH_PROMISE')
      default:
        return this.spend(1) // frames that we do not know are passed over (RFC 9113 5.5)
    }
  }

  /** SETTINGS come first, and nothing stands between the frames of a header block. */
  misplaced(type: number, id: number): boolean {
    if (this.#block !== null) return type !== CONTINUATION || id !== this.#block.id
    return (!this.#settled && type !== SETTINGS) || type === CONTINUATION
  }

  #headers(flags: number, id: number, bytes: Buffer, at: number, to: number): boolean {
    if ((id & 1) === 0) return this.fail(PROTOCOL_ERROR, 'HEADERS on a stream that nobody may open')
    const end = (flags & END_STREAM) !== 0
    if ((flags & (PADDED | PRIORITY_FLAG)) === 0) {
      if ((flags & END_HEADERS) !== 0) return this.#readBlock(id, end, false, bytes, at, to)
      return this.#beginBlock(id, end, bytes, at, to)
    }
    const fragment = fragmentOf(flags, id, bytes, at, to)
    if (typeof fragment === 'number') return this.fail(fragment, 'malformed HEADERS')
    if ((flags & END_HEADERS) !== 0) return this.#readBlock(id, end, fragment.onItself, bytes, fragment.from, fragment.to)
    return this.#beginBlock(id, end, bytes, fragment.from, fragment.to)
  }

  #beginBlock(id: number, end: boolean, bytes: Buffer, at: number, to: number): boolean {
    this.#block = new HeaderBlock(id, end, 2 * this.#options.limits.bytes)
    return this.#block.add(bytes, at, to) || this.fail(ENHANCE_YOUR_CALM, 'header block too large')
  }

  #continuation(flags: number, bytes: Buffer, at: number, to: number): boolean {
    const block = this.#block!
    if (!block.add(bytes, at, to)) return this.fail(ENHANCE_YOUR_CALM, 'header block too large')
    if ((flags & END_HEADERS) === 0) return this.spend(1)
    this.#block = null
    const whole = block.whole()
    return this.#readBlock(block.id, block.end, false, whole, 0, whole.length)
  }

  /** Every block is decoded, whatever becomes of it: the tables of both sides have to stay the same. */
  #readBlock(id: number, end: boolean, onItself: boolean, bytes: Buffer, from: number, to: number): boolean {
    const { streams } = this
    const decoder = this.#decoder
    const count = decoder.decode(bytes, from, to)
    if (count < 0) return this.fail(COMPRESSION_ERROR, 'not HPACK')
    const known = streams.open.get(id)
    if (known !== undefined) {
      if (known.remoteClosed) return this.#server ? this.fail(STREAM_CLOSED, 'HEADERS behind the end of a stream') : this.streamError(known, STREAM_CLOSED)
      if (this.#server && !end) return this.streamError(known, PROTOCOL_ERROR)
      known.receiveHeaders(decoder.fields, count, decoder.tooLarge, end)
      return !this.over
    }
    if (id <= streams.lastId) {
      if (!this.#server || streams.cutLately(id)) return this.spend(1)
      return this.fail(streams.endedLately(id) ? STREAM_CLOSED : PROTOCOL_ERROR, 'HEADERS on a stream that is over')
    }
    if (!this.#server) return this.fail(PROTOCOL_ERROR, 'HEADERS on a stream that was not opened')
    const early = this.#early.take(id)
    if (id > this.#lastTaken || streams.open.size >= this.#options.streams || onItself) {
      streams.lastId = id
      streams.refuse(id, onItself ? PROTOCOL_ERROR : REFUSED_STREAM)
      return this.spendReset()
    }
    const stream = streams.add(id, nobody)
    stream.remoteClosed = end
    stream.openedAt = this.#options.now()
    this.#owner.opened(stream, decoder.fields, count, decoder.tooLarge, end)
    if (early !== undefined) stream.priority = early // whatever the head says, as it would once the stream is open
    return decoder.tooLarge ? this.spendReset() : !this.over
  }

  #windowUpdate(id: number, increment: number): boolean {
    const { streams } = this
    if (id === 0) {
      if (increment === 0) return this.fail(PROTOCOL_ERROR, 'WINDOW_UPDATE by nothing')
      if ((streams.sendWindow += increment) > MAX_WINDOW) return this.fail(FLOW_CONTROL_ERROR, 'window too large')
      streams.unblock()
      return true
    }
    if (!streams.isKnown(id)) return this.fail(PROTOCOL_ERROR, 'WINDOW_UPDATE of an idle stream')
    const stream = streams.open.get(id)
    if (stream === undefined) return true
    if (increment === 0) return this.streamError(stream, PROTOCOL_ERROR)
    if ((stream.sendWindow += increment) > MAX_WINDOW) return this.streamError(stream, FLOW_CONTROL_ERROR)
    stream.resume(Number.POSITIVE_INFINITY)
    return true
  }

  #reset(id: number, code: number): boolean {
    const { streams } = this
    if (!streams.isKnown(id)) return this.fail(PROTOCOL_ERROR, 'RST_STREAM of an idle stream')
    const stream = streams.open.get(id)
    if (stream === undefined) return this.spend(1)
    streams.resetByPeer(stream, code)
    return this.#bear(this.#tolerance.reset(this.#options.now() - stream.openedAt))
  }

  #settings(bytes: Buffer, at: number, to: number): boolean {
    const settings = readSettings(this.peer, bytes, at, to)
    if (typeof settings === 'number') return this.fail(settings, 'malformed SETTINGS')
    this.peer = settings
    this.#settled = true
    this.writer.encoder.resize(settings.headerTableSize)
    this.writer.settingsAck()
    if (!this.streams.setInitialWindow(settings.initialWindow)) return this.fail(FLOW_CONTROL_ERROR, 'window too large')
    this.#owner.settled()
    return this.spend(10)
  }

  #reprioritise(id: number, value: string): boolean {
    if ((id & 1) === 0) return this.fail(PROTOCOL_ERROR, 'PRIORITY_UPDATE for no request') // RFC 9218 7.1
    const { open, lastId } = this.streams
    if (id > lastId && id <= this.#lastTaken) {
      if (!this.#early.has(id) && this.#early.size + open.size >= this.#options.streams) return this.fail(PROTOCOL_ERROR, 'PRIORITY_UPDATE for more streams than may be open')
      this.#early.set(id, parsePriority(value))
    }
    const stream = open.get(id)
    if (stream !== undefined) stream.priority = parsePriority(value)
    return this.spend(1)
  }

  /** A stream comes to nothing by the peer's doing: `code` is what it is told. */
  streamError(stream: Stream, code: number): boolean {
    this.streams.resetStream(stream, code)
    stream.owner.gone(code)
    return this.spendReset()
  }

  /** An error of a stream that may be idle: then it is the connection's. */
  #strayError(id: number, code: number): boolean {
    if (id > this.streams.lastId) return this.fail(code, 'malformed PRIORITY')
    const stream = this.streams.open.get(id)
    return stream === undefined ? this.spend(1) : this.streamError(stream, code)
  }

  /** One more stream came to nothing by the peer's doing; owners find out some themselves. */
  spendReset(): boolean {
    return this.#bear(this.#tolerance.lostStream())
  }

  #bear(borne: boolean): boolean {
    return !this.over && (borne || this.fail(ENHANCE_YOUR_CALM, 'too many streams that came to nothing'))
  }

  /** A frame came that moves nothing. */
  spend(cost: number): boolean {
    return !this.over && (this.#tolerance.frame(cost) || this.fail(ENHANCE_YOUR_CALM, 'too many frames that move nothing'))
  }
}
