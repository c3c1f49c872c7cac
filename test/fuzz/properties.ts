// What must hold for any input: our parsers and the oracle agree, what is written is read back, nothing throws, nothing grows.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { BodyReader, CHUNKED } from '#src/http1/body.ts'
import { frameChunk, lastChunk } from '#src/http1/chunked.ts'
import { isFault, parseRequestHead } from '#src/http1/request-head.ts'
import { parseResponseHead } from '#src/http1/response-head.ts'
import { responseHeadText, UNKNOWN_LENGTH } from '#src/http1/response-text.ts'
import { createReadBuffer } from '#src/io/read-buffer.ts'
import { Pending } from '#src/io/pending.ts'
import { requestText } from '#src/proxy/request-text.ts'
import { bodies } from './http2-bodies.ts'
import { http2Properties } from './http2-properties.ts'
import { readStream, responseFraming } from './oracle.ts'
import type { Property } from './property.ts'
import { readPieces } from './reader.ts'
import { requestLines, splitAt, splits, streams } from './streams.ts'

/** Small, so that streams reach them. */
const bounds = { headBytes: 400, headers: 8 }
const limits = { headers: 100, via: 'serai-fuzz' }

const tokenText = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,9}$/)
const valueText = fc.stringMatching(/^([\x21-\x7e]([\x20-\x7e]{0,20}[\x21-\x7e])?)?$/)
const ownFields = fc.array(fc.tuple(tokenText.map((name) => `X-${name}`), valueText), { maxLength: 6 })
  .map((pairs) => pairs.filter(([name]) => !/^x-(forwarded|real-ip|request-id)/i.test(name)).map(([name, value]) => `${name}: ${value}\r\n`).join(''))

const responseHeads = fc.tuple(
  fc.oneof({ weight: 20, arbitrary: fc.constantFrom('HTTP/1.1 200 OK', 'HTTP/1.1 204 No Content', 'HTTP/1.0 200', 'HTTP/1.1 304 ', 'HTTP/1.1 103 \xe9', 'HTTP/1.1 999 x') }, { weight: 1, arbitrary: fc.constantFrom('HTTP/1.2 200 OK', 'HTTP/1.1 99 x', 'HTTP/1.1  200', 'HTTP/1.1 2000', 'HTTP/1.1 200 \0', '') }),
  fc.array(fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom('X: y', 'Set-Cookie: a', 'Content-Length: 5', 'Transfer-Encoding: chunked', 'Connection: close', 'Date: x') },
    { weight: 1, arbitrary: fc.constantFrom('Content-Length: +5', 'Content-Length: 5,5', 'Transfer-Encoding: gzip', 'X : y', ' fold', 'X: a\rb', 'X: a\nb', '', 'none', ': x', 'Content-Length:', 'X: \x7f') },
  ), { maxLength: 4 }),
).map(([line, fields]) => [line, ...fields].join('\r\n'))

export const properties: readonly Property[] = [
  ...http2Properties,
  bodies,
  {
    name: 'our parser and the oracle agree on what is a message and where it ends, whatever the split',
    check: (seed, runs) => fc.assert(fc.property(streams, splits, (stream, at) => {
      const expected = readStream(stream, bounds)
      const ours = readPieces(splitAt(stream, at), bounds)
      const shown = { stream, last: expected.last, why: expected.why, ours: ours.why }
      assert.deepEqual({ ...shown, messages: ours.messages, last: ours.last }, {
        ...shown, messages: expected.messages.map(({ method, origin, body, end }) => ({ method, origin, body, end })), last: expected.last,
      })
    }), { seed, numRuns: runs }),
  },
  {
    name: 'what we send upstream is what we read, and the oracle reads it the same way',
    check: (seed, runs) => fc.assert(fc.property(streams, (stream) => {
      for (const { head, body } of headsOf(stream)) {
        const forwarding = 'X-Forwarded-For: 1.1.1.1\r\nX-Request-Id: x\r\n'
        const text = requestText(head, head.rawPath, forwarding, '')
        const sent = text + (head.contentLength === CHUNKED ? `${body === '' ? '' : `${body.length.toString(16)}\r\n${body}\r\n`}0\r\n\r\n` : body)
        const { messages, last, why } = readStream(sent, { headBytes: 100_000, headers: 200 })
        const [message] = messages
        assert.equal(messages.length, head.authority === '' ? 0 : 1, `${JSON.stringify(sent)} ${last} ${why}`)
        if (message !== undefined) assert.deepEqual([message.method, message.origin, message.body, message.end], [head.method, head.rawPath + head.query, body, sent.length])
        const again = parseRequestHead(text.slice(0, -2), limits)
        if (head.authority === '') continue
        assert.ok(!isFault(again), JSON.stringify(again))
        assert.deepEqual([again.host, again.contentLength, again.fields], [head.host, head.contentLength, head.ownHost ? `Host: ${head.authority}\r\n${head.fields}` : head.fields])
      }
    }), { seed, numRuns: runs }),
  },
  {
    name: 'a head that repeats the fields of the one before it is read as if it were the first',
    check: (seed, runs) => fc.assert(fc.property(streams, requestLines, requestLines, (stream, first, second) => {
      for (const { head: { block } } of headsOf(stream)) {
        const earlier = parseRequestHead(`${first}\r\n${block}`, limits)
        if (isFault(earlier)) continue
        const text = `${second}\r\n${block}`
        assert.deepEqual(parseRequestHead(text, limits, earlier), parseRequestHead(text, limits))
      }
    }), { seed, numRuns: runs }),
  },
  {
    name: 'a response head that we write is read back as it was',
    check: (seed, runs) => fc.assert(fc.property(fc.integer({ min: 200, max: 599 }).filter((status) => status !== 204 && status !== 304), valueText, ownFields, fc.oneof(fc.nat(), fc.constant(UNKNOWN_LENGTH)), fc.boolean(), (status, reason, fields, length, close) => {
      const text = responseHeadText({ status, reason, fields, length, bodiless: false }, 1, close)
      const head = parseResponseHead(text.slice(0, -2), 'GET')
      if (typeof head === 'string') assert.fail(head)
      assert.deepEqual([head.status, head.fields, head.close], [status, fields, close])
      assert.equal(head.contentLength, length === UNKNOWN_LENGTH ? CHUNKED : length)
      if (reason !== '') assert.equal(head.reason, reason)
    }), { seed, numRuns: runs }),
  },
  {
    name: 'our parser and the oracle agree on response heads',
    check: (seed, runs) => fc.assert(fc.property(responseHeads, fc.constantFrom('GET', 'HEAD'), (head, method) => {
      const ours = parseResponseHead(`${head}\r\n`, method)
      const body = typeof ours === 'string' ? undefined : ours.contentLength >= 0 ? ours.contentLength : ours.contentLength === CHUNKED ? 'chunked' : 'close'
      assert.deepEqual(typeof ours === 'string' ? undefined : { status: ours.status, body }, responseFraming(head, method), `${JSON.stringify(head)} ${typeof ours === 'string' ? ours : ''}`)
    }), { seed, numRuns: runs }),
  },
  {
    name: 'chunks that we frame are read back as they were, whatever the split',
    check: (seed, runs) => fc.assert(fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 5 }), ownFields, splits, (chunks, trailers, at) => {
      const framed = chunks.map((chunk) => {
        const buffer = createReadBuffer(chunk.length)
        buffer.raw.set(chunk, buffer.offset)
        const end = buffer.offset + chunk.length
        return buffer.raw.subarray(frameChunk(buffer.raw, buffer.offset, end), end + 2).latin1Slice()
      })
      const reader = new BodyReader(CHUNKED)
      const stream = framed.join('') + lastChunk(trailers)
      let data = ''
      let result = 'more'
      for (const piece of splitAt(stream, at)) {
        assert.equal(result, 'more')
        result = reader.read(piece, 0, piece.length)
        data += piece.latin1Slice(reader.start, reader.end)
      }
      assert.deepEqual([result, data, reader.trailers], ['done', chunks.map((chunk) => Buffer.from(chunk).latin1Slice()).join(''), trailers])
    }), { seed, numRuns: runs }),
  },
  {
    name: 'what is kept never grows beyond its limit, and loses nothing',
    check: (seed, runs) => fc.assert(fc.property(fc.integer({ min: 1, max: 300 }), fc.array(fc.oneof(fc.string({ maxLength: 120, unit: fc.constantFrom('a', '\r', '\n', '\r\n\r\n') }), fc.nat(200)), { maxLength: 30 }), (limit, steps) => {
      const pending = new Pending(limit)
      let expected = ''
      for (const step of steps) {
        if (typeof step === 'number') {
          const used = Math.min(step, expected.length)
          pending.consume(pending.from + used)
          expected = expected.slice(used)
        } else {
          const fits = expected.length + step.length <= limit
          assert.equal(pending.append(Buffer.from(step), 0, step.length), fits)
          if (fits) expected += step
        }
        assert.equal(pending.bytes.latin1Slice(pending.from, pending.to), expected)
        assert.equal(pending.headEnd() - pending.from, expected.includes('\r\n\r\n') ? expected.indexOf('\r\n\r\n') : -1 - pending.from)
        assert.equal(pending.bareLineFeed(), /(^|[^\r])\n/.test(expected))
        assert.ok(pending.bytes.length <= 2 * limit + 64)
      }
    }), { seed, numRuns: runs }),
  },
]

/** Heads and bodies that our parser takes from a stream. */
function headsOf(stream: string): { readonly head: Exclude<ReturnType<typeof parseRequestHead>, { readonly reason: string }>; readonly body: string }[] {
  let at = 0
  return readStream(stream, bounds).messages.map(({ end, body }) => {
    const text = stream.slice(at, end).replace(/^(\r\n)+/, '')
    at = end
    const head = parseRequestHead(text.slice(0, text.indexOf('\r\n\r\n') + 2), limits)
    assert.ok(!isFault(head), `${JSON.stringify(head)}: ${JSON.stringify(text)}`)
    return { head, body }
  })
}
