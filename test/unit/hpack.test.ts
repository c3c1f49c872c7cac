// HPACK: the examples of RFC 7541 appendix C, what must be refused, and both directions against node:http2.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HpackDecoder, staticFields } from '#src/http2/hpack-decoder.ts'
import { blockRoom, HpackEncoder } from '#src/http2/hpack-encoder.ts'

const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const kindOf = (): number => 0
const plain = staticFields(kindOf)
const limits = { fields: 100, bytes: 64 * 1024 }
const decoder = (table = 4096, given: Partial<typeof limits> = {}): HpackDecoder => new HpackDecoder(plain, kindOf, table, { ...limits, ...given })

function decode(hpack: HpackDecoder, hex: string): string[] | undefined {
  const bytes = Buffer.from(hex.replace(/\s/g, ''), 'hex')
  const count = hpack.decode(bytes, 0, bytes.length)
  return count < 0 ? undefined : hpack.fields.slice(0, count).map(({ name, value }) => `${name}: ${value}`)
}

const request = [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com']
const requests = [
  request,
  [...request, 'cache-control: no-cache'],
  [':method: GET', ':scheme: https', ':path: /index.html', ':authority: www.example.com', 'custom-key: custom-value'],
]
const first = [':status: 302', 'cache-control: private', 'date: Mon, 21 Oct 2013 20:13:21 GMT', 'location: https://www.example.com']
const responses = [
  first,
  [':status: 307', ...first.slice(1)],
  [':status: 200', 'cache-control: private', 'date: Mon, 21 Oct 2013 20:13:22 GMT', 'location: https://www.example.com', 'content-encoding: gzip',
    'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
]

test('RFC 7541 C.2: one field in each representation', () => {
  assert.deepEqual(decode(decoder(), '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572'), ['custom-key: custom-header'])
  assert.deepEqual(decode(decoder(), '040c 2f73 616d 706c 652f 7061 7468'), [':path: /sample/path'])
  assert.deepEqual(decode(decoder(), '1008 7061 7373 776f 7264 0673 6563 7265 74'), ['password: secret'])
  assert.deepEqual(decode(decoder(), '82'), [':method: GET'])
})

test('RFC 7541 C.3 and C.4: three requests, raw and with Huffman', () => {
  const raw = decoder()
  assert.deepEqual(decode(raw, '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d'), requests[0])
  assert.deepEqual(decode(raw, '8286 84be 5808 6e6f 2d63 6163 6865'), requests[1])
  assert.deepEqual(decode(raw, '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65'), requests[2])
  assert.equal(raw.size, 164)
  const coded = decoder()
  assert.deepEqual(decode(coded, '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff'), requests[0])
  assert.deepEqual(decode(coded, '8286 84be 5886 a8eb 1064 9cbf'), requests[1])
  assert.deepEqual(decode(coded, '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf'), requests[2])
  assert.equal(coded.size, 164)
})

test('RFC 7541 C.5 and C.6: three responses in a table of 256 octets, with eviction', () => {
  const raw = decoder(256)
  assert.deepEqual(decode(raw, '4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d'), responses[0])
  assert.equal(raw.size, 222)
  assert.deepEqual(decode(raw, '4803 3330 37c1 c0bf'), responses[1])
  assert.deepEqual(decode(raw, '88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31'), responses[2])
  assert.equal(raw.size, 215)
  const coded = decoder(256)
  assert.deepEqual(decode(coded, '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3'), responses[0])
  assert.deepEqual(decode(coded, '4883 640e ffc1 c0bf'), responses[1])
  assert.deepEqual(decode(coded, '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07'), responses[2])
  assert.equal(coded.size, 215)
})

test('what is not HPACK is refused', () => {
  const cases: Readonly<Record<string, string>> = {
    'index 0': '80',
    'an index beyond the tables': 'be',
    'an integer that ends too early': 'ff80',
    'an integer without end': 'ffffffffffffffff00',
    'a string that ends too early': '0005 6162',
    'a name without a value': '0001 61',
    'Huffman with the end-of-string code in it': '0084 ffff fffc 00',
    'Huffman padded with zeros': '0081 00 0161',
    'Huffman padded by more than 7 bits': '0082 1fff 0161',
    'a table larger than we allow': '3fe2 1f',
    'a size update behind a field': '82 20',
  }
  for (const [name, hex] of Object.entries(cases)) assert.equal(decode(decoder(), hex), undefined, name)
})

test('a bomb: a small block that means a large one is decoded, bounded and told', () => {
  const hpack = decoder(4096, { bytes: 32 * 1024 })
  const value = 'v'.repeat(4000)
  decode(hpack, `4001 62 7f ${(4000 - 127 & 127 | 128).toString(16)}${(4000 - 127 >> 7).toString(16)} ${Buffer.from(value).toString('hex')}`)
  const bomb = Buffer.alloc(16_000, 0xbe)
  const count = hpack.decode(bomb, 0, bomb.length)
  assert.equal(hpack.tooLarge, true)
  assert.ok(count <= 8, `${count} fields kept`)
  assert.equal(hpack.decode(Buffer.from([0xbe]), 0, 1), 1) // the table has stayed in order
  assert.equal(hpack.tooLarge, false)
})

const names = fc.constantFrom('accept', 'content-type', 'set-cookie', 'x-a', 'x-long-name-of-a-field', 'server', 'etag', 'authorization', 'Content-Language', 'X-Mixed', 'X-Request-Id', 'forwarded', 'cookie')
const values = fc.stringMatching(/^([\x21-\x7e]([\x20-\x7e]{0,60}[\x21-\x7e])?)?$/)
const heads = fc.array(fc.array(fc.tuple(names, fc.oneof(values, fc.constantFrom('a', 'text/html', 'gzip', '', 'voil\xc3\xa0', '\xa0\x85')))), { minLength: 1, maxLength: 30 })
const sizes = fc.array(fc.tuple(fc.nat(30), fc.constantFrom(0, 64, 100, 256, 4096, 65_536)), { maxLength: 4 })

test('what the encoder writes, the decoder reads, whatever came before and however the table changes', (t) => {
  t.diagnostic(`FUZZ_SEED=${seed}`)
  fc.assert(fc.property(heads, sizes, (blocks, changes) => {
    const encoder = new HpackEncoder()
    const hpack = decoder()
    blocks.forEach((head, at) => {
      for (const [when, size] of changes) if (when === at) encoder.resize(size)
      const text = head.map(([name, value]) => `${name}: ${value}\r\n`).join('')
      for (let twice = 0; twice < 3; twice++) {
        const out = Buffer.alloc(blockRoom(text.length))
        const read = (end: number): string[] => hpack.fields.slice(0, Math.max(0, hpack.decode(out, 0, end))).map(({ name, value }) => `${name}: ${value}`)
        const lines = head.map(([name, value]) => `${name.toLowerCase()}: ${value}`)
        const end = encoder.status(out, encoder.begin(out, 0), 200 + at)
        assert.deepEqual(read(encoder.length(out, encoder.lines(out, end, text), 12_345 * at)), [`:status: ${200 + at}`, ...lines, `content-length: ${12_345 * at}`])
        const authority = `h${at % 3}.example.org`
        assert.deepEqual(read(encoder.lines(out, encoder.authority(out, 0, authority), text)), [`:authority: ${authority}`, ...lines])
        assert.deepEqual(read(encoder.trailers(out, 0, text)), lines)
      }
    })
  }), { seed, numRuns: 400 })
})

test('white space around a value is no part of it, and octets that are white space elsewhere are', () => {
  const encoder = new HpackEncoder()
  const hpack = decoder()
  for (const name of ['x-any', 'x-request-id', 'cookie']) {
    for (let twice = 0; twice < 2; twice++) {
      for (const [written, value] of [[':  \t a b \t', 'a b'], [':a', 'a'], [': \xa0voil\xc3\xa0 ', '\xa0voil\xc3\xa0'], [':', ''], [':  ', '']] as const) {
        const out = Buffer.alloc(200)
        const count = hpack.decode(out, 0, encoder.lines(out, encoder.begin(out, 0), `${name}${written}\r\n`))
        assert.deepEqual(hpack.fields.slice(0, count).map((field) => field.value), [value])
      }
    }
  }
})

test('a head that was sent before means the same again, whatever was sent in between', (t) => {
  t.diagnostic(`FUZZ_SEED=${seed}`)
  fc.assert(fc.property(heads, fc.array(fc.nat(29), { maxLength: 60, size: 'max' }), fc.constantFrom(0, 100, 256, 4096), (pool, picks, table) => {
    const encoder = new HpackEncoder()
    const hpack = decoder()
    encoder.resize(table)
    for (const pick of picks) {
      const head = pool[pick % pool.length]!
      const text = head.map(([name, value]) => `${name}: ${value}\r\n`).join('')
      const out = Buffer.alloc(blockRoom(text.length))
      const count = hpack.decode(out, 0, encoder.lines(out, encoder.begin(out, 0), text))
      assert.deepEqual(hpack.fields.slice(0, Math.max(0, count)).map(({ line }) => line), head.map(([name, value]) => `${name.toLowerCase()}: ${value}\r\n`))
    }
  }), { seed, numRuns: 300 })
})

test('any octets: the decoder ends, bounded, without throwing', (t) => {
  t.diagnostic(`FUZZ_SEED=${seed}`)
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }), (blocks) => {
    const hpack = decoder(4096, { fields: 20, bytes: 2000 })
    for (const bytes of blocks) {
      const block = Buffer.from(bytes)
      assert.ok(hpack.decode(block, 0, block.length) <= 20)
      assert.ok(hpack.size <= 4096)
    }
  }), { seed, numRuns: 3000 })
})

test('a name is judged once, whatever refers to it, and what nobody will read is not made into fields', () => {
  let judged = 0
  const hpack = new HpackDecoder(plain, () => { judged++; return 0 }, 4096, { fields: 100, bytes: 32 * 1024 })
  const name = 'n'.repeat(4000)
  const decodeAll = (...pieces: (readonly number[] | Buffer)[]): number => {
    const bytes = Buffer.concat(pieces.map((each) => Buffer.from(each)))
    return hpack.decode(bytes, 0, bytes.length)
  }
  decodeAll([0x40, 0x7f, ((4000 - 127) & 127) | 128, (4000 - 127) >> 7], Buffer.from(name), [0])
  assert.equal(judged, 1)
  const before = hpack.fields.length
  const count = decodeAll(Buffer.from(Array.from({ length: 5400 }, () => [0x0f, 62 - 15, 0]).flat()))
  assert.deepEqual([hpack.tooLarge, count <= 8, judged, hpack.fields.length - before <= 8], [true, true, 1, true])
  assert.equal(decodeAll([0x0f, 62 - 15]), -1, 'cut off is cut off, read or not')
  // What enters the table does so though it is not kept: the next block means what the peer thinks.
  decodeAll(Buffer.from(Array.from({ length: 200 }, () => [0x0f, 62 - 15, 0]).flat()), [0x40, 1, 0x61, 1, 0x62])
  assert.deepEqual([hpack.tooLarge, decodeAll([0xbe]), hpack.fields[0]!.line], [true, 1, 'a: b\r\n'])
})
