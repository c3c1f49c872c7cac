// The request line and Host: what is asked for, and of whom, must be beyond doubt before anybody else hears of it.
import assert from 'node:assert/strict'
import { after, before } from 'node:test'
import { HOST, openArena, testAttacks } from './arena.ts'
import type { Arena, Attack } from './arena.ts'

let arena: Arena
before(async () => { arena = await openArena() })
after(() => arena[Symbol.asyncDispose]())

const line = (text: string): string => `${text}\r\nHost: ${HOST}\r\n\r\n`
const host = (fields: string, target = '/a', version = '1.1'): string => `GET ${target} HTTP/${version}\r\n${fields}\r\n`

const badLines: readonly (readonly [name: string, line: string, status: number])[] = [
  ['no version (HTTP/0.9)', 'GET /', 400],
  ['two spaces before the target', 'GET  / HTTP/1.1', 400],
  ['two spaces before the version', 'GET /  HTTP/1.1', 400],
  ['a space in the target', 'GET /a b HTTP/1.1', 400],
  ['a request in the target', 'GET /a HTTP/1.1 GET /b HTTP/1.1', 400],
  ['a tab as a separator', 'GET\t/ HTTP/1.1', 400],
  ['a vertical tab in the target', 'GET /a\x0bb HTTP/1.1', 400],
  ['a space behind the version', 'GET / HTTP/1.1 ', 400],
  ['a space before the method', ' GET / HTTP/1.1', 400],
  ['a bare CR in the line', 'GET / HTTP/1.1\rX: y', 400],
  ['NUL in the method', 'GE\0T / HTTP/1.1', 400],
  ['a separator in the method', 'GET/ / HTTP/1.1', 400],
  ['a method beyond ASCII', 'G\xc9T / HTTP/1.1', 400],
  ['a method without end', `${'A'.repeat(40)} / HTTP/1.1`, 501],
  ['no method', ' / HTTP/1.1', 400],
  ['no target', 'GET HTTP/1.1', 400],
  ['HTTP/2.0', 'GET / HTTP/2.0', 505],
  ['HTTP/1.2', 'GET / HTTP/1.2', 505],
  ['HTTP/0.9 spelled out', 'GET / HTTP/0.9', 505],
  ['HTTP/11.1', 'GET / HTTP/11.1', 505],
  ['HTTP/1.10', 'GET / HTTP/1.10', 505],
  ['HTTP/1', 'GET / HTTP/1', 400],
  ['HTTP/01.1', 'GET / HTTP/01.1', 505],
  ['http/1.1 in small letters', 'GET / http/1.1', 400],
  ['another protocol', 'GET / HTCPCP/1.1', 400],
  ['a sign in the version', 'GET / HTTP/+1.1', 400],
  ['CONNECT', `CONNECT ${HOST}:443 HTTP/1.1`, 405],
  ['CONNECT with a path', 'CONNECT /a HTTP/1.1', 405],
  ['TRACE', 'TRACE / HTTP/1.1', 405],
  ['authority form without CONNECT', `GET ${HOST}:80 HTTP/1.1`, 400],
  ['a relative target', 'GET a HTTP/1.1', 400],
  ['asterisk form without OPTIONS', 'GET * HTTP/1.1', 400],
  ['asterisk form with a path', 'OPTIONS */a HTTP/1.1', 400],
  ['a fragment', 'GET /a#b HTTP/1.1', 400],
  ['a fragment in the authority', 'GET http://a.example.org#@b/ HTTP/1.1', 400],
  ['a target beyond ASCII', 'GET /\xe9 HTTP/1.1', 400],
  ['UTF-8 in the target', 'GET /\xc3\xa9 HTTP/1.1', 400],
  ['DEL in the target', 'GET /\x7f HTTP/1.1', 400],
  ['NUL in the target', 'GET /\0 HTTP/1.1', 400],
  ['another scheme', `GET ftp://${HOST}/ HTTP/1.1`, 400],
  ['a scheme without slashes', `GET http:${HOST}/ HTTP/1.1`, 400],
  ['absolute form without an authority', 'GET http:/// HTTP/1.1', 400],
  ['absolute form with user info', `GET http://u:p@${HOST}/ HTTP/1.1`, 400],
  ['absolute form with another authority', 'GET http://b.example.org/ HTTP/1.1', 400],
  ['absolute form with another port', `GET http://${HOST}:81/ HTTP/1.1`, 400],
  ['absolute form with a backslash in its authority', `GET http://${HOST}\\@b.example.org/ HTTP/1.1`, 400],
]

const badHosts: readonly (readonly [name: string, fields: string])[] = [
  ['no Host', ''],
  ['Host twice', `Host: ${HOST}\r\nHost: ${HOST}\r\n`],
  ['two different Hosts', `Host: ${HOST}\r\nHost: b.example.org\r\n`],
  ['an empty Host', 'Host:\r\n'],
  ['a list in Host', `Host: ${HOST}, b.example.org\r\n`],
  ['user info in Host', `Host: u@${HOST}\r\n`],
  ['a path in Host', `Host: ${HOST}/b\r\n`],
  ['a space in Host', `Host: ${HOST} b.example.org\r\n`],
  ['a scheme in Host', `Host: http://${HOST}\r\n`],
  ['a query in Host', `Host: ${HOST}?b\r\n`],
  ['NUL in Host', `Host: ${HOST}\0.b\r\n`],
  ['a percent in Host', 'Host: %61.example.org\r\n'],
  ['Host beyond ASCII', 'Host: \xe9.example.org\r\n'],
  ['an empty label in Host', 'Host: a..example.org\r\n'],
  ['a dot before Host', `Host: .${HOST}\r\n`],
  ['two dots behind Host', `Host: ${HOST}..\r\n`],
  ['a port beyond 65535', `Host: ${HOST}:65536\r\n`],
  ['a port that is none', `Host: ${HOST}:80a\r\n`],
  ['a port with a sign', `Host: ${HOST}:+80\r\n`],
  ['two ports', `Host: ${HOST}:80:80\r\n`],
  ['a port alone', 'Host: :80\r\n'],
  ['IPv6 without brackets', 'Host: ::1\r\n'],
  ['IPv6 that is none', 'Host: [::g]\r\n'],
  ['IPv6 with a zone', 'Host: [fe80::1%eth0]\r\n'],
  ['IPv6 with something behind', 'Host: [::1]b\r\n'],
  ['a bracket that is not closed', 'Host: [::1\r\n'],
  ['an asterisk in Host', 'Host: *.example.org\r\n'],
  ['a name longer than names can be', `Host: ${'a'.repeat(260)}\r\n`],
  ['a folded Host', `Host:\r\n ${HOST}\r\n`],
  ['a space before the colon of Host', `Host : ${HOST}\r\n`],
]

const onlyHost = (expected: string) => ({ headers }: { readonly headers: { all(name: string): string[] } }): void => {
  assert.deepEqual(headers.all('Host'), [expected])
}

const attacks: readonly Attack[] = [
  ...badLines.map(([name, text, refused]) => ({ name, send: line(text), refused })),
  ...badHosts.map(([name, fields]) => ({ name, send: host(fields), refused: 400 })),
  { name: 'the preface of HTTP/2', send: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', refused: 505 },
  { name: 'a TLS hello', send: '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n', refused: 400 },
  { name: 'the header of the PROXY protocol', send: `PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n${host(`Host: ${HOST}\r\n`)}`, refused: 400 },
  { name: 'a target longer than a head may be', send: line(`GET /${'a'.repeat(40_000)} HTTP/1.1`), refused: 414 },
  { name: 'a field longer than a head may be', send: host(`Host: ${HOST}\r\nX: ${'a'.repeat(40_000)}\r\n`), refused: 431 },
  { name: 'more fields than a head may have', send: host(`Host: ${HOST}\r\n${'X: a\r\n'.repeat(100)}`), refused: 431 },
  { name: 'as many fields as a head may have', send: host(`Host: ${HOST}\r\n${'X: a\r\n'.repeat(99)}`), sees: ['GET /a'] },

  { name: 'OPTIONS * goes to the host', send: line('OPTIONS * HTTP/1.1'), sees: ['OPTIONS *'] },
  { name: 'OPTIONS in absolute form without a path asks about the server', send: line(`OPTIONS http://${HOST} HTTP/1.1`), sees: ['OPTIONS *'] },
  { name: 'absolute form with the same authority', send: line(`GET http://${HOST}/a?b HTTP/1.1`), sees: ['GET /a?b'], check: onlyHost(HOST) },
  { name: 'absolute form in capitals, with the usual port', send: line(`GET HTTP://${HOST.toUpperCase()}:80/a HTTP/1.1`), sees: ['GET /a'] },
  { name: 'absolute form without a path', send: line(`GET http://${HOST}?b HTTP/1.1`), sees: ['GET /?b'] },
  { name: 'absolute form of HTTP/1.0 without Host: the target is the host', send: host('Connection: keep-alive\r\n', `http://${HOST}/a`, '1.0'), sees: ['GET /a'], check: onlyHost(HOST) },
  { name: 'Host in capitals', send: host('Host: A.EXAMPLE.org\r\n'), sees: ['GET /a'] },
  { name: 'Host with a port', send: host(`Host: ${HOST}:8080\r\n`), sees: ['GET /a'], check: onlyHost(`${HOST}:8080`) },
  { name: 'Host with a dot behind', send: host(`Host: ${HOST}.\r\n`), sees: ['GET /a'] },
  { name: 'a method that nobody knows', send: line('FROB /a HTTP/1.1'), sees: ['FROB /a'] },
]

testAttacks(() => arena, attacks)
