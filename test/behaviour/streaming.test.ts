// Responses that go on: each piece reaches the client at once, nothing is buffered, trailers are kept, and what was sent arrives.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { startBackend, type Backend, type BackendConnection } from '#test/support/backend.ts'
import { connect } from '#test/support/client.ts'
import { startSerai, type Serai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'

let serai: Serai
before(async () => {
  serai = await startSerai({ config: { workers: 1 } })
})
after(() => serai[Symbol.asyncDispose]())

const serve = (host: string, backend: Backend): Promise<void> => serai.services([{ name: host, tags: [`serai.host=${host}`], instances: [backend.address] }])
const held = async (): Promise<number> => Number(/^serai_body_buffer_bytes (\d+)/m.exec(String((await serai.ask('/metrics')).body))?.[1])

/** A backend that hands its one connection over as soon as the request is there. */
async function startHanding(head: string): Promise<{ readonly backend: Backend; readonly connection: Promise<BackendConnection> }> {
  const { promise, resolve } = Promise.withResolvers<BackendConnection>()
  const backend = await startBackend({
    record: false,
    async onRequest(_, connection) {
      await connection.send(head)
      resolve(connection)
    },
  })
  return { backend, connection: promise }
}

for (const { name, head, frame } of [
  { name: 'chunked', head: 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n', frame: (text: string) => `${text.length.toString(16)}\r\n${text}\r\n` },
  { name: 'up to the end of the connection', head: 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n', frame: (text: string) => text },
]) {
  test(`events (${name}): each arrives before the next is sent, and a long stream of them holds no buffer`, async (t) => {
    const { backend, connection } = await startHanding(head)
    await using cleanUp = backend
    await serve('events.test', cleanUp)
    await using client = await connect(serai.port, { record: false })
    client.get('/', 'events.test')
    assert.equal((await client.receiveHead()).headers.get('transfer-encoding'), 'chunked')
    const server = await connection
    const waits: number[] = []
    for (let event = 0; event < 300; event++) {
      const text = `data: ${String(event).padStart(1000, '.')}\n\n`
      const begun = performance.now()
      await server.send(frame(text))
      const expected = `${text.length.toString(16)}\r\n${text}\r\n`
      assert.equal((await client.receiveBytes(expected.length)).toString(), expected)
      waits.push(performance.now() - begun)
    }
    waits.sort((a, b) => a - b)
    t.diagnostic(`300 events of 1 KB one by one: median ${waits[150]!.toFixed(2)} ms, worst ${waits[299]!.toFixed(1)} ms; ${await held()} octets held`)
    assert.equal(await held(), 0)
  })
}

test('interim responses go on as they come', async () => {
  const { backend, connection } = await startHanding('HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n')
  await using cleanUp = backend
  await serve('hints.test', cleanUp)
  await using client = await connect(serai.port)
  client.get('/', 'hints.test')
  const hints = await client.receiveHead()
  assert.deepEqual([hints.status, hints.headers.get('link')], [103, '</style.css>; rel=preload'])
  await (await connection).send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  assert.equal((await client.receiveResponse()).text, 'ok')
})

test('trailers, both ways', async () => {
  await using backend = await startBackend({
    onRequest: ({ trailers }, connection) => connection.send(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: ${trailers.get('x-count') ?? 'none'}\r\n\r\n`),
  })
  await serve('trailers.test', backend)
  await using client = await connect(serai.port)
  client.send('POST / HTTP/1.1\r\nHost: trailers.test\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Count: 3\r\n\r\n')
  const { text, trailers } = await client.receiveResponse()
  assert.deepEqual([text, trailers.get('x-sum')], ['ok', '3'])
})

for (const framing of ['Content-Length', 'chunked', 'up to the end']) {
  test(`a download of 64 MiB (${framing}) arrives with the same SHA`, async (t) => {
    const piece = randomBytes(1024 * 1024)
    const digest = createHash('sha256')
    for (let time = 0; time < 64; time++) digest.update(piece)
    const expected = digest.digest('hex')
    const chunk = Buffer.concat([Buffer.from('100000\r\n'), piece, Buffer.from('\r\n')])
    await using backend = await startBackend({
      record: false,
      async onRequest(_, connection) {
        await connection.send(`HTTP/1.1 200 OK\r\n${framing === 'chunked' ? 'Transfer-Encoding: chunked\r\n' : framing === 'Content-Length' ? `Content-Length: ${64 * piece.length}\r\n` : ''}\r\n`)
        for (let time = 0; time < 64; time++) await connection.send(framing === 'chunked' ? chunk : piece)
        if (framing === 'chunked') await connection.send('0\r\n\r\n')
        if (framing === 'up to the end') connection.end()
      },
    })
    await serve('download.test', backend)
    await using client = await connect(serai.port, { record: false })
    const begun = performance.now()
    client.get('/', 'download.test')
    const { body } = await client.receiveResponse()
    assert.equal(createHash('sha256').update(body).digest('hex'), expected)
    t.diagnostic(`64 MiB in ${(performance.now() - begun).toFixed(0)} ms, SHA-256 ${expected.slice(0, 16)}…`)
    await until(async () => await held() === 0, { what: 'no octets held' })
  })
}
