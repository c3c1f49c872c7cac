// Taking a connection's octets apart into frames, whatever the pieces they come in: in place, and only a frame that is cut in two is copied.
import { DATA, FRAME_HEAD, MAX_PAYLOAD, PADDED, PREFACE, readId, readWord, writeWord } from './frame.ts'
import { FRAME_SIZE_ERROR, PROTOCOL_ERROR } from './error-code.ts'

/** What becomes of frames. Each returns false when nothing more is to be read. Spans are gone when the call returns. */
export interface FrameSink {
  /** A whole frame; its payload is `bytes[at, to)`. DATA comes here only when it is padded. */
  frame(type: number, flags: number, id: number, bytes: Buffer, at: number, to: number): boolean
  /** The octets are no frames that we take. */
  unreadable(code: number, reason: string): void
}

/** What becomes of DATA, which need not be whole; as for `FrameSink`. */
export interface DataSink {
  /** DATA without padding, whose `length` octets follow in pieces; an empty one has none. */
  dataHead(flags: number, id: number, length: number): boolean
  /** A piece of that frame; `last`: its last one. Up to eight octets behind `to` may be overwritten. */
  dataPiece(bytes: Buffer, at: number, to: number, last: boolean): boolean
}

/** Room behind a frame that was copied, for who frames a chunk, and the last one, where the data lies (http1/chunked.ts). */
const ROOM_AFTER = 8

export class FrameReader {
  readonly #sink: FrameSink
  readonly #data: DataSink
  /** Octets of the preface that have still to come. */
  #preface: number
  /** The beginning of a frame whose rest has not come. */
  #kept: Buffer | null = null
  #keptSize = 0
  #dataLeft = 0
  #stopped = false

  /** `preface`: the peer is a client, and begins with it. */
  constructor(sink: FrameSink, data: DataSink, preface: boolean) {
    this.#sink = sink
    this.#data = data
    this.#preface = preface ? PREFACE.length : 0
  }

  /** A frame, or the preface, has begun and is not complete. */
  get midway(): boolean {
    return this.#keptSize > 0 || (this.#preface > 0 && this.#preface < PREFACE.length)
  }

  /** The preface has come (there is none to wait for, where the peer is a server). */
  get greeted(): boolean {
    return this.#preface === 0
  }

  /** Reads `bytes[from, to)`. */
  read(bytes: Buffer, from: number, to: number): void {
    let at = from
    if (this.#preface > 0) at = this.#readPreface(bytes, at, to)
    while (at < to && !this.#stopped) {
      if (this.#dataLeft > 0) at = this.#readData(bytes, at, to)
      else if (this.#keptSize > 0) at = this.#complete(bytes, at, to)
      else {
        const next = this.#readFrame(bytes, at, to)
        if (next < 0) return this.#keep(bytes, at, to)
        at = next
      }
    }
  }

  #readPreface(bytes: Buffer, from: number, to: number): number {
    const done = PREFACE.length - this.#preface
    const size = Math.min(this.#preface, to - from)
    if (bytes.compare(PREFACE, done, done + size, from, from + size) !== 0) return this.#stop(PROTOCOL_ERROR, 'no preface')
    this.#preface -= size
    return from + size
  }

  #readData(bytes: Buffer, at: number, to: number): number {
    const end = Math.min(to, at + this.#dataLeft)
    this.#dataLeft -= end - at
    // Whoever frames the span as a chunk, and the last chunk behind it, overwrites octets that are the next frame's.
    const first = readWord(bytes, end)
    const second = readWord(bytes, end + 4)
    if (!this.#data.dataPiece(bytes, at, end, this.#dataLeft === 0)) this.#stopped = true
    writeWord(bytes, end, first)
    writeWord(bytes, end + 4, second)
    return end
  }

  /** Reads the frame at `at`, or as much of it as need not be whole; returns what follows it, or -1 when it is cut off. */
  #readFrame(bytes: Buffer, at: number, to: number): number {
    if (to - at < FRAME_HEAD) return -1
    const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!
    const type = bytes[at + 3]!
    const flags = bytes[at + 4]!
    if (length > MAX_PAYLOAD) return this.#stop(FRAME_SIZE_ERROR, 'frame too large')
    const payload = at + FRAME_HEAD
    const id = readId(bytes, at + 5)
    if (type === DATA && (flags & PADDED) === 0) {
      this.#dataLeft = length
      if (!this.#data.dataHead(flags, id, length)) this.#stopped = true
      return payload
    }
    if (to - payload < length) return -1
    if (!this.#sink.frame(type, flags, id, bytes, payload, payload + length)) this.#stopped = true
    return payload + length
  }

  #keep(bytes: Buffer, from: number, to: number): void {
    const length = to - from < FRAME_HEAD ? 0 : (bytes[from]! << 16) | (bytes[from + 1]! << 8) | bytes[from + 2]!
    this.#kept = Buffer.allocUnsafe(FRAME_HEAD + length + ROOM_AFTER)
    bytes.copy(this.#kept, 0, from, to)
    this.#keptSize = to - from
  }

  /** Goes on with the frame that was cut off; returns the first octet that it did not use. */
  #complete(bytes: Buffer, from: number, to: number): number {
    const kept = this.#kept!
    const wanted = this.#keptSize < FRAME_HEAD ? FRAME_HEAD : kept.length - ROOM_AFTER
    const end = Math.min(to, from + wanted - this.#keptSize)
    bytes.copy(kept, this.#keptSize, from, end)
    this.#keptSize += end - from
    if (this.#keptSize < wanted) return end
    if (this.#readFrame(kept, 0, this.#keptSize) < 0) this.#keep(kept, 0, this.#keptSize) // its head is whole now
    else {
      this.#kept = null
      this.#keptSize = 0
    }
    return end
  }

  #stop(code: number, reason: string): number {
    this.#stopped = true
    this.#sink.unreadable(code, reason)
    return 0
  }
}
