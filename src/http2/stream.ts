// One stream of a connection, either role: its windows, what waits for a window, and how it ends (RFC 9113 section 5).
import type { Member, Roster } from '#src/io/roster.ts'
import type { Source, Wire } from '#src/io/wire.ts'
import type { Field } from './field.ts'
import { DEFAULT_PRIORITY, type Priority } from './priority.ts'

/** Who speaks through a stream. Spans are gone when the call returns. */
export interface StreamOwner {
  /** Another header block came: trailers, or a response. `tooLarge`: `fields` are not all of it. */
  headers(fields: readonly Field[], count: number, tooLarge: boolean, end: boolean): void
  data(bytes: Buffer, from: number, to: number, end: boolean): void
  /** The peer has reset it, or the connection is no more. Called once, and nothing after it. */
  gone(code: number): void
  /** All that had to wait has been sent. */
  unblocked(): void
  /** Our side has ended, and all of it was sent; the peer's is still open. */
  localEnd(): void
  /** Both sides have ended in good order. Nothing comes after it. */
  closed(): void
}

/** What streams share: the connection's windows and its outbox. */
export interface StreamHost {
  /** What we may still send on all streams together. */
  sendWindow: number
  /** Streams whose octets wait. */
  readonly blocked: Roster<Stream>
  /** It is one of them from now on, the last if it was not. */
  block(stream: Stream): void
  /** Octets of bodies that went, and came, on all streams so far. */
  readonly sent: number
  readonly received: number
  /** The peer has hardly any window left on the connection. */
  readonly exhausted: boolean
  /** A frame of DATA; false when there is no room for it now. `cut`: a window made it as small as it is. */
  writeData(id: number, bytes: Buffer, from: number, to: number, end: boolean, cut: boolean): boolean
  writeTrailers(id: number, lines: string): void
  writeEnd(id: number): void
  writeWindowUpdate(id: number, increment: number): void
  /** Octets were used: the peer may send as many more, on whatever stream. */
  giveWindow(size: number): void
  /** By how much the octets that wait grow or shrink. */
  countWaiting(change: number): void
  resetStream(stream: Stream, code: number): void
  /** Both sides have ended it. */
  close(stream: Stream): void
}

/** What a peer may send on a stream before we have used any of it: the protocol's own default. */
export const STREAM_WINDOW = 65_535
/** What it may send once it was seen that we use it as fast as it comes. */
const LARGE_WINDOW = 256 * 1024
/** A connection on which so much came meanwhile is not one that only keeps itself alive. */
const BUSY = 16_384
/** Octets that a stream sends before another of its kind gets its turn. */
const TURN = 16_384

export class Stream implements Source, Member {
  readonly id: number
  owner: StreamOwner
  /** What we may still send, and the peer. */
  sendWindow: number
  recvWindow: number = STREAM_WINDOW
  /** The peer sends nothing more. */
  remoteClosed = false
  /** We send nothing more. */
  localClosed = false
  /** Out of the connection's list. */
  over = false
  /** Behind it at its place. Written by `StreamTable` alone. */
  next: Stream | null = null
  /** Among those that are blocked, and its turn there. Written by `Streams` alone. */
  place = -1
  turn = 0
  priority: Priority = DEFAULT_PRIORITY
  /** Octets of body sent so far. */
  sent = 0
  /** When the peer opened it: milliseconds of the session's clock. */
  openedAt = 0
  readonly #host: StreamHost
  #size = STREAM_WINDOW
  /** Octets that were used and not yet given back as window. */
  #owed = 0
  /** Octets that came and are not used yet. */
  #unused = 0
  #holds = 0
  #wasHeld = false
  // What no window, or no room, lets out: `[#waitingFrom, #waitingTo)` of memory that grows by doubling, so that tiny pieces cost what they hold.
  #waiting: Buffer | null = null
  #waitingFrom = 0
  #waitingTo = 0
  #waitingEnd = false
  #trailers = ''
  #endSent = false
  /** Who has to wait because of it. */
  #source: Source | null = null

  constructor(host: StreamHost, id: number, sendWindow: number, owner: StreamOwner) {
    this.#host = host
    this.id = id
    this.sendWindow = sendWindow
    this.owner = owner
  }

  /**
   * A number that changes while what waits here can be expected to go: with a window of its own it is only the others' turn, as long as
   * the connection moves.
   */
  get sendProgress(): number {
    return this.sendWindow > 0 ? this.#host.sent : this.sent
  }

  /** Why nothing comes may be our own window, or that the peer is busy with other streams: `since` is what had come on the connection before. */
  excused(since: number): boolean {
    return this.held || this.#host.exhausted || this.#host.received - since > BUSY
  }

  /** Octets of bodies that have come on the connection. */
  get connectionReceived(): number {
    return this.#host.received
  }

  /** It may not send at the moment: it gets no further window. */
  get held(): boolean {
    return this.#holds > 0
  }

  /** Something waits for a window, or for room. */
  get blocked(): boolean {
    return this.#waiting !== null
  }

  // ── receiving ──

  /** A piece of DATA, whose octets count against the windows already. */
  receive(bytes: Buffer, from: number, to: number, end: boolean): void {
    this.#unused += to - from
    if (end) this.remoteClosed = true
    this.owner.data(bytes, from, to, end)
    if (this.#holds === 0) this.#giveWindow()
    this.#closeIfDone()
  }

  /** Octets of padding: they count, and are used. */
  pad(size: number): void {
    this.#unused += size
  }

  /** A header block behind the first. */
  receiveHeaders(fields: readonly Field[], count: number, tooLarge: boolean, end: boolean): void {
    if (end) this.remoteClosed = true
    this.owner.headers(fields, count, tooLarge, end)
    this.#closeIfDone()
  }

  hold(): void {
    this.#holds++
    this.#wasHeld = true
  }

  unhold(): void {
    if (--this.#holds === 0 && !this.over) this.#giveWindow()
  }

  keeps(): boolean {
    return false
  }

  endBody(sink: Wire | null): void {
    sink?.forget(this)
  }

  /**
   * The connection's window goes back as soon as octets are used: kept until a stream has half of its own together, it would be used up
   * by a few streams, and all would wait for ever.
   */
  #giveWindow(): void {
    if (this.#unused === 0) return
    this.#host.giveWindow(this.#unused)
    this.#owed += this.#unused
    this.#unused = 0
    if (this.remoteClosed || this.over || this.#owed < this.#size / 2) return
    let gift = this.#owed
    if (this.#size < LARGE_WINDOW && !this.#wasHeld) {
      gift += LARGE_WINDOW - this.#size
      this.#size = LARGE_WINDOW
    }
    this.#owed = 0
    this.recvWindow += gift
    this.#host.writeWindowUpdate(this.id, gift)
  }

  // ── sending ──

  /** Sends a piece of the body; what has to wait is copied, and `source` waits with it. */
  send(bytes: Buffer, from: number, to: number, end: boolean, trailers: string, source: Source): void {
    if (this.over || this.localClosed) return
    const rest = this.#waiting === null ? this.#push(bytes, from, to, end && trailers === '', Number.POSITIVE_INFINITY) : from
    if (rest < to || (this.#waiting !== null && end)) {
      this.#wait(bytes, rest, to)
      this.#waitingEnd = end
      this.#trailers = trailers
      this.#host.block(this)
      if (!end) this.#holdSource(source)
    } else if (end) this.#end(trailers)
    if (end) this.#releaseSource() // the body is over: who sent it may go on with the next
  }

  #wait(bytes: Buffer, from: number, to: number): void {
    const size = to - from
    const waiting = this.#waiting
    const kept = waiting === null ? 0 : this.#waitingTo - this.#waitingFrom
    if (waiting === null || this.#waitingTo + size > waiting.length) {
      const larger = Buffer.allocUnsafe(waiting === null ? size : 2 * (kept + size))
      waiting?.copy(larger, 0, this.#waitingFrom, this.#waitingTo)
      this.#waiting = larger
      this.#waitingFrom = 0
      this.#waitingTo = kept
    }
    bytes.copy(this.#waiting!, this.#waitingTo, from, to)
    this.#waitingTo += size
    this.#host.countWaiting(size)
  }

  /** Sends what waits, at most `limit` octets; whether any was sent. */
  resume(limit: number): boolean {
    const waiting = this.#waiting
    if (waiting === null) return false
    const from = this.#waitingFrom
    const rest = this.#push(waiting, from, this.#waitingTo, this.#waitingEnd && this.#trailers === '', limit)
    this.#host.countWaiting(from - rest)
    this.#waitingFrom = rest
    if (rest < this.#waitingTo) return rest > from
    this.#waiting = null
    this.#host.blocked.delete(this)
    if (this.#waitingEnd) this.#end(this.#trailers)
    else {
      this.#releaseSource()
      if (!this.over && this.#waiting === null) this.owner.unblocked()
    }
    return true
  }

  /** Resumes for one turn among equals. */
  resumeTurn(): boolean {
    return this.resume(TURN)
  }

  /** Sends as much of `bytes[from, to)` as windows and room let out; returns where it stopped. */
  #push(bytes: Buffer, from: number, to: number, end: boolean, limit: number): number {
    const host = this.#host
    const stop = Math.min(to, from + limit)
    let at = from
    while (at < stop) {
      const size = Math.min(stop - at, this.sendWindow, host.sendWindow, MAX_DATA)
      const last = end && at + size === to
      if (size <= 0 || !host.writeData(this.id, bytes, at, at + size, last, size < stop - at && size < MAX_DATA)) return at
      this.#endSent = last
      at += size
      this.sendWindow -= size
      host.sendWindow -= size
      this.sent += size
    }
    return at
  }

  /** All of the body is out; END_STREAM was on its last octets, if it had any and no trailers follow. */
  #end(trailers: string): void {
    if (trailers !== '') this.#host.writeTrailers(this.id, trailers)
    else if (!this.#endSent) this.#host.writeEnd(this.id)
    this.localEnded()
  }

  /** END_STREAM was sent. */
  localEnded(): void {
    this.localClosed = true
    this.#closeIfDone()
    if (!this.over) this.owner.localEnd()
  }

  #closeIfDone(): void {
    if (this.localClosed && this.remoteClosed && !this.over) this.#host.close(this)
  }

  #holdSource(source: Source): void {
    if (this.#source !== null) return
    this.#source = source
    source.hold()
  }

  #releaseSource(): void {
    const source = this.#source
    if (source === null) return
    this.#source = null
    source.unhold()
  }

  /** Ends it with an error code, or NO_ERROR where the peer may as well stop; its owner is not told. */
  reset(code: number): void {
    if (!this.over) this.#host.resetStream(this, code)
  }

  /** Called by the connection when it is over: nothing waits for it any more. */
  drop(): void {
    this.over = true
    if (this.#waiting !== null) this.#host.countWaiting(this.#waitingFrom - this.#waitingTo)
    this.#waiting = null
    this.#releaseSource()
    if (this.#unused === 0) return
    this.#host.giveWindow(this.#unused)
    this.#unused = 0
  }
}

const MAX_DATA = 16_384

/** The owner of a stream that nobody has taken yet. */
export const nobody: StreamOwner = { headers: () => undefined, data: () => undefined, gone: () => undefined, unblocked: () => undefined, localEnd: () => undefined, closed: () => undefined }
