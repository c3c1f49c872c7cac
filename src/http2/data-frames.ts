// DATA frames as they come: taken off the windows, checked against their stream, and given to it in pieces without padding (RFC 9113 section 6.1).
import { ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, PROTOCOL_ERROR, STREAM_CLOSED } from './error-code.ts'
import { DATA, END_STREAM, FRAME_HEAD, readWord, writeWord } from './frame.ts'
import type { DataSink } from './frame-reader.ts'
import type { Stream } from './stream.ts'
import { USEFUL, type Streams } from './streams.ts'
import type { Tolerance } from './tolerance.ts'

/** The connection, as DATA needs it. What returns a boolean says whether reading goes on. */
export interface DataHost {
  /** Nothing more is read. */
  readonly over: boolean
  /** Whether such a frame may not come now. */
  misplaced(type: number, id: number): boolean
  fail(code: number, reason: string): false
  streamError(stream: Stream, code: number): boolean
  /** A frame came that moves nothing. */
  spend(cost: number): boolean
  /** A stream came to nothing by the peer's doing. */
  spendReset(): boolean
}

export interface DataFramesOptions {
  readonly host: DataHost
  readonly streams: Streams
  readonly tolerance: Tolerance
  /** The peer is a client. */
  readonly server: boolean
}

const none = Buffer.alloc(16)

export class DataFrames implements DataSink {
  readonly #host: DataHost
  readonly #streams: Streams
  readonly #tolerance: Tolerance
  readonly #server: boolean
  // The frame that is being read; null behind its last piece, for a connection that is idle must not keep whom it was for.
  #stream: Stream | null = null
  #end = false

  constructor({ host, streams, tolerance, server }: DataFramesOptions) {
    this.#host = host
    this.#streams = streams
    this.#tolerance = tolerance
    this.#server = server
  }

  dataHead(flags: number, id: number, length: number): boolean {
    const host = this.#host
    const stream = this.#begin(id, length)
    if (host.over) return false
    this.#stream = length > 0 ? stream : null
    this.#end = (flags & END_STREAM) !== 0
    if (stream === null) return length >= USEFUL || host.spend(1)
    if (length > 0) return length > FRAME_HEAD || this.#spendTiny()
    if (!this.#end) return host.spend(2)
    stream.receive(none, 8, 8, true)
    return !host.over
  }

  dataPiece(bytes: Buffer, at: number, to: number, last: boolean): boolean {
    const stream = this.#stream
    if (last) this.#stream = null
    if (stream === null || stream.over) this.#streams.giveWindow(to - at)
    else stream.receive(bytes, at, to, last && this.#end)
    return !this.#host.over
  }

  /** A whole frame with padding, which counts against the windows as its data does; `bytes[at, to)` is its payload. */
  padded(flags: number, id: number, bytes: Buffer, at: number, to: number): boolean {
    const host = this.#host
    const size = to - at
    const stream = this.#begin(id, size)
    if (host.over) return false
    if (size === 0) return host.fail(FRAME_SIZE_ERROR, 'no padding length')
    const padding = bytes[at]! + 1
    if (padding > size) return host.fail(PROTOCOL_ERROR, 'more padding than frame')
    if (stream === null) {
      this.#streams.giveWindow(size)
      return size - padding >= USEFUL || host.spend(1)
    }
    const end = (flags & END_STREAM) !== 0
    if (padding === size ? !end && !host.spend(2) : size - padding <= FRAME_HEAD && !this.#spendTiny()) return false
    stream.pad(padding)
    const behind = to - padding + 1
    const [first, second] = [readWord(bytes, behind), readWord(bytes, behind + 4)] // as in frame-reader.ts
    stream.receive(bytes, at + 1, behind, end)
    writeWord(bytes, behind, first)
    writeWord(bytes, behind + 4, second)
    return !host.over
  }

  /** Checks a frame and takes it off the windows; null: its octets go nowhere. */
  #begin(id: number, length: number): Stream | null {
    const host = this.#host
    const streams = this.#streams
    if (host.misplaced(DATA, id) || !streams.isKnown(id)) host.fail(PROTOCOL_ERROR, 'DATA where none belongs')
    else if (!streams.takeWindow(length)) host.fail(FLOW_CONTROL_ERROR, 'more DATA than the window')
    else {
      const stream = streams.open.get(id)
      if (stream === undefined) this.#late(id)
      else if (stream.remoteClosed) host.streamError(stream, STREAM_CLOSED)
      else if ((stream.recvWindow -= length) < 0) host.streamError(stream, FLOW_CONTROL_ERROR)
      else {
        if (length > FRAME_HEAD) this.#tolerance.worked(1)
        return stream
      }
    }
    return null
  }

  /** On a stream that is over: it may have been on its way when we reset it. */
  #late(id: number): void {
    if (!this.#server || this.#streams.cutLately(id)) return
    this.#streams.refuseLate(id)
    this.#host.spendReset()
  }

  #spendTiny(): boolean {
    return this.#tolerance.tinyData() || this.#host.fail(ENHANCE_YOUR_CALM, 'too much DATA that is more frame than payload')
  }
}
