// The end of a body, by length, by chunks, by the end of the connection.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BodyReader, CHUNKED, UNTIL_CLOSE } from '#src/http1/body.ts'

const read = (reader: BodyReader, text: string): readonly [result: string, data: string, rest: string] => {
  const bytes = Buffer.from(text)
  const result = reader.read(bytes, 0, bytes.length)
  return [result, bytes.latin1Slice(reader.start, reader.end), text.slice(reader.next)]
}

test('a length ends where it ends, and what follows is left', () => {
  const reader = new BodyReader(6)
  assert.deepEqual(read(reader, ''), ['more', '', ''])
  assert.deepEqual(read(reader, 'abc'), ['more', 'abc', ''])
  assert.deepEqual(read(reader, 'defGET'), ['done', 'def', 'GET'])
  assert.deepEqual([reader.trailers, reader.fault, reader.untilClose], ['', '', false])
})

test('chunks end with the last one, trailers are told', () => {
  const reader = new BodyReader(CHUNKED)
  assert.deepEqual(read(reader, '3\r\nabc\r\n0\r\nX: '), ['more', 'abc', ''])
  assert.deepEqual(read(reader, 'y\r\n\r\nGET'), ['done', '', 'GET'])
  assert.equal(reader.trailers, 'X: y\r\n')
})

test('a bad chunk is told with its reason', () => {
  const reader = new BodyReader(CHUNKED)
  assert.equal(read(reader, 'zz')[0], 'bad')
  assert.equal(reader.fault, 'bad chunk size')
})

test('up to the end of the connection everything is body', () => {
  const reader = new BodyReader(UNTIL_CLOSE)
  assert.equal(reader.untilClose, true)
  assert.deepEqual(read(reader, 'HTTP/1.1 200 OK\r\n\r\n'), ['more', 'HTTP/1.1 200 OK\r\n\r\n', ''])
  assert.equal(reader.passed, 19)
})
