// HPACK's decoder (RFC 7541): reads a header block where it lies; entries of its tables are fields made once.
import { Field, type KindOf } from './field.ts'
import { decodedRoom, decodeHuffman } from './huffman.ts'
import { staticTable } from './static-table.ts'

/** The most that one block may hold before its fields are no longer kept: a small block can mean a large one (an HPACK bomb). */
export interface BlockLimits {
  readonly fields: number
  /** Sum of the fields' sizes (RFC 7541 4.1). */
  readonly bytes: number
}

/** The table that a decoder begins with, for one direction's kinds of field. */
export const staticFields = (kindOf: KindOf): readonly Field[] => staticTable.map(([name, value]) => new Field(name, value, kindOf))

const LITERAL_INDEXED = 0x40
const SIZE_UPDATE = 0x20
const INDEXED = 0x80
const STATIC = staticTable.length

export class HpackDecoder {
  /** After `decode`: the first `count` are the block's. */
  readonly fields: Field[] = []
  /** After `decode`: there was more in the block than the limits allow, and what is in `fields` is not all of it. */
  tooLarge = false
  readonly #static: readonly Field[]
  readonly #kindOf: KindOf
  readonly #limits: BlockLimits
  /** What our SETTINGS allow, and what the peer has chosen. */
  readonly #maximum: number
  #capacity: number
  #size = 0
  /** Oldest first; those before `#first` have been evicted. */
  readonly #table: (Field | undefined)[] = []
  #first = 0
  #at = 0

  /** `fields`: `staticFields` of `kindOf`; `tableSize` is our SETTINGS_HEADER_TABLE_SIZE. */
  constructor(fields: readonly Field[], kindOf: KindOf, tableSize: number, limits: BlockLimits) {
    this.#static = fields
    this.#kindOf = kindOf
    this.#maximum = tableSize
    this.#capacity = tableSize
    this.#limits = limits
  }

  /** Octets that the dynamic table's fields count for. */
  get size(): number {
    return this.#size
  }

  /** Decodes the block `bytes[from, to)`; returns how many fields it has, or -1 when it is not HPACK (COMPRESSION_ERROR). */
  decode(bytes: Buffer, from: number, to: number): number {
    const { fields } = this
    const limits = this.#limits
    let count = 0
    let size = 0
    let begun = false
    this.tooLarge = false
    this.#at = from
    while (this.#at < to) {
      const octet = bytes[this.#at]!
      let field: Field | undefined
      if (octet >= INDEXED) {
        // The usual case, and the cheap one.
        field = this.#entry(octet < 0xff ? (this.#at++, octet & 0x7f) : this.#integer(bytes, to, 0x7f))
      } else if (octet >= SIZE_UPDATE && octet < LITERAL_INDEXED) {
        const capacity = this.#integer(bytes, to, 0x1f)
        if (begun || capacity < 0 || capacity > this.#maximum) return -1
        this.#capacity = capacity
        this.#evict(0)
        continue
      } else if (this.tooLarge && octet < LITERAL_INDEXED) {
        if (!this.#skipLiteral(bytes, to)) return -1
        continue
      } else field = this.#literal(bytes, to, octet >= LITERAL_INDEXED)
      if (field === undefined) return -1
      begun = true
      size += field.size
      if (count >= limits.fields || size > limits.bytes) this.tooLarge = true
      else fields[count++] = field
    }
    return this.#at === to ? count : -1
  }

  #literal(bytes: Buffer, to: number, add: boolean): Field | undefined {
    const index = this.#integer(bytes, to, add ? 0x3f : 0x0f)
    if (index < 0) return undefined
    const named = index === 0 ? undefined : this.#entry(index)
    const name = index === 0 ? this.#string(bytes, to) : named?.name
    const value = name === undefined ? undefined : this.#string(bytes, to)
    if (name === undefined || value === undefined) return undefined
    const field = new Field(name, value, this.#kindOf, named)
    if (add) this.#insert(field)
    return field
  }

  /** A literal that enters no table, of a block that is too large already: nobody will read it. */
  #skipLiteral(bytes: Buffer, to: number): boolean {
    const index = this.#integer(bytes, to, 0x0f)
    if (index < 0 || (index > 0 && this.#entry(index) === undefined)) return false
    return (index > 0 || this.#string(bytes, to) !== undefined) && this.#string(bytes, to) !== undefined
  }

  #entry(index: number): Field | undefined {
    if (index <= STATIC) return this.#static[index - 1]
    const at = this.#table.length - (index - STATIC)
    return at >= this.#first ? this.#table[at] : undefined
  }

  #insert(field: Field): void {
    this.#evict(field.size)
    if (field.size > this.#capacity) return
    this.#table.push(field)
    this.#size += field.size
  }

  #evict(room: number): void {
    const table = this.#table
    while (this.#size + room > this.#capacity && this.#first < table.length) {
      this.#size -= table[this.#first]!.size
      table[this.#first++] = undefined
    }
    if (this.#first <= 64 || this.#first * 2 <= table.length) return
    table.splice(0, this.#first)
    this.#first = 0
  }

  /** -1: cut short, or beyond 28 bits. */
  #integer(bytes: Buffer, to: number, mask: number): number {
    let value = bytes[this.#at++]! & mask
    if (value < mask) return value
    for (let shift = 0; shift <= 21 && this.#at < to; shift += 7) {
      const octet = bytes[this.#at++]!
      value += (octet & 0x7f) << shift
      if (octet < 0x80) return value
    }
    return -1
  }

  #string(bytes: Buffer, to: number): string | undefined {
    if (this.#at >= to) return undefined
    const coded = bytes[this.#at]! >= 0x80
    const length = this.#integer(bytes, to, 0x7f)
    const from = this.#at
    const end = from + length
    if (length < 0 || end > to) return undefined
    this.#at = end
    if (!coded) return bytes.latin1Slice(from, end)
    const out = decodedRoom(length) <= scratch.length ? scratch : Buffer.allocUnsafe(decodedRoom(length))
    const size = decodeHuffman(bytes, from, end, out)
    return size < 0 ? undefined : out.latin1Slice(0, size)
  }
}

/** Memory for one string at a time; longer ones, which are seldom, get their own. */
const scratch = Buffer.allocUnsafeSlow(16 * 1024)
