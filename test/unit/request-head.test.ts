// The head of a request: what is accepted comes out as it went in, what is doubtful is refused with the right status.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forwardedValue, isFault, parseRequestHead } from '#src/http1/request-head.ts'
import type { HeadFault, RequestHead } from '#src/http1/request-head.ts'

const parse = (text: string): RequestHead | HeadFault => parseRequestHead(text, { headers: 100, via: 'serai-0123' })
const taken = (text: string): RequestHead => {
  const head = parse(text)
  if (isFault(head)) assert.fail(`${head.status} ${head.reason}`)
  return head
}
const head = (fields: string, line = 'GET /a?b HTTP/1.1'): string => `${line}\r\nHost: a\r\n${fields}`

test('a plain request', () => {
  assert.deepEqual(taken('GET /a?b=c HTTP/1.1\r\nHost: A.example.org:80\r\nUser-Agent: x\r\nAccept: */*\r\n'), {
    method: 'GET', rawPath: '/a', query: '?b=c', host: 'a.example.org', authority: 'A.example.org:80', minor: 1, version: '1.1', close: false, contentLength: 0, expectContinue: false, upgrade: '',
    acceptsTrailers: false, ownHost: false, userAgent: 'x', fields: 'Host: A.example.org:80\r\nUser-Agent: x\r\nAccept: */*\r\n', forwarding: '',
    block: 'Host: A.example.org:80\r\nUser-Agent: x\r\nAccept: */*\r\n',
  })
})

const accepted: readonly { readonly name: string; readonly text: string; readonly gives: Partial<RequestHead> }[] = [
  { name: 'a length', text: head('Content-Length: 010\r\n'), gives: { contentLength: 10, fields: 'Host: a\r\n' } },
  { name: 'chunked', text: head('transfer-encoding:CHUNKED\r\n'), gives: { contentLength: -1, fields: 'Host: a\r\n' } },
  { name: 'close', text: head('Connection: foo, Close\r\nFoo: 1\r\nBar: 2\r\n'), gives: { close: true, fields: 'Host: a\r\nBar: 2\r\n' } },
  { name: 'HTTP/1.0', text: head('', 'GET / HTTP/1.0'), gives: { minor: 0, close: true } },
  { name: 'HTTP/1.0 with keep-alive', text: head('Connection: keep-alive\r\n', 'GET / HTTP/1.0'), gives: { close: false } },
  { name: 'HTTP/1.0 without Host', text: 'GET / HTTP/1.0\r\n', gives: { host: '', authority: '', ownHost: true } },
  { name: 'absolute form', text: head('X: y\r\n', 'GET http://A:80/b?c HTTP/1.1'), gives: { rawPath: '/b', query: '?c', host: 'a', authority: 'A:80', ownHost: true, fields: 'X: y\r\n' } },
  { name: 'a port is a number, not its spelling', text: head('', 'GET https://a:0443/b HTTP/1.1'), gives: { rawPath: '/b' } },
  { name: 'asterisk form', text: head('', 'OPTIONS * HTTP/1.1'), gives: { rawPath: '*' } },
  { name: 'OPTIONS of an authority', text: head('', 'OPTIONS http://a HTTP/1.1'), gives: { rawPath: '*' } },
  { name: 'an upgrade that Connection names', text: head('Connection: Upgrade\r\nUpgrade: WebSocket\r\n'), gives: { upgrade: 'websocket', fields: 'Host: a\r\n' } },
  { name: 'an upgrade that Connection does not name', text: head('Upgrade: websocket\r\n'), gives: { upgrade: '' } },
  { name: 'an expectation with a body', text: head('Expect: 100-Continue\r\nContent-Length: 1\r\n'), gives: { expectContinue: true } },
  { name: 'an expectation without a body', text: head('Expect: 100-continue\r\n'), gives: { expectContinue: false, fields: 'Host: a\r\n' } },
  { name: 'trailers are accepted', text: head('TE: gzip, Trailers\r\n'), gives: { acceptsTrailers: true, fields: 'Host: a\r\n' } },
  { name: 'forwarding fields are set apart', text: head('X-Forwarded-For: 1\r\nA: b\r\nForwarded: for=2\r\n'), gives: { forwarding: 'X-Forwarded-For: 1\r\nForwarded: for=2\r\n', fields: 'Host: a\r\nA: b\r\n' } },
  { name: 'names that look like ours are dropped', text: head('X_Real.IP: 1\r\nContent_Length: 5\r\nX_Own: 1\r\n'), gives: { forwarding: '', contentLength: 0, fields: 'Host: a\r\nX_Own: 1\r\n' } },
  { name: 'octets beyond ASCII in a value', text: head('X: \xe9\xff\r\n'), gives: { fields: 'Host: a\r\nX: \xe9\xff\r\n' } },
]

for (const { name, text, gives } of accepted) {
  test(name, () => {
    const found = taken(text)
    for (const [key, value] of Object.entries(gives)) assert.deepEqual(found[key as keyof RequestHead], value, key)
  })
}

const refused: readonly (readonly [name: string, text: string, status: number, reason: RegExp])[] = [
  ['no fields end', 'GET / HTTP/1.1', 400, /request line/],
  ['nothing', '\r\n', 400, /request line/],
  ['our own Via', head('Via: 1.1 other, 1.1 serai-0123\r\n'), 508, /loop/],
  ['too many fields', head('A: b\r\n'.repeat(100)), 431, /too many/],
  ['a long method', head('', `${'M'.repeat(33)} / HTTP/1.1`), 501, /method/],
  ['both lengths', head('Content-Length: 1\r\nTransfer-Encoding: chunked\r\n'), 400, /Content-Length and/],
  ['a coding that is not known', head('Transfer-Encoding: br\r\n'), 501, /coding/],
  ['another version', head('', 'GET / HTTP/3.0'), 505, /version/],
  ['another expectation', head('Expect: x\r\n'), 400, /expectation/],
  ['an expectation twice', head('Expect: x\r\nExpect: 100-continue\r\n'), 400, /expectation/],
  ['another host in the target', head('', 'GET http://b/ HTTP/1.1'), 400, /differs/],
]

for (const [name, text, status, reason] of refused) {
  test(`refused: ${name}`, () => {
    const found = parse(text)
    if (!isFault(found)) assert.fail('it was taken')
    assert.equal(found.status, status)
    assert.match(found.reason, reason)
  })
}

test('what a peer said in a forwarding field, in one line or several', () => {
  const found = taken(head('X-Forwarded-For: 1\r\nX-Real-IP: 3\r\nx-forwarded-for: 2\r\n'))
  assert.equal(forwardedValue(found, 'x-forwarded-for'), '1, 2')
  assert.equal(forwardedValue(found, 'forwarded'), undefined)
})
