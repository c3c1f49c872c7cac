// HPACK's encoder (RFC 7541): header lines, as HTTP/1.1 writes them, in; octets of a block, written in place, out.
import { trimmed } from '#src/http1/fields.ts'
import { staticNames, staticIndex } from './static-table.ts'

const INDEXED = 0x80
const LITERAL_INDEXED = 0x40
const NEVER_INDEXED = 0x10
const LITERAL = 0x00
const SIZE_UPDATE = 0x20

/** Values that seldom come twice are not worth a place in the table. */
const fleeting: ReadonlySet<string> = new Set([
  'content-length', 'content-range', 'etag', 'last-modified', 'location', 'age', 'expires', 'x-request-id', 'x-forwarded-for', 'x-real-ip', 'forwarded',
  'traceparent', 'tracestate', 'if-none-match', 'if-modified-since', 'range', 'referer', ':path', 'grpc-timeout',
])
/** What somebody might guess at by watching sizes: it enters no table, here or further on (RFC 7541 7.1.3). */
const secret: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'cookie', 'set-cookie'])

/** Lines whose place in a head is remembered. */
const PLACES = 32
/** Blocks up to this size are kept for the same head to come again. */
const KEPT = 512
/** The table that we use, however large the peer's may be. */
const TABLE = 4096

/** Octets that `lines` (and what goes before them) may need at most. */
export const blockRoom = (lines: number): number => lines * 2 + 256

export class HpackEncoder {
  #capacity = TABLE
  #size = 0
  /** A line of the table → its number, counted from 1 since the start. */
  readonly #numbers = new Map<string, number>()
  /** The lines in the table, oldest first; those before `#first` are evicted. */
  readonly #lines: ({ readonly line: string; readonly size: number } | undefined)[] = []
  #first = 0
  #inserted = 0
  /** A table size that the next block begins with; -1: none. */
  #announce = -1
  /** The table was emptied by a smaller size that no block has told yet. */
  #cleared = false
  /** Counts what makes an earlier block mean something else now. */
  #changes = 0
  readonly #heads = new BlockMemory()
  /** Apart from heads, which would else take each other's places. */
  readonly #trailers = new BlockMemory()
  #authority = ''
  #authorityNumber = 0

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  resize(size: number): void {
    const capacity = Math.min(size, TABLE)
    if (capacity === this.#capacity && this.#announce < 0) return
    // Between two blocks the smallest size has to be told as well (RFC 7541 4.2): an empty table is always that small.
    if (capacity < this.#capacity) this.#clear()
    this.#announce = capacity
    this.#capacity = capacity
    this.#changes++
  }

  /** Whatever a block begins with; every block does. */
  begin(out: Buffer, at: number): number {
    if (this.#announce < 0) return at
    const cleared = this.#cleared
    this.#cleared = false
    if (cleared && this.#announce > 0) at = writeInteger(out, at, SIZE_UPDATE, 0x1f, 0)
    at = writeInteger(out, at, SIZE_UPDATE, 0x1f, this.#announce)
    this.#announce = -1
    return at
  }

  /** A pseudo-header field of a request that is seldom worth a place: no table is searched for it but the static one. */
  plain(out: Buffer, at: number, name: string, value: string): number {
    const known = staticIndex(name, value)
    if (known > 0) return writeInteger(out, at, INDEXED, 0x7f, known)
    const index = staticNames.get(name) ?? 0
    at = writeInteger(out, at, LITERAL, 0x0f, index)
    if (index === 0) at = writeText(out, at, name)
    return writeText(out, at, value)
  }

  /** `:authority`, which enters the table. */
  authority(out: Buffer, at: number, authority: string): number {
    if (authority === this.#authority && this.#isLive(this.#authorityNumber)) return this.#indexed(out, at, this.#authorityNumber)
    const line = `:authority: ${authority}\r\n`
    at = this.#line(out, at, line)
    this.#authority = authority
    this.#authorityNumber = this.#numbers.get(line) ?? 0
    return at
  }

  /** `:status`, which every response begins with. */
  status(out: Buffer, at: number, status: number): number {
    const known = status === 200 ? 8 : status === 204 ? 9 : status === 206 ? 10 : status === 304 ? 11 : status === 400 ? 12 : status === 404 ? 13 : status === 500 ? 14 : 0
    if (known > 0) {
      out[at] = INDEXED | known
      return at + 1
    }
    out[at] = 0x08
    out[at + 1] = 3
    out.latin1Write(String(status), at + 2, 3)
    return at + 5
  }

  /** `content-length`, which changes most often and enters no table. */
  length(out: Buffer, at: number, length: number): number {
    out[at] = 0x0f
    out[at + 1] = 28 - 15
    return writeText(out, at + 2, String(length))
  }

  /** The lines of a head, `Name: value` with CRLF each. The same text as last time is a copy of its octets. */
  lines(out: Buffer, at: number, text: string): number {
    return this.#block(out, at, text, this.#heads)
  }

  /** The lines of trailers. */
  trailers(out: Buffer, at: number, text: string): number {
    return this.#block(out, at, text, this.#trailers)
  }

  #block(out: Buffer, at: number, text: string, memory: BlockMemory): number {
    if (this.#changes === memory.lastChanges && text === memory.lastText) return at + memory.last.copy(out, at, 0, memory.lastSize)
    const begun = at
    const { length } = text
    const { guesses } = memory
    const changes = this.#changes
    let from = 0
    for (let place = 0; from < length; place++) {
      const guess = place < PLACES ? guesses[place] : undefined
      // slice and === take 20 ns a line, startsWith(text, from) 65
      if (guess !== undefined && text.slice(from, from + guess.text.length) === guess.text) {
        const { number, octets } = guess
        if (octets !== null) {
          const end = text.indexOf('\r\n', from)
          for (let each = 0; each < octets.length; each++) out[at++] = octets[each]!
          at = writeText(out, at, trimmed(text, from + guess.text.length, end))
          from = end + 2
          continue
        }
        if (this.#isLive(number)) {
          at = this.#indexed(out, at, number)
          from += guess.text.length
          continue
        }
      }
      const end = text.indexOf('\r\n', from) + 2
      const line = text.slice(from, end)
      at = this.#line(out, at, line)
      if (place < PLACES) guesses[place] = this.#guessOf(line)
      from = end
    }
    if (at - begun <= KEPT && this.#changes === changes) memory.keep(text, out, begun, at, changes)
    return at
  }

  /** What stands at this place will most likely stand there the next time: all of it, or its name. */
  #guessOf(line: string): Guess | undefined {
    const number = this.#numbers.get(line)
    if (number !== undefined) return { text: line, number, octets: null }
    const colon = line.indexOf(':', 1)
    const name = line.slice(0, colon).toLowerCase()
    if (line.charCodeAt(colon + 1) !== 0x20 || name.length > 60 || !(secret.has(name) || fleeting.has(name))) return undefined
    const octets = Buffer.alloc(name.length + 4)
    return { text: line.slice(0, colon + 2), number: 0, octets: octets.subarray(0, writeName(octets, 0, name, secret.has(name))) }
  }

  /** It is in the table still. */
  #isLive(number: number): boolean {
    return number > this.#inserted - (this.#lines.length - this.#first)
  }

  #indexed(out: Buffer, at: number, number: number): number {
    return writeInteger(out, at, INDEXED, 0x7f, 62 + this.#inserted - number)
  }

  #line(out: Buffer, at: number, line: string): number {
    const known = this.#numbers.get(line)
    if (known !== undefined) return this.#indexed(out, at, known)
    const colon = line.indexOf(':', 1) // the first may begin a pseudo-header field
    const name = line.slice(0, colon).toLowerCase()
    const value = trimmed(line, colon + 1, line.length - 2)
    const size = name.length + value.length + 32
    const hidden = secret.has(name)
    if (hidden || fleeting.has(name) || size * 2 >= this.#capacity) return writeText(out, writeName(out, at, name, hidden), value)
    const index = staticNames.get(name) ?? 0
    at = writeInteger(out, at, LITERAL_INDEXED, 0x3f, index)
    if (index === 0) at = writeText(out, at, name)
    at = writeText(out, at, value)
    this.#insert(line, size)
    return at
  }

  #insert(line: string, size: number): void {
    this.#changes++
    while (this.#size + size > this.#capacity) this.#evict()
    this.#size += size
    this.#lines.push({ line, size })
    this.#numbers.set(line, ++this.#inserted)
  }

  #evict(): void {
    const lines = this.#lines
    const old = lines[this.#first]!
    lines[this.#first++] = undefined
    this.#size -= old.size
    this.#numbers.delete(old.line)
    if (this.#first <= 64 || this.#first * 2 <= lines.length) return
    lines.splice(0, this.#first)
    this.#first = 0
  }

  #clear(): void {
    while (this.#size > 0) this.#evict()
    this.#cleared = true
  }
}

interface Guess {
  /** A line of the table, or the beginning of one whose value enters no table. */
  readonly text: string
  /** Of a line of the table. */
  readonly number: number
  /** What such a beginning is written as; null: a line of the table. */
  readonly octets: Buffer | null
}

/** What is remembered of the blocks of one kind: peers of ours send the same lines in the same order, and what is compared in place needs no hash. */
class BlockMemory {
  /** By the line's place in its block. */
  readonly guesses: (Guess | undefined)[] = []
  /** The last block, if it changed nothing: one that inserts must not be sent twice. */
  lastText = ''
  lastChanges = -1
  lastSize = 0
  last: Buffer = nothing

  keep(text: string, out: Buffer, from: number, to: number, changes: number): void {
    if (this.last === nothing) this.last = Buffer.allocUnsafe(KEPT)
    out.copy(this.last, 0, from, to)
    this.lastSize = to - from
    this.lastText = text
    this.lastChanges = changes
  }
}

const nothing = Buffer.alloc(0)

/** A name whose value enters no table, and where it is `hidden` none further on. */
function writeName(out: Buffer, at: number, name: string, hidden: boolean): number {
  const index = staticNames.get(name) ?? 0
  at = writeInteger(out, at, hidden ? NEVER_INDEXED : LITERAL, 0x0f, index)
  return index === 0 ? writeText(out, at, name) : at
}

/** An integer with a prefix (RFC 7541 5.1); `mask` is what the prefix holds. */
function writeInteger(out: Buffer, at: number, high: number, mask: number, value: number): number {
  if (value < mask) {
    out[at] = high | value
    return at + 1
  }
  out[at++] = high | mask
  for (value -= mask; value >= 0x80; value >>>= 7) out[at++] = (value & 0x7f) | 0x80
  out[at] = value
  return at + 1
}

/** Never Huffman: it would save octets, not CPU. */
function writeText(out: Buffer, at: number, text: string): number {
  at = writeInteger(out, at, 0, 0x7f, text.length)
  if (text.length > 24) return at + out.latin1Write(text, at)
  for (let each = 0; each < text.length; each++) out[at++] = text.charCodeAt(each)
  return at
}
