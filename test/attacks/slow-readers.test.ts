// Clients that read slowly or not at all: the patient ones get everything, the others are cut, and look cut.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import { test } from 'node:test'
import { startBackend } from '#test/support/backend.ts'
import { connect } from '#test/support/client.ts'
import type { Client } from '#test/support/client.ts'
import { frame, get, PREFACE, settings, windowUpdate } from '#test/support/http2-frames.ts'
import { authority, connectTls, startHttps } from '#test/support/https.ts'
import { startSerai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'

const MANY = Buffer.alloc(30_000_000, 'x')

test('a client that reads its last response slowly gets all of it', async () => {
  await using large = await startBackend({
    record: false,
    onRequest: async ({ target }, connection) => {
      await connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${target.slice(1)}\r\n\r\n`)
      await connection.send(Buffer.alloc(Number(target.slice(1)), 'x'))
    },
  })
  await using serai = await startSerai({ services: [{ name: 'large', tags: ['serai.host=large.example.org'], instances: [large.address] }] })
  const pause = async (ms: number): Promise<void> => {
    const end = performance.now() + ms
    await until(() => performance.now() > end, { deadline: 2 * ms, what: `${ms} ms` })
  }
  const ask = async (size: number): Promise<{ readonly client: Client; readonly taken: boolean }> => {
    const client = await connect(serai.port, { record: false, deadline: 20_000 })
    client.socket.pause()
    client.get(`/${size}`, 'large.example.org', 'Connection: close')
    await pause(400)
    return { client, taken: serai.accessLog.some(({ path }) => path === `/${size}`) }
  }
  // The largest response that is all taken from the upstream though nobody reads it: its end waits with Serai, behind full kernels.
  let [least, most, waiting] = [0, 16_000_000, (await ask(100_000)).client]
  while (most - least > 100_000) {
    const size = Math.floor((least + most) / 2)
    const { client, taken } = await ask(size)
    await (taken ? waiting : client)[Symbol.asyncDispose]()
    if (taken) [least, waiting] = [size, client]
    else most = size
  }
  await pause(2500) // longer than a closed connection lingers
  waiting.socket.resume()
  assert.equal((await waiting.receiveResponse({ keep: false })).bodyBytes, least)
  await waiting[Symbol.asyncDispose]()
})

test('a client that sends all of its body and reads nothing of an early answer is cut', async () => {
  await using backend = await startBackend({
    record: false,
    onHead: async (_, connection) => {
      await connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${MANY.length}\r\n\r\n`)
      void connection.send(MANY)
      return true
    },
  })
  await using serai = await startSerai({
    services: [{ name: 'web', tags: ['serai.host=a.example.org'], instances: [backend.address] }],
    config: { client: { body: '500ms' } },
  })
  await using client = await connect(serai.port, { record: false })
  client.send('POST / HTTP/1.1\r\nHost: a.example.org\r\nContent-Length: 10\r\n\r\n12345')
  assert.equal((await client.receiveHead()).status, 200)
  client.socket.pause()
  client.send('67890')
  await until(() => serai.accessLog.length > 0, { what: 'the end of the exchange' })
  assert.equal(serai.accessLog[0]?.['reason'], 'client_write_timeout')
  client.socket.resume()
  assert.equal(await client.closed, 'reset')
})

test('a client of HTTP/1.0 that does not read is reset: a FIN would make its half of the body look whole', async () => {
  await using backend = await startBackend({ record: false, onRequest: async (_, connection) => { await connection.send(Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), MANY])) } })
  await using serai = await startSerai({
    services: [{ name: 'web', tags: ['serai.host=a.example.org'], instances: [backend.address] }],
    config: { client: { body: '500ms' } },
  })
  await using client = await connect(serai.port, { record: false })
  client.socket.pause()
  client.send('GET / HTTP/1.0\r\nHost: a.example.org\r\n\r\n')
  await until(() => serai.accessLog.length > 0, { what: 'the end of the exchange' })
  client.socket.resume()
  assert.equal(await client.closed, 'reset')
})

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`a client of HTTP/2 over ${version} that reads nothing is cut, and one that opens no window loses its stream alone; nothing is left of either`, async () => {
    await using large = await startBackend({ record: false, onRequest: async (_, connection) => { await connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${MANY.length}\r\n\r\n`); await connection.send(MANY) } })
    await using https = await startHttps({ services: [{ name: 'web', tags: ['serai.host=a.example.org'], instances: [large.address] }], config: { client: { body: '500ms' } } })
    const { serai } = https
    const nothing = async (gauge: string): Promise<void> => {
      await until(async () => new RegExp(`^${gauge}(\\{listener="https"\\})? 0$`, 'm').test(String((await serai.ask('/metrics')).body)), { what: `${gauge} to be 0` })
    }
    const options = { ca: authority.ca, servername: 'a.example.org', minVersion: version, maxVersion: version, ALPNProtocols: ['h2'] }
    // All windows are open, and the socket is not read.
    await using deaf = await connectTls(https.port, options)
    deaf.socket.pause()
    deaf.send(Buffer.concat([Buffer.from(PREFACE), settings([4, 2 ** 31 - 1]), windowUpdate(0, 2 ** 31 - 1 - 65_535), frame('HEADERS', 5, 1, get('/', 'a.example.org'))]))
    await until(() => serai.accessLog.length === 1, { what: 'its end' })
    await nothing('serai_connections')
    // The socket is read, and the stream is not.
    const session = http2.connect(`https://a.example.org:${https.port}`, { ...options, lookup: (_, __, done) => done(null, [{ address: '127.0.0.1', family: 4 }]) })
    const unread = session.request({ ':path': '/' })
    await once(unread, 'close')
    assert.equal(unread.rstCode, http2.constants.NGHTTP2_CANCEL)
    const next = session.request({ ':path': '/', ':method': 'GET' })
    const [head] = await once(next, 'response') as [http2.IncomingHttpHeaders]
    assert.equal(head[':status'], 200)
    session.destroy()
    for (const gauge of ['serai_connections', 'serai_exchanges', 'serai_body_buffer_bytes', 'serai_internal_errors_total']) await nothing(gauge)
    assert.deepEqual(serai.accessLog.slice(0, 2).map(({ status, reason }) => [status, reason]), [[499, 'client_write_timeout'], [499, 'client_write_timeout']])
  })
}
