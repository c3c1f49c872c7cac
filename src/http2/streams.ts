// The streams of one connection: which are open, which ended lately and how, and the windows that they share (RFC 9113 sections 5.1, 5.2).
import { Roster } from '#src/io/roster.ts'
import { STREAM_CLOSED } from './error-code.ts'
import { DEFAULT_WINDOW, MAX_WINDOW } from './frame.ts'
import type { FrameWriter } from './frame-writer.ts'
import { isIncremental, urgencyOf } from './priority.ts'
import { ReceiveWindow, type WindowLoans } from './receive-window.ts'
import { RecentStreams } from './recent-streams.ts'
import { StreamTable } from './stream-table.ts'
import { Stream, type StreamHost, type StreamOwner } from './stream.ts'
import type { Tolerance } from './tolerance.ts'

export interface StreamsOptions {
  readonly writer: FrameWriter
  readonly tolerance: Tolerance
  readonly loans: WindowLoans
  /** Octets of bodies that wait for a window: by how much they grow or shrink. */
  waiting(change: number): void
  /** The last stream has ended. */
  emptied(): void
}

/** A frame of DATA this long is work that is useful, whatever made it so short. */
export const USEFUL = 256

export class Streams implements StreamHost {
  /** Octets of DATA that the peer has sent so far, on all streams. */
  received = 0
  readonly open = new StreamTable()
  readonly blocked = new Roster<Stream>()
  sendWindow = DEFAULT_WINDOW
  sent = 0
  /** The last that was opened, by whoever opens them. */
  lastId = 0
  readonly #options: StreamsOptions
  readonly #writer: FrameWriter
  /** They ended in good order, or the peer reset them: more on them is against the rules. */
  readonly #ended = new RecentStreams()
  /** We reset them: what is still on its way is passed over. */
  readonly #cut = new RecentStreams()
  #initialWindow = DEFAULT_WINDOW
  readonly #window: ReceiveWindow
  /** Counts those that were blocked. */
  #turns = 0
  #over = false

  constructor(options: StreamsOptions) {
    this.#options = options
    this.#writer = options.writer
    this.#window = new ReceiveWindow(options.loans, (increment) => options.writer.windowUpdate(0, increment))
  }

  /** A stream of this id is open from now on. */
  add(id: number, owner: StreamOwner): Stream {
    this.lastId = id
    const stream = new Stream(this, id, this.#initialWindow, owner)
    this.open.add(stream)
    return stream
  }

  /** It is open or has been; the peer may speak of it. */
  isKnown(id: number): boolean {
    return id !== 0 && id <= this.lastId && (id & 1) === 1
  }

  endedLately(id: number): boolean {
    return this.#ended.has(id)
  }

  cutLately(id: number): boolean {
    return this.#cut.has(id)
  }

  /** Refuses or resets a stream that is not in the list. */
  refuse(id: number, code: number): void {
    this.#writer.reset(id, code)
    this.#cut.add(id)
  }

  /** DATA on a stream that is over: it is told so once. */
  refuseLate(id: number): void {
    this.refuse(id, STREAM_CLOSED)
  }

  get exhausted(): boolean {
    return this.#window.exhausted
  }

  /** Takes DATA off the connection's window; false when it is more than that. */
  takeWindow(size: number): boolean {
    this.received += size
    return this.#window.take(size)
  }

  /** The peer's SETTINGS_INITIAL_WINDOW_SIZE; false when a window becomes too large (RFC 9113 6.9.2). */
  setInitialWindow(size: number): boolean {
    const change = size - this.#initialWindow
    this.#initialWindow = size
    if (change === 0) return true
    for (const stream of this.open.all()) if ((stream.sendWindow += change) > MAX_WINDOW) return false
    if (change > 0) this.unblock()
    return true
  }

  /** The connection is no more: every owner hears of it. */
  end(code: number): void {
    this.#over = true
    this.#window.end()
    for (const stream of this.open.all()) {
      if (stream.over) continue // by what another one's owner did
      this.#remove(stream)
      stream.owner.gone(code)
    }
  }

  /** The peer has reset it. */
  resetByPeer(stream: Stream, code: number): void {
    this.#ended.add(stream.id)
    this.#remove(stream)
    stream.owner.gone(code)
  }

  /** Lets those that wait go on as far as windows and room allow: the more urgent first, equals in turns where they want it. */
  unblock(): void {
    const { blocked } = this
    if (blocked.size === 0 || this.#over) return
    if (blocked.size === 1) {
      blocked.inTurn(0).resume(Number.POSITIVE_INFINITY)
      return
    }
    const order = blocked.all().sort((a, b) => urgencyOf(a.priority) - urgencyOf(b.priority) || a.turn - b.turn)
    for (let from = 0; from < order.length && this.sendWindow > 0; ) {
      let to = from + 1
      while (to < order.length && urgencyOf(order[to]!.priority) === urgencyOf(order[from]!.priority)) to++
      this.#resumeEquals(order.slice(from, to))
      from = to
    }
  }

  /** Those that are of use only when they are whole go one after the other (RFC 9218 4.2), the others a frame each in turn. */
  #resumeEquals(equals: readonly Stream[]): void {
    for (const stream of equals) if (!isIncremental(stream.priority)) stream.resume(Number.POSITIVE_INFINITY)
    for (let moved = true; moved && this.sendWindow > 0; ) {
      moved = false
      for (const stream of equals) if (isIncremental(stream.priority) && stream.blocked && stream.resumeTurn()) moved = true
    }
  }

  // ── what a stream asks ──

  block(stream: Stream): void {
    if (stream.place >= 0) return
    stream.turn = this.#turns++
    this.blocked.add(stream)
  }

  writeData(id: number, bytes: Buffer, from: number, to: number, end: boolean, cut: boolean): boolean {
    if (!this.#writer.data(id, bytes, from, to, end)) return false
    this.sent += to - from
    // However small the message, it may be answered by a PING and two windows (gRPC's estimate of the bandwidth); what a tiny window cut small may not.
    if (!cut || to - from >= USEFUL || end) this.#options.tolerance.worked(3)
    return true
  }

  writeTrailers(id: number, lines: string): void {
    this.#writer.trailers(id, lines)
  }

  writeEnd(id: number): void {
    this.#writer.end(id)
  }

  writeWindowUpdate(id: number, increment: number): void {
    if (!this.#over) this.#writer.windowUpdate(id, increment)
  }

  giveWindow(size: number): void {
    this.#window.give(size)
  }

  countWaiting(change: number): void {
    this.#options.waiting(change)
  }

  resetStream(stream: Stream, code: number): void {
    if (!this.#over) this.#writer.reset(stream.id, code)
    this.#cut.add(stream.id)
    this.#remove(stream)
  }

  close(stream: Stream): void {
    this.#options.tolerance.finished()
    this.#ended.add(stream.id)
    this.#remove(stream)
    stream.owner.closed()
  }

  #remove(stream: Stream): void {
    this.open.delete(stream)
    if (stream.place >= 0) this.blocked.delete(stream)
    stream.drop()
    if (this.open.size === 0 && !this.#over) this.#options.emptied()
  }
}
