// Every time that can run out: its answer to the client, its reason in the log, and nobody else's is touched.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startBackend, type BackendOptions } from '#test/support/backend.ts'
import { connect, get, type Client } from '#test/support/client.ts'
import { CutError } from '#test/support/inbox.ts'
import { startSerai, type LogRecord, type Serai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'

const LIMIT_MS = 500

let serai: Serai
before(async () => {
  serai = await startSerai({
    config: {
      workers: 1,
      upstream: { connect: '300ms', head: `${LIMIT_MS}ms`, body: `${LIMIT_MS}ms` },
      client: { head: `${LIMIT_MS}ms`, body: `${LIMIT_MS}ms`, keepAlive: `${LIMIT_MS}ms` },
    },
  })
})
after(() => serai[Symbol.asyncDispose]())

let hosts = 0
/** A service of its own for a backend that behaves like this; its host. */
async function serve(stack: AsyncDisposableStack, options: BackendOptions, ...tags: string[]): Promise<string> {
  const host = `t${hosts++}.test`
  const backend = stack.use(await startBackend(options))
  await serai.services([{ name: host, tags: [`serai.host=${host}`, ...tags], instances: [backend.address] }])
  return host
}

const recordOf = (host: string): Promise<LogRecord> => until(() => serai.accessLog.find((record) => record['host'] === host), { what: `the access record of ${host}` })

async function wait(ms: number): Promise<void> {
  const due = performance.now() + ms
  await until(() => performance.now() >= due, { what: `${ms} ms to pass` })
}

const silent: BackendOptions = { onRequest: () => undefined }
const drip = (head: string, pieces: number, everyMs: number): BackendOptions => ({
  async onRequest(_, connection) {
    await connection.send(head)
    for (let piece = 0; piece < pieces && !connection.socket.destroyed; piece++) {
      await wait(everyMs)
      await connection.send('x')
    }
  },
})
const OK_100 = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n'

const answered: readonly { readonly name: string; readonly options: BackendOptions; readonly tags?: readonly string[]; readonly status: number; readonly reason: string; readonly withinMs: readonly [number, number] }[] = [
  { name: 'no response head', options: silent, status: 504, reason: 'upstream_head_timeout', withinMs: [500, 1000] },
  { name: 'a response head that does not end', options: drip('HTTP/1.1 200 OK\r\nX: ', 20, 100), status: 504, reason: 'upstream_head_timeout', withinMs: [500, 1000] },
  {
    name: 'interim responses without a final one',
    options: { async onRequest(_, connection) { for (let time = 0; time < 10 && !connection.socket.destroyed; time++) { await connection.send('HTTP/1.1 102 Processing\r\n\r\n'); await wait(100) } } },
    status: 504, reason: 'upstream_head_timeout', withinMs: [500, 1000],
  },
  { name: 'no response head, a longer time by tag', options: silent, tags: ['serai.timeout.head=1s'], status: 504, reason: 'upstream_head_timeout', withinMs: [1000, 1500] },
  { name: 'the whole exchange, before the head', options: silent, tags: ['serai.timeout.total=200ms'], status: 504, reason: 'total_timeout', withinMs: [200, 600] },
  { name: 'no TLS handshake', options: { onConnection: (connection) => connection.pause() }, tags: ['serai.scheme=https'], status: 502, reason: 'connect_failed', withinMs: [300, 800] },
]
for (const { name, options, tags = [], status, reason, withinMs } of answered) {
  test(`${name}: ${status}, ${reason}`, async (t) => {
    await using stack = new AsyncDisposableStack()
    const host = await serve(stack, options, ...tags)
    const begun = performance.now()
    assert.equal((await get(serai.port, '/', host)).status, status)
    const ms = performance.now() - begun
    const record = await recordOf(host)
    assert.deepEqual([record['status'], record['reason']], [status, reason])
    t.diagnostic(`after ${ms.toFixed(0)} ms`)
    assert.ok(ms >= withinMs[0] && ms < withinMs[1], `${ms} ms`)
  })
}

const cut: readonly { readonly name: string; readonly options: BackendOptions; readonly tags?: readonly string[]; readonly reason: string }[] = [
  { name: 'the rest of the body', options: drip(OK_100, 1, 0), reason: 'upstream_body_timeout' },
  { name: 'the next chunk', options: drip('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', 0, 0), reason: 'upstream_body_timeout' },
  { name: 'the whole exchange, in the body', options: drip(OK_100, 20, 100), tags: ['serai.timeout.total=600ms'], reason: 'total_timeout' },
]
for (const { name, options, tags = [], reason } of cut) {
  test(`${name}: the response is cut, ${reason}`, async () => {
    await using stack = new AsyncDisposableStack()
    const host = await serve(stack, options, ...tags)
    await assert.rejects(get(serai.port, '/', host), (error) => error instanceof CutError && error.ending === 'reset')
    const record = await recordOf(host)
    assert.deepEqual([record['status'], record['reason']], [200, reason])
    assert.notEqual(record['endpoint'], '')
  })
}

test('an upstream that does not take the request: 504, upstream_head_timeout, though the client still sends', async (t) => {
  await using stack = new AsyncDisposableStack()
  const host = await serve(stack, { onHead: (_, connection) => { connection.pause(); return true } })
  await using client = await connect(serai.port)
  const begun = performance.now()
  client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${64 * 1024 * 1024}\r\n\r\n`)
  client.send(Buffer.alloc(64 * 1024 * 1024))
  const { status } = await client.receiveResponse()
  t.diagnostic(`${status} after ${(performance.now() - begun).toFixed(0)} ms`)
  assert.equal(status, 504)
  assert.equal((await recordOf(host))['reason'], 'upstream_head_timeout')
})

test('a client that sends slowly, but within its time, is no fault of the upstream', async () => {
  await using stack = new AsyncDisposableStack()
  const host = await serve(stack, {})
  await using client = await connect(serai.port)
  client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 5\r\n\r\n`)
  for (let piece = 0; piece < 5; piece++) {
    await wait(250)
    client.send('x')
  }
  assert.equal((await client.receiveResponse()).status, 200)
})

test('a response that comes slowly, but within its time, and to a client that reads slowly, is not cut', async () => {
  await using stack = new AsyncDisposableStack()
  const host = await serve(stack, drip('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n', 4, 300))
  assert.equal((await get(serai.port, '/', host)).text, 'xxxx')
})

const clients: readonly { readonly name: string; readonly send: (client: Client, host: string) => void; readonly status: number | 'cut' | 'closed'; readonly reason: string }[] = [
  { name: 'a head that does not end', send: (client) => client.send('GET / HTTP/1.1\r\nHost: '), status: 408, reason: 'client_head_timeout' },
  { name: 'a body that does not come', send: (client, host) => client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 10\r\n\r\nhal`), status: 408, reason: 'client_body_timeout' },
]
for (const { name, send, status, reason } of clients) {
  test(`${name}: ${status}, ${reason}`, async () => {
    await using stack = new AsyncDisposableStack()
    const host = await serve(stack, silent)
    await using client = await connect(serai.port)
    send(client, host)
    assert.equal((await client.receiveResponse()).status, status)
    assert.equal(await client.closed, 'fin')
    await until(() => serai.accessLog.some((record) => record['reason'] === reason && record['status'] === status), { what: `a record with ${reason}` })
  })
}

test('a client that does not read: cut, client_write_timeout; the endpoint is not to blame', async () => {
  await using stack = new AsyncDisposableStack()
  const body = Buffer.alloc(32 * 1024 * 1024)
  const host = await serve(stack, { async onRequest(_, connection) { await connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`); await connection.send(body) } })
  await using client = await connect(serai.port)
  client.socket.pause()
  client.get('/', host)
  const record = await recordOf(host)
  assert.deepEqual([record['status'], record['reason']], [499, 'client_write_timeout'])
})

test('an idle client connection is closed in good order', async () => {
  await using client = await connect(serai.port)
  const begun = performance.now()
  assert.equal(await client.closed, 'fin')
  assert.ok(performance.now() - begun >= LIMIT_MS)
})
