// Request bodies arrive as they were sent, at the pace of the upstream, and an answer that comes early stops them.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { startBackend, type Backend, type BackendConnection } from '#test/support/backend.ts'
import { connect } from '#test/support/client.ts'
import { startHttpBackend } from '#test/support/http-backend.ts'
import { startSerai, type Serai } from '#test/support/serai.ts'
import { settled } from '#test/support/settled.ts'
import { until } from '#test/support/until.ts'

const piece = randomBytes(1024 * 1024)
const shaOf = (pieces: number): string => {
  const hash = createHash('sha256')
  for (let time = 0; time < pieces; time++) hash.update(piece)
  return hash.digest('hex')
}

let serai: Serai
before(async () => {
  serai = await startSerai({ config: { workers: 1 } })
})
after(() => serai[Symbol.asyncDispose]())

const serve = (host: string, ...backends: readonly { readonly address: string }[]): Promise<void> =>
  serai.services([{ name: host, tags: [`serai.host=${host}`], instances: backends.map(({ address }) => address) }])
const held = async (): Promise<number> => Number(/^serai_body_buffer_bytes (\d+)/m.exec(String((await serai.ask('/metrics')).body))?.[1])

for (const chunked of [false, true]) {
  test(`64 MiB (${chunked ? 'chunked' : 'Content-Length'}) arrive with the same SHA`, async (t) => {
    await using backend = await startHttpBackend((request, response) => {
      const hash = createHash('sha256')
      request.on('data', (data: Buffer) => hash.update(data)).on('end', () => response.end(hash.digest('hex')))
    })
    await serve('upload.test', backend)
    await using client = await connect(serai.port)
    const begun = performance.now()
    client.send(`POST / HTTP/1.1\r\nHost: upload.test\r\n${chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${64 * piece.length}`}\r\n\r\n`)
    for (let time = 0; time < 64; time++) {
      if (chunked) client.send('100000\r\n')
      await client.sendAll(piece)
      if (chunked) client.send('\r\n')
    }
    if (chunked) client.send('0\r\n\r\n')
    const { text } = await client.receiveResponse()
    t.diagnostic(`64 MiB in ${(performance.now() - begun).toFixed(0)} ms, SHA-256 ${text.slice(0, 16)}…`)
    assert.equal(text, shaOf(64))
    await until(async () => await held() === 0, { what: 'no octets held' })
  })
}

test('an upstream that does not read stops the client; what waits is bounded and counted', async (t) => {
  const connections: BackendConnection[] = []
  await using backend = await startBackend({ record: false, onHead: (_, connection) => { connections.push(connection); connection.pause(); return true } })
  await serve('stop.test', backend)
  await using client = await connect(serai.port)
  client.send(`POST / HTTP/1.1\r\nHost: stop.test\r\nContent-Length: ${64 * piece.length}\r\n\r\n`)
  let sent = 0
  const pump = (): void => {
    while (sent < 64) if (sent++, !client.socket.write(piece)) return void client.socket.once('drain', pump)
  }
  pump()
  const stopped = await settled(() => sent, 'the client')
  const waiting = await held()
  t.diagnostic(`stopped after ${stopped} of 64 MiB, ${waiting} octets wait in Serai`)
  assert.ok(stopped < 64 && waiting <= 256 * 1024)
  const connection = connections[0]!
  connection.resume()
  await connection.inbox.skip(64 * piece.length, 'the body')
  await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  assert.equal((await client.receiveResponse()).status, 200)
  assert.equal(await held(), 0)
})

test('what waits for a connection is bounded too, and goes on when there is one', async (t) => {
  await using backend = await startBackend({ record: false, onRequest: ({ bodyBytes }, connection) => connection.send(`HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n${String(bodyBytes).padStart(8)}`) })
  const busy: BackendConnection[] = []
  await using first = await startBackend({ record: false, onRequest: (_, connection) => void busy.push(connection) })
  await using own = await startSerai({ services: [{ name: 'web', tags: ['serai.host=wait.test'], instances: [first.address] }], config: { workers: 1, upstream: { connections: 1, queueTime: '5s' } } })
  await using one = await connect(own.port)
  one.get('/', 'wait.test')
  await until(() => busy.length === 1, { what: 'the only connection being used' })
  await using two = await connect(own.port)
  two.send(`POST / HTTP/1.1\r\nHost: wait.test\r\nContent-Length: ${16 * piece.length}\r\n\r\n`)
  let sent = 0
  const pump = (): void => {
    while (sent < 16) if (sent++, !two.socket.write(piece)) return void two.socket.once('drain', pump)
  }
  pump()
  const waiting = Number(/^serai_body_buffer_bytes (\d+)/m.exec(String((await own.ask('/metrics')).body))?.[1])
  await settled(() => sent, 'the client')
  t.diagnostic(`${waiting} octets of 16 MiB wait for a connection`)
  assert.ok(sent < 16 && waiting <= 512 * 1024)
  await busy[0]!.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  await until(() => busy.length === 2, { what: 'the upload arriving' })
  await busy[1]!.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  assert.equal((await two.receiveResponse()).status, 200)
  assert.equal(first.requests[1]?.bodyBytes, 16 * piece.length)
  assert.equal(backend.requests.length, 0)
})

for (const { name, respond, status } of [
  { name: 'an early refusal', respond: 'HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig', status: 413 },
  { name: 'an early answer with close', respond: 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig', status: 200 },
]) {
  test(`${name} reaches the client while it sends, and the upstream connection is not used again`, async () => {
    const early: Backend = await startBackend({
      record: false,
      async onHead({ method }, connection) {
        if (method !== 'POST') return false
        await connection.send(respond)
        return true
      },
    })
    await using backend = early
    await serve('early.test', backend)
    await using client = await connect(serai.port)
    client.send(`POST / HTTP/1.1\r\nHost: early.test\r\nContent-Length: ${8 * piece.length}\r\n\r\n`)
    client.send(piece)
    assert.equal((await client.receiveResponse()).status, status)
    await using next = await connect(serai.port)
    next.get('/', 'early.test')
    assert.equal((await next.receiveResponse()).status, 200)
    assert.equal(backend.connections.length, 2)
  })
}

test('Expect: 100-continue: the 100 is the upstream\'s, and the body comes after it', async () => {
  await using backend = await startBackend({
    async onHead({ headers }, connection) {
      assert.equal(headers.get('expect'), '100-continue')
      await connection.send('HTTP/1.1 100 Continue\r\n\r\n')
      return false
    },
  })
  await serve('expect.test', backend)
  await using client = await connect(serai.port)
  client.send('POST / HTTP/1.1\r\nHost: expect.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n')
  assert.equal((await client.receiveHead()).status, 100)
  client.send('hello')
  assert.equal((await client.receiveResponse()).status, 200)
  assert.equal(backend.requests[0]?.text, 'hello')
})
