// Fields that are for us, or from us: hop-by-hop tricks, forged forwarding, names that look alike, faked upgrades, loops.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, connect as connectSocket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import type { BackendRequest } from '#test/support/backend.ts'
import { connect, get } from '#test/support/client.ts'
import { startSerai } from '#test/support/serai.ts'
import { HOST, openArena, testAttacks } from './arena.ts'
import type { Arena, Attack } from './arena.ts'

/** Trusts 127.0.0.2 and above, and 10/8: the attacks come from 127.0.0.1. */
let arena: Arena
before(async () => { arena = await openArena({}, { config: { trust: { forwarded: ['127.0.0.2/31', '10.0.0.0/8'] } } }) })
after(() => arena[Symbol.asyncDispose]())

const request = (...fields: string[]): string => ['GET /a HTTP/1.1', `Host: ${HOST}`, ...fields, '', ''].join('\r\n')
/** The values of one field as the backend saw them. */
const has = (name: string, ...values: string[]) => ({ headers }: BackendRequest): void => { assert.deepEqual(headers.all(name), values, name) }
const each = (...checks: ((seen: BackendRequest) => void)[]) => (seen: BackendRequest): void => { for (const check of checks) check(seen) }

const forged = ['X-Forwarded-For: 6.6.6.6', 'X-Forwarded-Host: evil', 'X-Forwarded-Proto: https', 'X-Forwarded-Port: 1', 'X-Forwarded-Prefix: /evil', 'X-Forwarded-Server: evil',
  'X-Real-IP: 6.6.6.6', 'Forwarded: for=6.6.6.6', 'X-Request-Id: evil', 'Serai-Debug: 1']
const honest = each(
  has('X-Forwarded-For', '127.0.0.1'), has('X-Forwarded-Host', HOST), has('X-Forwarded-Proto', 'http'), has('X-Forwarded-Prefix'), has('X-Forwarded-Server'),
  has('X-Real-IP', '127.0.0.1'), has('Forwarded', `for=127.0.0.1;host="${HOST}";proto=http`), has('Serai-Debug'),
  ({ headers, raw }) => {
    assert.equal(headers.all('X-Request-Id').length, 1)
    assert.doesNotMatch(raw, /6\.6\.6\.6|evil/)
  },
)

const attacks: readonly Attack[] = [
  { name: 'hop-by-hop fields stay here', send: request('Connection: keep-alive', 'Keep-Alive: timeout=5', 'Proxy-Connection: close', 'Proxy-Authorization: x', 'TE: gzip'), sees: ['GET /a'],
    check: each(has('Connection'), has('Keep-Alive'), has('Proxy-Connection'), has('Proxy-Authorization'), has('TE')) },
  { name: 'what Connection names stays here', send: request('Connection: X-Secret, x-other', 'X-Secret: 1', 'x-OTHER: 2', 'X-Kept: 3'), sees: ['GET /a'],
    check: each(has('X-Secret'), has('X-Other'), has('X-Kept', '3')) },
  { name: 'Connection in two lines names both', send: request('Connection: x-a', 'X-A: 1', 'X-B: 2', 'Connection: x-b'), sees: ['GET /a'], check: each(has('X-A'), has('X-B')) },
  { name: 'Connection cannot take away what we add', send: request('Connection: X-Forwarded-For, X-Forwarded-Host, X-Real-IP, Via, Forwarded, X-Request-Id, X-Forwarded-Proto', ...forged), sees: ['GET /a'],
    check: each(honest, ({ headers }) => { assert.equal(headers.all('Via').length, 1) }) },
  { name: 'Connection cannot take away Host', send: request('Connection: Host'), sees: ['GET /a'], check: has('Host', HOST) },
  { name: 'Connection cannot take away the length', send: `POST /a HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Content-Length\r\nContent-Length: 5\r\n\r\nhello`, sees: ['POST /a hello'] },
  { name: 'Connection cannot take away the coding', send: `POST /a HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`, sees: ['POST /a hello'] },
  { name: 'odd members of Connection', send: request('Connection: , ;,"x-a",x a,,', 'X-A: 1'), sees: ['GET /a'], check: each(has('X-A', '1'), has('Connection')) },
  { name: 'forwarding fields of a stranger are replaced', send: request(...forged), sees: ['GET /a'], check: honest },
  { name: 'relatives of the forwarding fields go no further', sees: ['GET /a'],
    send: request('X-Forwarded-Ssl: on', 'x-forwarded-scheme: https', 'X-Forwarded-By: 6.6.6.6', 'Front-End-Https: on', 'X-Original-URL: /admin', 'X-Rewrite-Url: /admin', 'X-Url-Scheme: https'),
    check: each(honest, has('X-Forwarded-Ssl'), has('X-Forwarded-Scheme'), has('X-Forwarded-By'), has('Front-End-Https'), has('X-Original-URL'), has('X-Rewrite-Url'), has('X-Url-Scheme')) },
  { name: 'forwarding fields in small letters too', send: request(...forged.map((field) => field.toLowerCase())), sees: ['GET /a'], check: honest },
  { name: 'names with underscores are not their twins', send: request(...forged.map((field) => field.replaceAll('-', '_').replace('_http', '-http'))), sees: ['GET /a'],
    check: each(honest, has('X_Forwarded_For'), has('X_Real_IP'), has('X_Request_Id')) },
  { name: 'names with one underscore are not their twins', send: request('X-Forwarded_For: 6.6.6.6', 'X_Forwarded-For: 6.6.6.6', 'X.Forwarded.For: 6.6.6.6'), sees: ['GET /a'],
    check: each(honest, has('X-Forwarded_For'), has('X_Forwarded-For'), has('X.Forwarded.For')) },
  { name: 'relatives of the forwarding fields are known by any spelling', sees: ['GET /a'],
    send: request('X_Forwarded_Ssl: evil', 'X.Forwarded.Ssl: evil', 'X-Forwarded_Scheme: evil', 'x_forwarded-by: evil', 'X-Forwarded-S_sl: evil', 'Front_End.Https: evil'),
    check: each(honest, ({ raw }) => { assert.doesNotMatch(raw, /evil/) }) },
  { name: 'trailers are no way round it', sees: ['POST /a'],
    send: `POST /a HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${['X.Forwarded-For', 'X_Forwarded_Ssl', 'Front-End-Https', 'X-Original-Url', 'X-Rewrite-Url', 'X.Url.Scheme', 'X-Forwarded-Tls-Client-Subject', 'Proxy.Authorization', 'Serai_Debug'].map((name) => `${name}: evil\r\n`).join('')}X-Sum: 1\r\nX_Sum: 2\r\n\r\n`,
    check: ({ trailers }) => { assert.deepEqual(trailers.pairs, [['X-Sum', '1'], ['X_Sum', '2']]) } },
  { name: 'other names with underscores go on', send: request('My_Field: 1'), sees: ['GET /a'], check: has('My_Field', '1') },
  { name: 'Proxy does not become HTTP_PROXY', send: request('Proxy: evil'), sees: ['GET /a'], check: has('Proxy') },
  { name: 'an upgrade to h2c is dropped, the request goes on', send: request('Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'), sees: ['GET /a'],
    check: each(has('Upgrade'), has('HTTP2-Settings'), has('Connection')) },
  { name: 'h2c hidden behind websocket', send: request('Connection: Upgrade', 'Upgrade: websocket, h2c'), sees: ['GET /a'], check: each(has('Upgrade'), has('Connection')) },
  { name: 'h2c in a line behind websocket', send: request('Connection: Upgrade', 'Upgrade: websocket', 'Upgrade: h2c'), sees: ['GET /a'], check: each(has('Upgrade'), has('Connection')) },
  { name: 'Upgrade that Connection does not name', send: request('Upgrade: websocket'), sees: ['GET /a'], check: has('Upgrade') },
  { name: 'an upgrade with a body', send: `GET /a HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhello`, sees: ['GET /a hello'], check: has('Upgrade') },
  { name: 'an upgrade that the upstream does not take leaves the next request a request', send: request('Connection: Upgrade', 'Upgrade: websocket'), sees: ['GET /a'], check: has('Upgrade', 'websocket') },
  { name: 'an upgrade by HTTP/1.0', send: `GET /a HTTP/1.0\r\nHost: ${HOST}\r\nConnection: Upgrade, keep-alive\r\nUpgrade: websocket\r\n\r\n`, sees: ['GET /a'], check: has('Upgrade') },
  { name: 'an unknown expectation', send: request('Expect: the worst'), refused: 400 },
  { name: 'an unknown expectation beside a known one', send: request('Expect: the worst', 'Expect: 100-continue'), refused: 400 },
  { name: 'Via of others goes on', send: request('Via: 1.1 somebody'), sees: ['GET /a'], check: ({ headers }) => { assert.equal(headers.all('Via')[0], '1.1 somebody') } },
]

testAttacks(() => arena, attacks)

test('a trusted peer is believed: the client is the rightmost address that is not trusted', async () => {
  const from = async (...fields: string[]): Promise<BackendRequest> => {
    await using client = await connect(arena.serai.port, { localAddress: '127.0.0.2' })
    client.get('/trusted', HOST, ...fields)
    await client.receiveResponse()
    return arena.backend.requests.at(-1)!
  }
  const client = async (chain: string): Promise<string | undefined> => (await from(`X-Forwarded-For: ${chain}`)).headers.get('X-Real-IP')
  assert.equal(await client('1.1.1.1'), '1.1.1.1')
  assert.equal(await client('6.6.6.6, 1.1.1.1'), '1.1.1.1', 'what the stranger wrote before itself is not believed')
  assert.equal(await client('6.6.6.6, 1.1.1.1, 10.0.0.1, 127.0.0.3'), '1.1.1.1')
  assert.equal(await client('10.0.0.1'), '10.0.0.1', 'all trusted: the leftmost')
  assert.equal(await client('1.1.1.1, unknown'), '127.0.0.2', 'what is no address ends the chain')
  assert.equal(await client('2001:db8::1'), '2001:db8::1')
  const seen = await from('X-Forwarded-For: 6.6.6.6', 'X-Forwarded-For: 1.1.1.1', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: b.example.org', 'Connection: X-Forwarded-For', 'X_Real_IP: 6.6.6.6')
  assert.deepEqual(seen.headers.all('X-Forwarded-For'), ['6.6.6.6, 1.1.1.1, 127.0.0.2'])
  assert.deepEqual([seen.headers.get('X-Forwarded-Proto'), seen.headers.get('X-Forwarded-Host'), seen.headers.get('X-Real-IP')], ['https', 'b.example.org', '1.1.1.1'])
  assert.equal(seen.headers.get('X_Real_IP'), undefined)
})

test('a request that comes round to us again is a 508', async () => {
  let target = 0
  const relay = createServer((socket) => {
    const onward = connectSocket(target, '127.0.0.1')
    socket.pipe(onward).pipe(socket)
    for (const side of [socket, onward]) side.on('error', () => { socket.destroy(); onward.destroy() })
  }).listen(0, '127.0.0.1')
  await once(relay, 'listening')
  try {
    const address = `127.0.0.1:${(relay.address() as AddressInfo).port}`
    await using serai = await startSerai({ services: [{ name: 'self', tags: ['serai.host=loop.example.org'], instances: [address] }] })
    target = serai.port
    const response = await get(serai.port, '/', 'loop.example.org')
    assert.equal(response.status, 508)
    assert.ok(serai.accessLog.length <= 2)
  } finally {
    relay.close()
  }
})
