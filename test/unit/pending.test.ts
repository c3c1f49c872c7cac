// What is kept of a client's octets: nothing is lost, nothing is searched twice for long, and there is a limit.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Pending } from '#src/io/pending.ts'

const add = (pending: Pending, text: string): boolean => pending.append(Buffer.from(text), 0, text.length)
const kept = (pending: Pending): string => pending.bytes.latin1Slice(pending.from, pending.to)

test('grows, keeps order, and gives up what is used', () => {
  const pending = new Pending(100_000)
  let expected = ''
  for (let index = 0; index < 500; index++) {
    add(pending, `octets ${index};`)
    expected += `octets ${index};`
    if (index % 3 === 0) {
      pending.consume(pending.from + 7)
      expected = expected.slice(7)
    }
  }
  assert.equal(kept(pending), expected)
})

test('takes all or nothing, up to its limit', () => {
  const pending = new Pending(10)
  assert.equal(add(pending, '12345678'), true)
  assert.equal(add(pending, 'abc'), false)
  assert.equal(kept(pending), '12345678')
  pending.consume(pending.from + 1)
  assert.equal(add(pending, 'abc'), true)
  assert.equal(kept(pending), '2345678abc')
})

test('the end of a head is found across pieces', () => {
  const pending = new Pending(1000)
  for (const piece of ['GET\r', '\n\r']) {
    add(pending, piece)
    assert.equal(pending.headEnd(), -1)
  }
  add(pending, '\nrest')
  assert.equal(pending.headEnd() - pending.from, 3)
})

test('every head of several is found, one behind the other', () => {
  const pending = new Pending(1000)
  add(pending, 'a\r\n\r\nb\r\n\r\nc\r\n\r\nd')
  for (let count = 0; count < 3; count++) {
    const end = pending.headEnd()
    assert.equal(end - pending.from, 1)
    pending.consume(end + 4)
  }
  assert.equal(pending.headEnd(), -1)
  assert.equal(kept(pending), 'd')
})

test('a bare LF is seen, wherever the pieces end', () => {
  for (const pieces of [['\n'], ['a', '\n'], ['a\r\nb\n'], ['a\r', '\n', 'b', '\n']]) {
    const pending = new Pending(1000)
    const seen = pieces.map((piece) => {
      add(pending, piece)
      return pending.bareLineFeed()
    })
    assert.deepEqual(seen, pieces.map((_, index) => index === pieces.length - 1), JSON.stringify(pieces))
  }
})

test('there is room around what is kept, for framing a chunk in place', () => {
  const pending = new Pending(5000)
  for (const size of [10, 2000, 2990]) {
    add(pending, 'x'.repeat(size))
    assert.ok(pending.from >= 16 && pending.bytes.length - pending.to >= 16)
  }
})
