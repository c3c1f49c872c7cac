// A second decoder of HPACK, slow and obvious, written from RFC 7541 alone: what src/http2 must agree with on every block.
import { staticTable } from '#src/http2/static-table.ts'

export type Pair = readonly [name: string, value: string]

/** Appendix B: the symbols whose codes have so many bits; the codes count up in this order. */
const symbols: Readonly<Record<number, string>> = {
  5: '48-50 97 99 101 105 111 115-116', 6: '32 37 45-47 51-57 61 65 95 98 100 102-104 108-110 112 114 117', 7: '58 66-87 89 106-107 113 118-122',
  8: '38 42 44 59 88 90', 10: '33-34 40-41 63', 11: '39 43 124', 12: '35 62', 13: '0 36 64 91 93 126', 14: '94 125', 15: '60 96 123', 19: '92 195 208',
  20: '128 130-131 162 184 194 224 226', 21: '153 161 167 172 176-177 179 209 216-217 227 229-230',
  22: '129 132-134 136 146 154 156 160 163-164 169-170 173 178 181 185-187 189-190 196 198 228 232-233',
  23: '1 135 137-141 143 147 149-152 155 157-158 165-166 168 174-175 180 182-183 188 191 197 231 239',
  24: '9 142 144-145 148 159 171 206 215 225 236-237', 25: '199 207 234-235', 26: '192-193 200-202 205 210 213 218-219 238 240 242-243 255',
  27: '203-204 211-212 214 221-223 241 244-248 250-254', 28: '2-8 11-12 14-21 23-31 127 220 249', 30: '10 13 22 256',
}
const END_OF_STRING = 256
const codes = huffmanCodes()

function huffmanCodes(): ReadonlyMap<string, number> {
  const all = new Map<string, number>()
  let code = 0
  for (let length = 5; length <= 30; length++, code *= 2) {
    for (const run of (symbols[length] ?? '').split(' ').filter((each) => each !== '')) {
      const [first = 0, last = first] = run.split('-').map(Number)
      for (let symbol = first; symbol <= last; symbol++) all.set((code++).toString(2).padStart(length, '0'), symbol)
    }
  }
  return all
}

/** One direction of a connection; `tableSize` is what the decoder's SETTINGS say. */
export class HpackOracle {
  /** Newest first, as the RFC counts. */
  readonly table: Pair[] = []
  readonly #tableSize: number
  #capacity: number

  constructor(tableSize: number) {
    this.#tableSize = tableSize
    this.#capacity = tableSize
  }

  /** The fields of a block; undefined when it is none. */
  decode(block: Buffer): Pair[] | undefined {
    const fields: Pair[] = []
    let at = 0
    const integer = (bits: number): number | undefined => {
      const most = 2 ** bits - 1
      let value = (block[at++] ?? 0) & most
      if (value < most) return value
      for (let place = 0; ; place++) {
        const octet = block[at++]
        if (octet === undefined || place === 4) return undefined // 5.1 leaves the limit to us: four octets
        value += (octet % 128) * 128 ** place
        if (octet < 128) return value
      }
    }
    const text = (): string | undefined => {
      if (at >= block.length) return undefined
      const coded = block[at]! >= 128
      const length = integer(7)
      if (length === undefined || at + length > block.length) return undefined
      const octets = block.subarray(at, at + length)
      at += length
      return coded ? unHuffman(octets) : octets.toString('latin1')
    }
    const entry = (index: number): Pair | undefined => index === 0 ? undefined : index <= staticTable.length ? staticTable[index - 1] : this.table[index - staticTable.length - 1]
    while (at < block.length) {
      const octet = block[at]!
      if (octet >= 128) { // 6.1
        const index = integer(7)
        const found = index === undefined ? undefined : entry(index)
        if (found === undefined) return undefined
        fields.push(found)
      } else if (octet >= 32 && octet < 64) { // 6.3
        const size = integer(5)
        if (size === undefined || size > this.#tableSize || fields.length > 0) return undefined
        this.#capacity = size
        this.#evict()
      } else { // 6.2
        const index = integer(octet >= 64 ? 6 : 4)
        if (index === undefined) return undefined
        const name = index === 0 ? text() : entry(index)?.[0]
        const value = name === undefined ? undefined : text()
        if (name === undefined || value === undefined) return undefined
        fields.push([name, value])
        if (octet >= 64) {
          this.table.unshift([name, value])
          this.#evict()
        }
      }
    }
    return fields
  }

  /** 4.4: a new entry that is larger than all of the table has emptied it. */
  #evict(): void {
    while (this.size > this.#capacity) this.table.pop()
  }

  get size(): number {
    return this.table.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0)
  }
}

/** 5.2: bit by bit. */
function unHuffman(octets: Buffer): string | undefined {
  let text = ''
  let bits = ''
  for (const octet of octets) {
    for (const bit of octet.toString(2).padStart(8, '0')) {
      bits += bit
      const symbol = codes.get(bits)
      if (symbol === END_OF_STRING) return undefined
      if (symbol === undefined) continue
      text += String.fromCharCode(symbol)
      bits = ''
    }
  }
  return bits.length < 8 && !bits.includes('0') ? text : undefined
}
