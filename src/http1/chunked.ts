// The chunked coding (RFC 9112 section 7): a strict decoder that works where the octets lie, and the framing of our own chunks.
import { FieldScanner, readsAs } from './fields.ts'
import { KEEP, kindOfField } from './request-head.ts'

const SIZE_FIRST = 0
const SIZE = 1
const EXTENSION = 2
const SIZE_LF = 3
const DATA = 4
const DATA_CR = 5
const DATA_LF = 6
const TRAILER = 7
const DONE = 8

const CR = 0x0d
const LF = 0x0a
const SEMICOLON = 0x3b

/** Octets of chunk extensions that one message may have; nobody uses them, and they carry nothing on. */
const MAX_EXTENSIONS = 4096
/** Octets of the trailer section, its empty line included. */
const MAX_TRAILERS = 16 * 1024
const MAX_TRAILER_FIELDS = 64
/** 2^52: beyond it sizes are no longer exact. */
const MAX_SIZE_DIGITS = 13

const hexValue = new Int8Array(256).fill(-1)
for (let digit = 0; digit < 16; digit++) {
  hexValue[digit.toString(16).charCodeAt(0)] = digit
  hexValue[digit.toString(16).toUpperCase().charCodeAt(0)] = digit
}

/**
 * Decodes one message body, whatever the pieces it comes in.
 * The data of several chunks in one piece is moved together in place, so that each piece gives one span.
 */
export class ChunkedDecoder {
  /** The span of data that the last `decode` found. */
  start = 0
  end = 0
  /** First octet that the last `decode` did not consume; the message ended there when it said `done`. */
  next = 0
  /** Trailer lines that may go on, each with its CRLF; complete once `decode` said `done`. */
  trailers = ''
  /** Why `decode` said `bad`. */
  fault = ''
  #state = SIZE_FIRST
  #size = 0
  #digits = 0
  #extensions = 0
  #trailerText = ''

  /** Consumes `bytes[from, to)`. */
  decode(bytes: Buffer, from: number, to: number): 'more' | 'done' | 'bad' {
    let at = from
    this.start = from
    this.end = from
    while (at < to) {
      switch (this.#state) {
        case DATA: {
          const size = Math.min(this.#size, to - at)
          if (this.end === this.start) {
            this.start = at
            this.end = at
          } else if (this.end !== at) bytes.copyWithin(this.end, at, at + size)
          this.end += size
          at += size
          this.#size -= size
          if (this.#size === 0) this.#state = DATA_CR
          continue
        }
        case SIZE_FIRST:
        case SIZE: {
          const code = bytes[at]!
          const value = hexValue[code]!
          if (value >= 0) {
            if (++this.#digits > MAX_SIZE_DIGITS) return this.#refuse('chunk size too large')
            this.#size = this.#size * 16 + value
            this.#state = SIZE
          } else if (this.#state === SIZE_FIRST) return this.#refuse('bad chunk size')
          else if (code === CR) this.#state = SIZE_LF
          else if (code === SEMICOLON) this.#state = EXTENSION
          else return this.#refuse('bad chunk size')
          at++
          continue
        }
        case EXTENSION: {
          const code = bytes[at++]!
          if (code === CR) this.#state = SIZE_LF
          else if ((code < 0x20 && code !== 0x09) || code >= 0x7f) return this.#refuse('bad chunk extension')
          else if (++this.#extensions > MAX_EXTENSIONS) return this.#refuse('chunk extensions too long')
          continue
        }
        case SIZE_LF:
          if (bytes[at++] !== LF) return this.#refuse('bare CR after a chunk size')
          this.#digits = 0
          this.#state = this.#size === 0 ? TRAILER : DATA
          continue
        case DATA_CR:
          if (bytes[at++] !== CR) return this.#refuse('chunk longer than its size')
          this.#state = DATA_LF
          continue
        case DATA_LF:
          if (bytes[at++] !== LF) return this.#refuse('bare CR after a chunk')
          this.#state = SIZE_FIRST
          continue
        case TRAILER: {
          at = this.#readTrailers(bytes, at, to)
          if (this.fault !== '') return 'bad'
          if (this.#isDone()) {
            this.next = at
            return 'done'
          }
          continue
        }
        default:
          return this.#refuse('octets after the end')
      }
    }
    this.next = at
    return 'more'
  }

  #isDone(): boolean {
    return this.#state === DONE
  }

  /** Takes octets up to the empty line that ends the message; returns where it stopped. */
  #readTrailers(bytes: Buffer, from: number, to: number): number {
    const before = this.#trailerText.length
    const text = this.#trailerText + bytes.latin1Slice(from, Math.min(to, from + MAX_TRAILERS - before))
    if (text.startsWith('\r\n')) return this.#finish('', from + 2 - before)
    const end = text.indexOf('\r\n\r\n', Math.max(0, before - 3))
    if (end >= 0) return this.#finish(text.slice(0, end + 2), from + end + 4 - before)
    if (text.length >= MAX_TRAILERS) this.#refuse('trailers too long')
    for (let at = text.indexOf('\n', before); at >= 0; at = text.indexOf('\n', at + 1)) {
      if (text.charCodeAt(at - 1) !== CR) this.#refuse('bare LF in trailers')
    }
    this.#trailerText = text
    return to
  }

  #finish(block: string, next: number): number {
    const scanner = new FieldScanner(block, 0, MAX_TRAILER_FIELDS)
    while (scanner.next()) if (!forbiddenTrailer(scanner.name())) this.trailers += block.slice(scanner.lineStart, scanner.lineEnd)
    if (scanner.fault !== '') this.#refuse(`trailers: ${scanner.fault}`)
    this.#state = DONE
    return next
  }

  #refuse(fault: string): 'bad' {
    this.fault = fault
    return 'bad'
  }
}

/** Fields that change how a message is framed, routed, authenticated or read do not count as trailers (RFC 9110 6.5.1), beside those that heads do not pass on. */
const forbidden: ReadonlySet<string> = new Set([
  'trailer', 'authorization', 'www-authenticate', 'cookie', 'set-cookie', 'content-encoding', 'content-type', 'content-range',
  'cache-control', 'max-forwards', 'range', 'age', 'date', 'expires', 'location', 'retry-after', 'vary',
])
/** Whether a trailer of this lower-case name goes no further. */
export const forbiddenTrailer = (name: string): boolean => {
  if (kindOfField(name) !== KEEP) return true
  const read = readsAs(name)
  return forbidden.has(read) || read.startsWith('if-') || read.startsWith('serai-')
}

/** The last chunk, with trailer lines or ''. */
export const lastChunk = (trailers: string): string => (trailers === '' ? '0\r\n\r\n' : `0\r\n${trailers}\r\n`)

/**
 * Frames `bytes[start, end)` as one chunk where it lies, overwriting what stands before and after it; returns where the chunk starts.
 * It ends at `end + 2`. The caller's buffer has the room (io/read-buffer.ts), or framing stood there before.
 */
export function frameChunk(bytes: Buffer, start: number, end: number): number {
  const size = (end - start).toString(16)
  let at = start - 2 - size.length
  const begin = at
  for (let digit = 0; digit < size.length; digit++) bytes[at++] = size.charCodeAt(digit)
  bytes[at++] = CR
  bytes[at] = LF
  bytes[end] = CR
  bytes[end + 1] = LF
  return begin
}

