// Requests behind requests: in every split, behind errors, behind the last, and while an answer is still on its way.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { connect } from '#test/support/client.ts'
import { until } from '#test/support/until.ts'
import { FOLLOWER, HOST, openArena } from './arena.ts'
import type { Arena } from './arena.ts'

let arena: Arena
before(async () => {
  arena = await openArena({
    onHead: async ({ target }, connection) => {
      if (target !== '/early') return false
      await connection.send('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')
      return true
    },
    onRequest: async ({ target }, connection) => {
      if (target === '/later') await until(() => arena.backend.connections.length > 0 && released, { what: 'the test letting the answer go' })
      await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    },
  }, { config: { client: { head: '600ms', keepAlive: '60s' } } })
})
after(() => arena[Symbol.asyncDispose]())
let released = false

const GET = `GET /a HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`
const post = (target: string, body: string): string => `POST ${target} HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
const representative = [
  `\r\nGET /a?b=c HTTP/1.1\r\nHost: ${HOST}\r\nX: y\r\n\r\n`,
  post('/length', 'body\r\n\r\n'),
  `PUT /chunks HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n3;e=1\r\nabc\r\n00b\r\nhello world\r\n0\r\nX-Sum: 1\r\n\r\n`,
].join('')

/** What differs from request to request by right. */
const masked = (raw: string): string => raw.replace(/X-Request-Id: \w+/, 'X-Request-Id: …')
const bytesOf = (requests: Arena['backend']['requests']): string[] => requests.map(({ raw, text, trailers }) => `${masked(raw)}${text}${JSON.stringify(trailers.pairs)}`)

test('every split position gives the same bytes upstream, and one byte at a time too', async () => {
  const stream = representative + FOLLOWER
  const whole = await arena.strike([stream])
  assert.deepEqual(whole.requests.map(({ method, target, text }) => `${method} ${target} ${text}`), ['GET /a?b=c ', 'POST /length body\r\n\r\n', 'PUT /chunks abchello world', 'GET /follower '])
  const expected = bytesOf(whole.requests)
  for (let at = 1; at < stream.length; at++) {
    const { requests, statuses } = await arena.strike([stream.slice(0, at), stream.slice(at)])
    assert.deepEqual(bytesOf(requests), expected, `split at ${at}`)
    assert.deepEqual(statuses, [200, 200, 200, 200], `split at ${at}`)
  }
  assert.deepEqual(bytesOf((await arena.strike([...stream])).requests), expected)
})

test('a refusal is one whatever the split', async () => {
  const stream = `${GET}POST /a HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${FOLLOWER}`
  for (let at = 1; at < stream.length; at += 3) {
    const { requests, statuses } = await arena.strike([stream.slice(0, at), stream.slice(at)])
    assert.deepEqual([requests.length, ...statuses], [1, 200, 400], `split at ${at}`)
  }
})

test('the size at which a head is too large does not depend on the split', async () => {
  const head = (size: number): string => {
    const start = `GET /size HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\nX: `
    return `${start}${'a'.repeat(size - start.length - 4)}\r\n\r\n`
  }
  for (const [size, status] of [[32_768, 200], [32_769, 431], [32_772, 431]] as const) {
    for (const at of [size, size - 1, size - 2, size - 3, size - 4, size - 5, 100]) {
      assert.deepEqual((await arena.strike([head(size).slice(0, at), head(size).slice(at)])).statuses, [status], `${size} bytes split at ${at}`)
    }
  }
})

test('many requests in one segment are answered, all of them and in order', async () => {
  const before = arena.backend.requests.length
  const { statuses } = await arena.strike([Array.from({ length: 50 }, (_, index) => GET.replace('/a', `/${index}`)).join('') + FOLLOWER])
  assert.equal(statuses.length, 51)
  assert.deepEqual(arena.backend.requests.slice(before, -1).map(({ target }) => target), Array.from({ length: 50 }, (_, index) => `/${index}`))
})

test('megabytes of pipelined requests are taken with bounded memory, all answered', async () => {
  const count = 3000
  await using client = await connect(arena.serai.port)
  const sent = client.sendAll(post('/many', 'x'.repeat(1000)).repeat(count))
  for (let index = 0; index < count; index++) assert.equal((await client.receiveResponse()).status, 200)
  await sent
})

test('behind Connection: close nothing is a request', async () => {
  const { requests, statuses } = await arena.strike([FOLLOWER + GET + GET])
  assert.deepEqual([requests.length, ...statuses], [1, 200])
})

test('behind HTTP/1.0 without keep-alive nothing is a request', async () => {
  const { requests, statuses } = await arena.strike([`GET /a HTTP/1.0\r\nHost: ${HOST}\r\n\r\n${GET}`])
  assert.deepEqual([requests.length, ...statuses], [1, 200])
})

test('behind a refused request nothing is a request, even if it comes later', async () => {
  await using client = await connect(arena.serai.port)
  const before = arena.backend.requests.length
  client.send(`GET /a HTTP/1.1\r\nHost: ${HOST}\r\nX : y\r\n\r\n`)
  assert.equal((await client.receiveResponse()).status, 400)
  assert.equal(await client.closed, 'fin')
  for (let index = 0; index < 20; index++) client.send(GET)
  await arena.strike([FOLLOWER])
  assert.deepEqual(arena.backend.requests.slice(before).map(({ target }) => target), ['/follower'])
})

test('a body that breaks the rules after its beginning went on is a 400, the upstream sees it cut, and nothing behind it counts', async () => {
  const before = arena.backend.requests.length
  const { statuses } = await arena.strike([`POST /cut HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`, `zz\r\n${FOLLOWER}`])
  assert.deepEqual(statuses, [400])
  assert.equal(arena.backend.requests.length, before, 'no whole request')
})

test('an answer before the end of the body ends the connection: the rest of the body is no request', async () => {
  const before = arena.backend.requests.length
  await using client = await connect(arena.serai.port)
  client.send(`POST /early HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: ${2 * FOLLOWER.length}\r\n\r\n`)
  const response = await client.receiveResponse()
  assert.deepEqual([response.status, response.headers.get('Connection')], [403, 'close'])
  client.send(FOLLOWER + FOLLOWER + FOLLOWER)
  assert.equal(await client.closed, 'fin')
  await arena.strike([FOLLOWER])
  assert.equal(arena.backend.requests.length, before + 1)
})

test('an answer before 100-continue ends the connection', async () => {
  await using client = await connect(arena.serai.port)
  client.send(`POST /early HTTP/1.1\r\nHost: ${HOST}\r\nExpect: 100-continue\r\nContent-Length: ${FOLLOWER.length}\r\n\r\n`)
  const response = await client.receiveResponse()
  assert.deepEqual([response.status, response.headers.get('Connection'), response.interim.length], [403, 'close', 0])
  assert.equal(await client.closed, 'fin')
})

test('an early answer reaches a client that goes on sending megabytes', async () => {
  await using client = await connect(arena.serai.port)
  client.send(`POST /early HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 50000000\r\n\r\n`)
  for (let index = 0; index < 40; index++) client.send(Buffer.alloc(100_000))
  assert.equal((await client.receiveResponse()).status, 403)
})

test('the beginning of a head that comes while the one before is answered has the time of a head, not that of an idle connection', async () => {
  await using client = await connect(arena.serai.port)
  released = false
  client.send(GET.replace('/a', '/later'))
  client.send('GET /half HTTP/1.1\r\nHo')
  released = true
  assert.equal((await client.receiveResponse()).status, 200)
  assert.equal((await client.receiveResponse()).status, 408)
  assert.equal(await client.closed, 'fin')
})

test('a connection whose answer began before a drain ends with that answer, though it was not told so', async () => {
  const gate = Promise.withResolvers<void>()
  await using draining = await openArena({
    onRequest: async (_, connection) => {
      await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha')
      await gate.promise
      await connection.send('lf')
    },
  }, { config: { stop: { lameDuck: '0s', drain: '20s' } } })
  await using client = await connect(draining.serai.port)
  client.send(GET)
  assert.equal((await client.receiveHead()).headers.get('Connection'), undefined)
  await using idle = await connect(draining.serai.port)
  const stopped = draining.serai.stop()
  assert.equal(await idle.closed, 'fin', 'idle connections are closed at once')
  gate.resolve()
  assert.equal((await client.receiveBytes(4)).toString(), 'half')
  assert.equal(await client.closed, 'fin')
  assert.equal(await stopped, 0)
})
