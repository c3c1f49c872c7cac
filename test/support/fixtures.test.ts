// The fixtures themselves: what they report must be what went over the wire, and what fails must say why.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { startBackend } from './backend.ts'
import { connect } from './client.ts'
import { makeFolder } from './folder.ts'
import { startHttpBackend } from './http-backend.ts'
import { until, within } from './until.ts'

test('a response by length, in chunks with trailers, and to HEAD', async () => {
  await using backend = await startBackend({
    onRequest: async ({ target, method }, connection) => {
      if (target === '/length') await connection.send(`HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 Fine Day\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 5\r\n\r\n${method === 'HEAD' ? '' : 'hello'}`)
      else for (const piece of ['HTTP/1.1 200 OK\r\nTransfer-Enc', 'oding: chunked\r\n\r\n5\r\nhel', 'lo\r\n1;x=y\r\n!\r\n0\r\nX-Sum: 6\r\n\r\n']) await connection.send(piece)
    },
  })
  await using client = await connect(backend.port)
  client.get('/length', 'a.example.org')
  client.get('/chunks', 'a.example.org')
  client.send('HEAD /length HTTP/1.1\r\nHost: a.example.org\r\n\r\n')
  const first = await client.receiveResponse()
  assert.equal(`${first.status} ${first.reason} ${first.text}`, '200 Fine Day hello')
  assert.deepEqual(first.interim.map(({ status }) => status), [103])
  assert.deepEqual(first.headers.all('X-A'), ['1', '2'])
  const second = await client.receiveResponse()
  assert.equal(second.text, 'hello!')
  assert.deepEqual(second.trailers.pairs, [['X-Sum', '6']])
  assert.equal((await client.receiveResponse({ to: 'HEAD' })).bodyBytes, 0)
  assert.deepEqual(backend.requests.map(({ method, target }) => `${method} ${target}`), ['GET /length', 'GET /chunks', 'HEAD /length'])
  assert.equal(backend.connections.length, 1)
})

test('a backend records every byte and reads bodies', async () => {
  await using backend = await startBackend()
  await using client = await connect(backend.port)
  const sent = 'POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\nPUT /b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nde'
  for (const byte of sent) await client.sendAll(byte)
  assert.equal((await client.receiveResponse()).text, 'ok')
  assert.equal((await client.receiveResponse()).text, 'ok')
  assert.equal(backend.bytes.toString('latin1'), sent)
  assert.deepEqual(backend.requests.map(({ text, trailers }) => [text, trailers.get('t')]), [['abc', '1'], ['de', undefined]])
})

test('cut bodies, resets and closes are told apart', async () => {
  await using backend = await startBackend({
    onRequest: async ({ target }, connection) => {
      await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf')
      if (target === '/fin') connection.end()
      else await connection.closed
    },
  })
  await using cut = await connect(backend.port)
  cut.get('/fin', 'x')
  await assert.rejects(cut.receiveResponse(), { name: 'Error', ending: 'fin', message: /^cut \(fin\) before .*4 of 9 bytes.*half" then fin$/ })
  await using reset = await connect(backend.port)
  reset.get('/reset', 'x')
  await until(() => reset.received > 40, { what: 'half of the response' })
  await backend.kill()
  assert.equal(await reset.closed, 'reset')
  assert.deepEqual(backend.errors, [])
  await assert.rejects(connect(backend.port), /ECONNREFUSED/)
})

test('a client that resets is seen by the backend', async () => {
  await using backend = await startBackend({ onRequest: () => undefined })
  await using client = await connect(backend.port)
  client.get('/', 'x')
  const [connection] = await until(() => backend.connections.length === 1 && backend.connections, { what: 'a connection' })
  await until(() => backend.requests.length === 1, { what: 'a request' })
  client.reset()
  assert.equal(await connection?.closed, 'reset')
})

test('bodies that are not kept are counted', async () => {
  const size = 8 * 1024 * 1024
  await using backend = await startBackend({
    record: false,
    onRequest: ({ bodyBytes }, connection) => connection.send(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${bodyBytes}\r\n\r\n`), Buffer.alloc(bodyBytes)])),
  })
  await using client = await connect(backend.port, { record: false })
  client.send(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n`)
  await client.sendAll(Buffer.alloc(size))
  const { bodyBytes, body } = await client.receiveResponse({ keep: false })
  assert.deepEqual([bodyBytes, body.length, client.bytes.length], [size, 0, 0])
})

test('what does not come fails at its deadline and says what had come', async () => {
  await using backend = await startBackend({ respond: 'HTTP/1.1 200 OK\r\nContent-' })
  await using client = await connect(backend.port, { deadline: 30 })
  client.get('/', 'x')
  await assert.rejects(client.receiveHead(), /^Error: 30 ms passed without a response head; received 25 bytes: "HTTP\/1.1 200 OK\\r\\nContent-"/)
  await assert.rejects(within(new Promise(() => undefined), 1, () => 'peace'), /^Error: 1 ms passed without peace/)
  await assert.rejects(until(() => { throw new Error('no war') }, { deadline: 1, what: 'peace' }), /^Error: 1 ms passed without: peace; last error: no war/)
})

test('a well-behaved backend answers and counts; a folder goes away', async () => {
  await using backend = await startHttpBackend('hello')
  await using client = await connect(backend.port)
  client.get('/', 'x', 'Connection: close')
  assert.equal((await client.receiveResponse()).text, 'hello')
  assert.equal(await client.closed, 'fin')
  assert.equal(backend.count, 1)
  const folder = await makeFolder()
  const file = await folder.write('a.txt', 'a')
  await folder[Symbol.asyncDispose]()
  assert.deepEqual([existsSync(file), existsSync(folder.path)], [false, false])
})
