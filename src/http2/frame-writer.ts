// Writing frames into a connection's outbox: heads from header lines, bodies, and what connections say to each other.
import type { Outbox } from '#src/io/outbox.ts'
import {
  ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, FRAME_HEAD, GOAWAY, HEADERS, MAX_PAYLOAD, PING, PREFACE, RST_STREAM, SETTINGS, WINDOW_UPDATE, writeFrameHead, writeWord,
} from './frame.ts'
import { blockRoom, HpackEncoder } from './hpack-encoder.ts'
import { SETTING_BYTES, writeSetting } from './settings.ts'

export class FrameWriter {
  readonly encoder = new HpackEncoder()
  readonly #outbox: Outbox
  #blockAt = 0

  constructor(outbox: Outbox) {
    this.#outbox = outbox
  }

  /** The memory that `openBlock` and the encoder write to. */
  get bytes(): Buffer {
    return this.#outbox.bytes
  }

  /** Begins a header block of at most `characters` of lines; returns where its fields go. */
  openBlock(characters: number): number {
    const size = blockRoom(characters)
    const room = size + FRAME_HEAD * (1 + Math.ceil(size / MAX_PAYLOAD))
    this.#outbox.hasRoom(room) // what can go goes first, so that memory need not grow
    this.#blockAt = this.#outbox.reserve(room)
    return this.encoder.begin(this.#outbox.bytes, this.#blockAt + FRAME_HEAD)
  }

  /** The block's fields end before `at`. */
  closeBlock(id: number, at: number, end: boolean): void {
    const { bytes } = this.#outbox
    const from = this.#blockAt
    const size = at - from - FRAME_HEAD
    const flags = end ? END_STREAM : 0
    if (size <= MAX_PAYLOAD) {
      writeFrameHead(bytes, from, size, HEADERS, flags | END_HEADERS, id)
      this.#outbox.at = at
      return
    }
    // Moved apart from the last to the first, each as far as there are frames before it.
    const further = Math.ceil(size / MAX_PAYLOAD) - 1
    for (let piece = further; piece > 0; piece--) {
      const begin = from + FRAME_HEAD + piece * MAX_PAYLOAD
      const length = piece === further ? size - piece * MAX_PAYLOAD : MAX_PAYLOAD
      bytes.copyWithin(begin + piece * FRAME_HEAD, begin, begin + length)
      writeFrameHead(bytes, begin + (piece - 1) * FRAME_HEAD, length, CONTINUATION, piece === further ? END_HEADERS : 0, id)
    }
    writeFrameHead(bytes, from, MAX_PAYLOAD, HEADERS, flags, id)
    this.#outbox.at = at + further * FRAME_HEAD
  }

  /** Lines as a block of their own: trailers. */
  trailers(id: number, lines: string): void {
    const at = this.openBlock(lines.length)
    this.closeBlock(id, this.encoder.trailers(this.bytes, at, lines), true)
  }

  /** One DATA frame of `bytes[from, to)`; false when there is no room for it now. */
  data(id: number, bytes: Buffer, from: number, to: number, end: boolean): boolean {
    const size = to - from
    const outbox = this.#outbox
    if (!outbox.hasRoom(FRAME_HEAD + size)) return false
    const at = outbox.reserve(FRAME_HEAD + size)
    const out = outbox.bytes
    writeFrameHead(out, at, size, DATA, end ? END_STREAM : 0, id)
    const begin = at + FRAME_HEAD
    if (size < 96) for (let each = 0; each < size; each++) out[begin + each] = bytes[from + each]!
    else bytes.copy(out, begin, from, to)
    outbox.at = begin + size
    return true
  }

  /** DATA without octets that ends the stream. */
  end(id: number): void {
    this.#small(DATA, END_STREAM, id, 0)
  }

  reset(id: number, code: number): void {
    const at = this.#small(RST_STREAM, 0, id, 4)
    writeWord(this.#outbox.bytes, at, code)
  }

  windowUpdate(id: number, increment: number): void {
    const at = this.#small(WINDOW_UPDATE, 0, id, 4)
    writeWord(this.#outbox.bytes, at, increment)
  }

  /** `payload`: eight octets at `at` of `bytes`. */
  ping(bytes: Buffer, from: number, ack: boolean): void {
    const at = this.#small(PING, ack ? ACK : 0, 0, 8)
    bytes.copy(this.#outbox.bytes, at, from, from + 8)
  }

  goaway(lastId: number, code: number): void {
    const at = this.#small(GOAWAY, 0, 0, 8)
    writeWord(this.#outbox.bytes, at, lastId)
    writeWord(this.#outbox.bytes, at + 4, code)
  }

  settings(entries: readonly (readonly [key: number, value: number])[]): void {
    let at = this.#small(SETTINGS, 0, 0, entries.length * SETTING_BYTES)
    for (const [key, value] of entries) {
      writeSetting(this.#outbox.bytes, at, key, value)
      at += SETTING_BYTES
    }
  }

  settingsAck(): void {
    this.#small(SETTINGS, ACK, 0, 0)
  }

  preface(): void {
    const at = this.#outbox.reserve(PREFACE.length)
    PREFACE.copy(this.#outbox.bytes, at)
    this.#outbox.at = at + PREFACE.length
  }

  /** A frame of a fixed size; returns where its payload goes. */
  #small(type: number, flags: number, id: number, length: number): number {
    const at = this.#outbox.reserve(FRAME_HEAD + length)
    writeFrameHead(this.#outbox.bytes, at, length, type, flags, id)
    this.#outbox.at = at + FRAME_HEAD + length
    return at + FRAME_HEAD
  }
}
