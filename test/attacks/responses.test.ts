// Upstreams that lie: malformed, ambiguous, cut, surplus and unasked answers reach nobody as something that they are not.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { connect, get } from '#test/support/client.ts'
import { CutError } from '#test/support/inbox.ts'
import { HOST, openArena } from './arena.ts'
import type { Arena } from './arena.ts'

interface Lie {
  readonly name: string
  /** The request; GET when not said. */
  readonly method?: string
  readonly fields?: readonly string[]
  /** What the upstream writes, piece by piece, each when the one before has left. */
  readonly answers: readonly string[]
  /** What it does then; it keeps the connection when not said. */
  readonly then?: 'fin' | 'reset'
  /** The status that the client gets; `cut`: it gets the head and then a reset. */
  readonly gets: number | 'cut'
  /** The body that it gets. */
  readonly text?: string
  /** Fields of the answer, by name. */
  readonly shows?: Readonly<Record<string, readonly string[]>>
}

const ok = (fields: string, body = ''): string => `HTTP/1.1 200 OK\r\n${fields}\r\n${body}`
const SURPLUS = ok('Content-Length: 7\r\nX-Poison: 1\r\n', 'surplus')

const malformed: readonly (readonly [name: string, answer: string])[] = [
  ['bare LF at every end of line', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok'],
  ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
  ['HTTP/2.0', 'HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n'],
  ['HTTP/1.2', 'HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n'],
  ['no version', '200 OK\r\nContent-Length: 0\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n'],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n'],
  ['a status below 100', 'HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n'],
  ['a status with a letter', 'HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n'],
  ['two spaces before the status', 'HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n'],
  ['NUL in the reason', 'HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n'],
  ['a bare CR in the reason', 'HTTP/1.1 200 OK\rX: y\r\nContent-Length: 0\r\n\r\n'],
  ['an empty line first', `\r\n${ok('Content-Length: 0\r\n')}`],
  ['two different Content-Lengths', ok('Content-Length: 2\r\nContent-Length: 3\r\n', 'okx')],
  ['two equal Content-Lengths', ok('Content-Length: 2\r\nContent-Length: 2\r\n', 'ok')],
  ['a list in Content-Length', ok('Content-Length: 2, 2\r\n', 'ok')],
  ['a negative Content-Length', ok('Content-Length: -2\r\n', 'ok')],
  ['a signed Content-Length', ok('Content-Length: +2\r\n', 'ok')],
  ['Content-Length in hex', ok('Content-Length: 0x2\r\n', 'ok')],
  ['an empty Content-Length', ok('Content-Length:\r\n', 'ok')],
  ['Content-Length and chunked', ok('Content-Length: 2\r\nTransfer-Encoding: chunked\r\n', '2\r\nok\r\n0\r\n\r\n')],
  ['chunked twice', ok('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '2\r\nok\r\n0\r\n\r\n')],
  ['another coding', ok('Transfer-Encoding: gzip\r\n', 'ok')],
  ['another coding before chunked', ok('Transfer-Encoding: gzip, chunked\r\n', '2\r\nok\r\n0\r\n\r\n')],
  ['chunked from HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
  ['a space before a colon', ok('Transfer-Encoding : chunked\r\n', '2\r\nok\r\n0\r\n\r\n')],
  ['a folded line', ok('X: a\r\n Set-Cookie: evil\r\nContent-Length: 2\r\n', 'ok')],
  ['a bare LF between fields', ok('X: a\nSet-Cookie: evil\r\nContent-Length: 2\r\n', 'ok')],
  ['a bare CR between fields', ok('X: a\rSet-Cookie: evil\r\nContent-Length: 2\r\n', 'ok')],
  ['NUL in a value', ok('X: a\0b\r\nContent-Length: 2\r\n', 'ok')],
  ['an empty name', ok(': a\r\nContent-Length: 2\r\n', 'ok')],
  ['a line that is no field', ok('evil\r\nContent-Length: 2\r\n', 'ok')],
  ['a head without end', ok(`X: ${'a'.repeat(70_000)}\r\nContent-Length: 2\r\n`, 'ok')],
  ['more fields than anybody needs', ok(`${'X: a\r\n'.repeat(201)}Content-Length: 2\r\n`, 'ok')],
  ['a switch of protocols that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET /'],
  ['interim answers without end', 'HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n'.repeat(20) + ok('Content-Length: 2\r\n', 'ok')],
  ['a bad chunk at once', ok('Transfer-Encoding: chunked\r\n', 'zz\r\n')],
]

const lies: readonly Lie[] = [
  ...malformed.map(([name, answer]): Lie => ({ name: `${name} is a 502`, answers: [answer], gets: 502 })),
  { name: 'a switch to another protocol than the one asked for', fields: ['Connection: Upgrade', 'Upgrade: websocket'], answers: ['HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'], gets: 502 },
  { name: 'a switch without a protocol', fields: ['Connection: Upgrade', 'Upgrade: websocket'], answers: ['HTTP/1.1 101 Switching Protocols\r\n\r\n'], gets: 502 },
  { name: 'nothing, and a close', answers: [], then: 'fin', method: 'POST', gets: 502 },
  { name: 'nothing, and a reset', answers: [], then: 'reset', method: 'POST', gets: 502 },
  { name: 'half a head, and a close', answers: ['HTTP/1.1 200 OK\r\nConte'], then: 'fin', method: 'POST', gets: 502 },
  // Cut bodies.
  { name: 'a body shorter than its length is cut', answers: [ok('Content-Length: 10\r\n', 'half')], then: 'fin', gets: 'cut' },
  { name: 'a body shorter than its length, by reset', answers: [ok('Content-Length: 10\r\n', 'half')], then: 'reset', gets: 'cut' },
  { name: 'a chunked body without its last chunk is cut', answers: [ok('Transfer-Encoding: chunked\r\n', '4\r\nhalf\r\n')], then: 'fin', gets: 'cut' },
  { name: 'a chunked body that ends in the last chunk is cut', answers: [ok('Transfer-Encoding: chunked\r\n', '4\r\nhalf\r\n0\r\n')], then: 'fin', gets: 'cut' },
  { name: 'a chunked body that goes bad later is cut', answers: [ok('Transfer-Encoding: chunked\r\n', '4\r\nhalf\r\n'), 'zz\r\n'], gets: 'cut' },
  { name: 'a chunk with a bare LF later is cut', answers: [ok('Transfer-Encoding: chunked\r\n', '4\r\nhalf\r\n'), '1\nx\r\n0\r\n\r\n'], gets: 'cut' },
  { name: 'a body up to the end, ended by a reset, is cut', answers: [ok('', 'half')], then: 'reset', gets: 'cut' },
  { name: 'a body up to the end, ended in good order, is whole', answers: [ok('', 'all of it')], then: 'fin', gets: 200, text: 'all of it' },
  // Surplus.
  { name: 'octets behind a body reach nobody', answers: [ok('Content-Length: 2\r\n', `ok${SURPLUS}`)], gets: 200, text: 'ok' },
  { name: 'octets behind the last chunk reach nobody', answers: [ok('Transfer-Encoding: chunked\r\n', `2\r\nok\r\n0\r\n\r\n${SURPLUS}`)], gets: 200, text: 'ok' },
  { name: 'octets behind a body in a segment of their own reach nobody', answers: [ok('Content-Length: 2\r\n', 'ok'), SURPLUS], gets: 200, text: 'ok' },
  { name: 'a body behind the head that answers HEAD reaches nobody', method: 'HEAD', answers: [ok('Content-Length: 7\r\n', 'surplus')], gets: 200, text: '', shows: { 'Content-Length': ['7'] } },
  { name: 'a chunked body behind the head that answers HEAD reaches nobody', method: 'HEAD', answers: [ok('Transfer-Encoding: chunked\r\n', '7\r\nsurplus\r\n0\r\n\r\n')], gets: 200, text: '' },
  { name: 'a body behind 204 reaches nobody', answers: ['HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\nsurplus'], gets: 204, text: '', shows: { 'Content-Length': [], 'Transfer-Encoding': [] } },
  { name: 'a body behind 304 reaches nobody', answers: ['HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\nsurplus'], gets: 304, text: '', shows: { 'Content-Length': ['7'] } },
  { name: 'a chunked 304 has no body', answers: ['HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nsurplus\r\n0\r\n\r\n'], gets: 304, text: '' },
  { name: 'an interim answer with a length has no body', answers: [`HTTP/1.1 103 Early Hints\r\nContent-Length: 7\r\n\r\n${ok('Content-Length: 2\r\n', 'ok')}`], gets: 200, text: 'ok' },
  // Fields.
  { name: 'Set-Cookie lines are kept apart and in order', answers: [ok('Set-Cookie: a=1; Expires=Wed, 09 Jun 2027 10:18:14 GMT\r\nX: y\r\nSet-Cookie: b=2\r\nset-cookie: c=3\r\nContent-Length: 2\r\n', 'ok')], gets: 200,
    shows: { 'Set-Cookie': ['a=1; Expires=Wed, 09 Jun 2027 10:18:14 GMT', 'b=2', 'c=3'] } },
  { name: 'hop-by-hop fields of the upstream stay here', answers: [ok('Connection: keep-alive, X-Inner\r\nX-Inner: 1\r\nKeep-Alive: timeout=9\r\nProxy-Connection: x\r\nProxy-Authenticate: x\r\nUpgrade: h2c\r\nTE: x\r\nX-Kept: 1\r\nContent-Length: 2\r\n', 'ok')], gets: 200,
    shows: { Connection: [], 'Keep-Alive': [], 'X-Inner': [], 'Proxy-Connection': [], 'Proxy-Authenticate': [], Upgrade: [], TE: [], 'X-Kept': ['1'] } },
  { name: 'no reason phrase', answers: ['HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok'], gets: 200, text: 'ok' },
  { name: 'HTTP/1.0 with a length', answers: ['HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok'], gets: 200, text: 'ok' },
  { name: 'a few interim answers', answers: [`${'HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n'.repeat(3)}${ok('Content-Length: 2\r\n', 'ok')}`], gets: 200, text: 'ok' },
]

let arena: Arena
before(async () => {
  arena = await openArena({
    onRequest: async ({ target }, connection) => {
      const lie = lies[Number(target.slice(1))]
      for (const piece of lie === undefined ? [ok('Content-Length: 4\r\n', 'fine')] : lie.answers) await connection.send(piece)
      if (lie?.then === 'fin') connection.end()
      if (lie?.then === 'reset') connection.reset()
    },
  }, { config: { defaults: { eject: { failures: 1000 } } } })
})
after(() => arena[Symbol.asyncDispose]())

lies.forEach(({ name, method = 'GET', fields = [], answers, gets, text, shows = {} }, index) => {
  test(name, async () => {
    await using client = await connect(arena.serai.port)
    client.send([`${method} /${index} HTTP/1.1`, `Host: ${HOST}`, ...fields, ...(method === 'POST' ? ['Content-Length: 0'] : []), '', ''].join('\r\n'))
    if (gets === 'cut') {
      const outcome = await client.receiveResponse().then(({ status }) => status, (error: unknown) => error)
      // When the segments of a lie arrive together it is seen through before anything was sent on: then it is a 502.
      if (outcome !== 502 || answers.length === 1) {
        assert.ok(outcome instanceof CutError && outcome.ending === 'reset', `expected a reset, got ${String(outcome)}`)
        assert.doesNotMatch(client.bytes.toString('latin1'), /\r\n0\r\n/)
      }
    } else {
      const response = await client.receiveResponse({ to: method })
      assert.equal(response.status, gets)
      if (text !== undefined) assert.equal(response.text, text)
      for (const [field, values] of Object.entries(shows)) assert.deepEqual(response.headers.all(field), values, field)
      client.get('/fine', HOST)
      assert.equal((await client.receiveResponse()).text, 'fine', 'the client may ask again')
    }
    // On other connections nobody gets what was left over.
    for (const response of await Promise.all([1, 2, 3].map(() => get(arena.serai.port, '/fine', HOST)))) {
      assert.deepEqual([response.status, response.text, response.headers.get('X-Poison')], [200, 'fine', undefined])
    }
    assert.doesNotMatch(client.bytes.toString('latin1'), /surplus|evil|X-Poison/)
  })
})

test('a connection on which the upstream speaks unasked is closed, and nobody hears it', async () => {
  assert.equal((await get(arena.serai.port, '/fine', HOST)).text, 'fine')
  const idle = arena.backend.connections.filter(({ socket }) => !socket.destroyed && !socket.readableEnded)
  assert.ok(idle.length > 0)
  await Promise.all(idle.map(async (connection) => {
    await connection.send(SURPLUS)
    await connection.closed
  }))
  assert.equal((await get(arena.serai.port, '/fine', HOST)).text, 'fine')
  const { body } = await arena.serai.ask('/metrics')
  assert.match(String(body), /serai_\w*surplus\w* [1-9]/)
})
