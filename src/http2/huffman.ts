// The Huffman code of header fields (RFC 7541 section 5.2 and appendix B): a decoder that eats an octet a step.

// The code is canonical: the lengths of the symbols' codes are all of it. Runs, as `length*times`.
const lengths = ('13 23 28*7 24 30 28*2 30 28*8 30 28*9 6 10*2 12 13 6 8 11 10*2 8 11 8 6*3 5*3 6*7 7 8 15 6 12 10 13 6 7*22 8 7 8 ' +
  '13 19 13 14 6 15 5 6 5 6 5 6*3 5 7*2 6*3 5 6 7 6 5*2 6 7*5 15 11 14 13 28 20 22 20*2 22*3 23 22 23*5 24 23 24*2 22 23 ' +
  '24 23*4 21 22 23 22 23*2 24 22 21 20 22*2 23*2 21 23 22*2 24 21 22 23*2 21*2 22 21 23 22 23*2 20 22*3 23 22*2 23 26*2 20 ' +
  '19 22 23 22 25 26*3 27*2 26 24 25 19 21 26 27*2 26 27 24 21*2 26*2 28 27*3 20 24 20 21 22 21*2 23 22*2 25*2 24*2 26 23 26 27 ' +
  '26*2 27*5 28 27*5 26 30').split(' ').flatMap((run) => {
  const [length, times = '1'] = run.split('*')
  return new Array<number>(Number(times)).fill(Number(length))
})

const END_OF_STRING = 256
/** In a step: the end-of-string code was met, which a string must not contain. */
const BROKEN = 1 << 15

/**
 * `steps[state << 8 | octet]`: the next state (8 bits), how many symbols came out (2 bits; 0 to 2, as no code is shorter than 5 bits),
 * `BROKEN`, and from bit 16 on the symbols.
 */
const steps = new Uint32Array(256 * 256)
/** 1: a string may end in this state, which is up to 7 one bits (RFC 7541 5.2). */
const mayEnd = new Uint8Array(256)
fillTables()

function fillTables(): void {
  // The tree: above 0 an inner node, below 0 a leaf (~symbol), 0 nothing yet.
  const left = [0]
  const right = [0]
  let code = 0
  for (let length = 5; length <= 30; length++, code <<= 1) {
    for (let symbol = 0; symbol <= END_OF_STRING; symbol++) {
      if (lengths[symbol] !== length) continue
      let node = 0
      for (let bit = length - 1; bit >= 0; bit--) {
        const side = (code >>> bit) & 1 ? right : left
        if (bit === 0) side[node] = ~symbol
        else if (side[node] === 0) {
          side[node] = left.length
          left.push(0)
          right.push(0)
        }
        if (bit > 0) node = side[node]!
      }
      code++
    }
  }
  for (let state = 0; state < 256; state++) {
    for (let octet = 0; octet < 256; octet++) steps[(state << 8) | octet] = stepOf(left, right, state, octet)
  }
  for (let depth = 0, node = 0; depth <= 7; depth++, node = right[node]!) mayEnd[node] = 1
}

function stepOf(left: readonly number[], right: readonly number[], state: number, octet: number): number {
  let node = state
  let count = 0
  let symbols = 0
  for (let bit = 7; bit >= 0; bit--) {
    node = ((octet >>> bit) & 1 ? right : left)[node]!
    if (node >= 0) continue
    const symbol = ~node
    node = 0
    if (symbol === END_OF_STRING) return BROKEN
    symbols |= symbol << (8 * count++)
  }
  return (node | (count << 8) | (symbols << 16)) >>> 0
}

/** Octets of memory that decoding `size` octets may need. */
export const decodedRoom = (size: number): number => Math.ceil((size * 8) / 5) + 2

/** Decodes `bytes[from, to)` into `out`, which has `decodedRoom`; returns the number of octets, or -1 when it is not such a string. */
export function decodeHuffman(bytes: Buffer, from: number, to: number, out: Buffer): number {
  let state = 0
  let size = 0
  let seen = 0
  for (let at = from; at < to; at++) {
    const step = steps[(state << 8) | bytes[at]!]!
    out[size] = step >>> 16 // written always, counted when there: no branch
    out[size + 1] = step >>> 24
    size += (step >>> 8) & 3
    seen |= step
    state = step & 0xff
  }
  return (seen & BROKEN) !== 0 || mayEnd[state] === 0 ? -1 : size
}
