// The chunked coding: decoded where the octets lie, whatever the pieces, and framed again in the same place.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChunkedDecoder, frameChunk, lastChunk } from '#src/http1/chunked.ts'

interface Decoded {
  readonly result: string
  readonly data: string
  readonly trailers: string
  /** What follows the message in the last piece. */
  readonly rest: string
  readonly fault: string
}

function decode(...pieces: readonly string[]): Decoded {
  const decoder = new ChunkedDecoder()
  let data = ''
  let result: string = 'more'
  let rest = ''
  for (const piece of pieces) {
    const bytes = Buffer.from(piece, 'latin1')
    result = decoder.decode(bytes, 0, bytes.length)
    if (result === 'bad') break
    data += bytes.latin1Slice(decoder.start, decoder.end)
    rest = piece.slice(decoder.next)
  }
  return { result, data, trailers: decoder.trailers, rest, fault: decoder.fault }
}

const message = '5;a=b\r\nhello\r\n00A;\r\n, world!\r\n\r\n000\r\nX-Sum: 1\r\nHost: evil\r\nx-own: 2\r\n\r\n'
const expected = { result: 'done', data: 'hello, world!\r\n', trailers: 'X-Sum: 1\r\nx-own: 2\r\n', rest: 'GET', fault: '' }

test('several chunks in one piece are one span', () => {
  assert.deepEqual(decode(`${message}GET`), expected)
})

test('every split gives the same, and one octet at a time too', () => {
  for (let at = 1; at < message.length; at++) assert.deepEqual(decode(message.slice(0, at), `${message.slice(at)}GET`), expected, `split at ${at}`)
  assert.deepEqual(decode(...message.slice(0, -1), '\nGET'), expected)
})

const bad: readonly (readonly [stream: string, fault: RegExp])[] = [
  ['\r\n', /bad chunk size/], ['x', /bad chunk size/], ['5x', /bad chunk size/], [' 5', /bad chunk size/], ['5 \r\n', /bad chunk size/], ['5\n', /bad chunk size/], ['00000000000005', /too large/],
  ['5\rx', /bare CR after a chunk size/], ['1\r\nab', /longer/], ['1\r\na\rb', /bare CR after a chunk/], ['1;\x00', /extension/], ['1;\x80', /extension/], [`1;${'a'.repeat(4097)}`, /too long/],
  ['0\r\nX: a\n', /bare LF/], ['0\r\n\n', /bare LF/], ['0\r\n X: a\r\n\r\n', /folded/], ['0\r\nX : a\r\n\r\n', /name/], [`0\r\n${'A: b\r\n'.repeat(65)}\r\n`, /too many/], [`0\r\nX: ${'a'.repeat(17_000)}`, /too long/],
]

for (const [stream, fault] of bad) {
  test(`refused, whole or octet by octet: ${JSON.stringify(stream.slice(0, 30))}`, () => {
    for (const found of [decode(stream), decode(...stream)]) {
      assert.equal(found.result, 'bad')
      assert.match(found.fault, fault)
    }
  })
}

test('the size at which trailers are too long does not depend on the split', () => {
  const trailers = (size: number): string => `X: ${'a'.repeat(size - 'X: \r\n\r\n'.length)}\r\n\r\n`
  for (const [size, result] of [[16_384, 'done'], [16_385, 'bad']] as const) {
    const stream = `0\r\n${trailers(size)}`
    for (const at of [stream.length, stream.length - 1, stream.length - 2, stream.length - 3, stream.length - 4]) {
      assert.equal(decode(stream.slice(0, at), ...(at < stream.length ? [stream.slice(at)] : [])).result, result, `${size} octets split at ${at}`)
    }
  }
})

test('a chunk is framed where it lies', () => {
  const bytes = Buffer.from('........hello--------')
  const begin = frameChunk(bytes, 8, 13)
  assert.equal(bytes.toString('latin1', begin, 15), '5\r\nhello\r\n')
  assert.equal(bytes.toString('latin1', 0, begin), '.....')
  assert.equal(lastChunk(''), '0\r\n\r\n')
  assert.equal(lastChunk('X: y\r\n'), '0\r\nX: y\r\n\r\n')
})
