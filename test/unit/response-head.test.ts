// The head of a response, read and written: framing, persistence, what goes on and what does not.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CHUNKED, UNTIL_CLOSE } from '#src/http1/body.ts'
import { parseResponseHead } from '#src/http1/response-head.ts'
import type { ResponseHead } from '#src/http1/response-head.ts'
import { interimText, NO_LENGTH, responseHeadText, UNKNOWN_LENGTH, upgradeText } from '#src/http1/response-text.ts'

const taken: readonly { readonly name: string; readonly text: string; readonly to?: string; readonly gives: Partial<ResponseHead> }[] = [
  { name: 'a length', text: 'HTTP/1.1 200 Fine Day\r\nContent-Length: 5\r\nX: y\r\nDate: d\r\n', gives: { status: 200, reason: 'Fine Day', contentLength: 5, announcedLength: '', close: false, hasDate: true, fields: 'X: y\r\nDate: d\r\n' } },
  { name: 'chunked', text: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n', gives: { contentLength: CHUNKED, fields: '' } },
  { name: 'neither', text: 'HTTP/1.1 200\r\n', gives: { contentLength: UNTIL_CLOSE, reason: '', hasDate: false } },
  { name: 'to HEAD', to: 'HEAD', text: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n', gives: { contentLength: 0, announcedLength: '5' } },
  { name: '304', text: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n', gives: { contentLength: 0, announcedLength: '5' } },
  { name: '204 with a length that it must not have', text: 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n', gives: { contentLength: 0, announcedLength: '' } },
  { name: 'HTTP/1.0', text: 'HTTP/1.0 200 OK\r\nContent-Length: 5\r\n', gives: { close: true } },
  { name: 'HTTP/1.0 with keep-alive', text: 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n', gives: { close: false } },
  { name: 'close, and a field that Connection names', text: 'HTTP/1.1 200 OK\r\nConnection: close, X-A\r\nX-A: 1\r\nX-B: 2\r\n', gives: { close: true, fields: 'X-B: 2\r\n' } },
  { name: 'how long it keeps a connection', text: 'HTTP/1.1 200 OK\r\nKeep-Alive: max=9, timeout=7\r\n', gives: { keepAliveSeconds: 7, fields: '' } },
  { name: 'an upgrade', text: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\nSec: 1\r\n', gives: { status: 101, upgrade: 'websocket', fields: 'Sec: 1\r\n' } },
]

for (const { name, text, to = 'GET', gives } of taken) {
  test(name, () => {
    const head = parseResponseHead(text, to)
    if (typeof head === 'string') assert.fail(head)
    for (const [key, value] of Object.entries(gives)) assert.deepEqual(head[key as keyof ResponseHead], value, key)
  })
}

const refused: readonly (readonly [text: string, reason: RegExp])[] = [
  ['', /status line/], ['\r\n', /status line/], ['HTTP/1.1 20\r\n', /status line/], ['HTTP/1.1 2000\r\n', /status line/], ['HTTP/1.1 0200 OK\r\n', /status code/],
  ['HTTP/1.1 200 \x01\r\n', /reason/], ['HTTP/1.1 200 OK\r\n X: y\r\n', /folded/], ['HTTP/1.1 200 OK\r\nX: a\rb\r\n', /bare CR/], ['HTTP/1.1 200 OK\r\nX: a\nb\r\n', /value/],
  ['HTTP/1.1 200 OK\r\nX y\r\n', /name/], [`HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(201)}`, /too many/],
  ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n', /repeated/], ['HTTP/1.1 200 OK\r\nContent-Length: 1a\r\n', /malformed/],
  ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n', /and/], ['HTTP/1.1 200 OK\r\nTransfer-Encoding: x\r\n', /just chunked/],
]

for (const [text, reason] of refused) {
  test(`refused: ${JSON.stringify(text.slice(0, 60))}`, () => {
    const head = parseResponseHead(text, 'GET')
    if (typeof head !== 'string') assert.fail('it was taken')
    assert.match(head, reason)
  })
}

test('what is written says how it ends, and whether another may follow', () => {
  const head = { status: 200, reason: '', fields: 'X: y\r\n', bodiless: false }
  assert.equal(responseHeadText({ ...head, length: 5 }, 1, false), 'HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\n\r\n')
  assert.equal(responseHeadText({ ...head, length: UNKNOWN_LENGTH }, 1, true), 'HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n')
  assert.equal(responseHeadText({ ...head, length: UNKNOWN_LENGTH }, 0, true), 'HTTP/1.1 200 OK\r\nX: y\r\nConnection: close\r\n\r\n')
  assert.equal(responseHeadText({ ...head, length: 5 }, 0, false), 'HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n')
  assert.equal(responseHeadText({ ...head, status: 299, reason: 'Odd', length: NO_LENGTH }, 1, false), 'HTTP/1.1 299 Odd\r\nX: y\r\n\r\n')
  assert.equal(interimText(103, '', 'Link: a\r\n'), 'HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n')
  assert.equal(upgradeText('X: y\r\n', 'websocket'), 'HTTP/1.1 101 Switching Protocols\r\nX: y\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
})
