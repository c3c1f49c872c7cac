// How an HTTP/2 connection ends in good order: GOAWAY in two steps, what runs is finished, nothing that was taken is lost.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startBackend, type Backend } from '#test/support/backend.ts'
import { connectHttp2, type RawHttp2 } from '#test/support/http2-client.ts'
import { frame, get, type } from '#test/support/http2-frames.ts'
import { startSerai, type Serai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'

test('SIGTERM: an announcement, a PING, then the last stream taken; what came in between is served, and the process ends', async () => {
  const open = Promise.withResolvers<void>()
  await using backend = await startBackend({
    async onRequest({ target }, connection) {
      if (target === '/slow') await open.promise
      await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    },
  })
  await using serai = await startSerai({
    config: { workers: 1, listeners: { http: { address: '127.0.0.1:0', h2c: true } } },
    services: [{ name: 'web', tags: ['serai.host=a.example.org'], instances: [backend.address] }],
  })
  await using client = await connectHttp2(serai.port)
  const { stopped, goaways } = await stopUnderWay(serai, client, backend)
  await until(() => goaways().length === 1, { what: 'the announcement' })
  client.send(frame('HEADERS', 5, 3, get('/late')))
  assert.equal(await client.over(3), -1)
  const ping = client.frames.find((each) => each.type === type.PING)!
  client.send(frame('PING', 1, 0, ping.payload))
  await until(() => goaways().length === 2, { what: 'the second step' })
  assert.deepEqual(goaways(), [0x7fff_ffff, 3])
  client.send(frame('HEADERS', 5, 5, get('/too-late')))
  assert.equal(await client.over(5), 7)
  open.resolve()
  assert.equal(await client.over(1), -1)
  assert.equal(await client.ended(), 0)
  assert.equal(await stopped, 0)
  assert.deepEqual(backend.requests.map(({ target }) => target).sort(), ['/late', '/slow'])
})

test('SIGTERM, and a client that does not answer the PING: the second step comes all the same, and what it has open is finished', async () => {
  const open = Promise.withResolvers<void>()
  await using backend = await startBackend({
    async onRequest(_, connection) {
      await open.promise
      await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    },
  })
  await using serai = await startSerai({
    config: { workers: 1, listeners: { http: { address: '127.0.0.1:0', h2c: true } }, stop: { lameDuck: '0s', drain: '30s' } },
    services: [{ name: 'web', tags: ['serai.host=a.example.org'], instances: [backend.address] }],
  })
  await using client = await connectHttp2(serai.port)
  const { stopped, goaways } = await stopUnderWay(serai, client, backend)
  await until(() => goaways().length === 2, { what: 'both steps' })
  assert.deepEqual(goaways(), [0x7fff_ffff, 1])
  open.resolve()
  assert.equal(await client.over(1), -1)
  assert.equal(await client.ended(), 0)
  assert.equal(await stopped, 0)
})

/** Ends the program while a request is at its service; `goaways`: the last streams that the client was told since. */
async function stopUnderWay(serai: Serai, client: RawHttp2, backend: Backend): Promise<{ readonly stopped: ReturnType<Serai['stop']>; goaways(): number[] }> {
  client.send(frame('HEADERS', 5, 1, get('/slow')))
  await until(() => backend.requests.length === 1, { what: 'the request to arrive' })
  return {
    stopped: serai.stop(),
    goaways: () => client.frames.filter((each) => each.type === type.GOAWAY).map(({ payload }) => payload.readUInt32BE(0)),
  }
}
