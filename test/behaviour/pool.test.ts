// Connections to an endpoint: used again, limited, queued for with a deadline, and closed before the upstream closes them.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startBackend, type Backend, type BackendConnection } from '#test/support/backend.ts'
import { connect, get } from '#test/support/client.ts'
import { startSerai, type Serai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

let serai: Serai
before(async () => {
  serai = await startSerai({ config: { workers: 1, upstream: { connections: 2, queue: 3, queueTime: '600ms', keepAlive: '4s' } } })
})
after(() => serai[Symbol.asyncDispose]())

const serve = (host: string, ...backends: readonly Backend[]): Promise<void> =>
  serai.services([{ name: host, tags: [`serai.host=${host}`], instances: backends.map(({ address }) => address) }])

/** A backend that keeps its requests until the test answers them. */
async function startHolding(): Promise<Backend & { readonly held: BackendConnection[] }> {
  const held: BackendConnection[] = []
  return Object.assign(await startBackend({ onRequest: (_, connection) => void held.push(connection) }), { held })
}

test('one connection serves requests one after the other; two at once need two', async () => {
  await using backend = await startHolding()
  await serve('reuse.test', backend)
  for (let time = 0; time < 3; time++) {
    const response = get(serai.port, '/', 'reuse.test')
    await (await until(() => backend.held[time], { what: 'the request' })).send(OK)
    assert.equal((await response).status, 200)
  }
  assert.equal(backend.connections.length, 1)
  const both = [get(serai.port, '/a', 'reuse.test'), get(serai.port, '/b', 'reuse.test')]
  await until(() => backend.held.length === 5, { what: 'both requests' })
  assert.equal(backend.connections.length, 2)
  for (const connection of backend.connections) await connection.send(OK)
  await Promise.all(both)
})

test('more than the limit wait their turn, more than the queue are refused at once, and who waits too long is refused too', async (t) => {
  await using backend = await startHolding()
  await serve('queue.test', backend)
  const begun = performance.now()
  const ends: { status: number; retryAfter: string | undefined; ms: number }[] = []
  const ask = async (): Promise<void> => {
    const { status, headers } = await get(serai.port, '/', 'queue.test')
    ends.push({ status, retryAfter: headers.get('retry-after'), ms: performance.now() - begun })
  }
  const all = Array.from({ length: 6 }, ask)
  await until(() => ends.length === 1, { what: 'the sixth being refused' }) // 2 are served, 3 wait
  assert.deepEqual([ends[0]?.status, ends[0]?.retryAfter], [503, '1'])
  await until(() => backend.held.length === 2, { what: 'both connections being used' })
  assert.equal(backend.connections.length, 2)
  await backend.held[0]!.send(OK) // one of those that wait gets the connection
  await until(() => backend.held.length === 3, { what: 'the first of the queue' })
  assert.equal(backend.connections.length, 2)
  await until(() => ends.length === 4, { what: 'the others of the queue being refused' })
  const late = ends.slice(2)
  assert.deepEqual(late.map(({ status, retryAfter }) => [status, retryAfter]), [[503, '1'], [503, '1']])
  t.diagnostic(`queue of 3, 600 ms: refused at once after ${ends[0]!.ms.toFixed(0)} ms, after waiting ${late.map(({ ms }) => ms.toFixed(0)).join(' and ')} ms`)
  assert.ok(ends[0]!.ms < 300 && late.every(({ ms }) => ms >= 600 && ms < 1200))
  for (const connection of backend.connections) await connection.send(OK)
  await Promise.all(all)
  assert.deepEqual(ends.map(({ status }) => status).sort(), [200, 200, 200, 503, 503, 503])
})

test('a client that leaves the queue leaves its place to the next', async () => {
  await using backend = await startHolding()
  await serve('leave.test', backend)
  const served = [get(serai.port, '/1', 'leave.test'), get(serai.port, '/2', 'leave.test')]
  await until(() => backend.held.length === 2, { what: 'both connections being used' })
  await using impatient = await connect(serai.port)
  impatient.get('/impatient', 'leave.test')
  await until(() => inFlight(serai, 'leave.test').then((count) => count === 3), { what: 'the third in the queue' })
  const patient = get(serai.port, '/patient', 'leave.test')
  await until(() => inFlight(serai, 'leave.test').then((count) => count === 4), { what: 'the fourth in the queue' })
  impatient.reset()
  await until(() => inFlight(serai, 'leave.test').then((count) => count === 3), { what: 'the third being gone' })
  await backend.held[0]!.send(OK)
  await until(() => backend.held.length === 3, { what: 'the fourth at the backend' })
  await backend.held[2]!.send(OK)
  await backend.held[1]!.send(OK)
  assert.equal((await patient).status, 200)
  await Promise.all(served)
  assert.deepEqual(backend.requests.map(({ target }) => target).sort(), ['/1', '/2', '/patient'])
})

async function inFlight({ ask }: Serai, host: string): Promise<number> {
  const { body } = await ask('/metrics')
  return Number(new RegExp(`serai_requests_in_flight\\{service="${host}@file/default"\\} (\\d+)`).exec(String(body))?.[1])
}

test('Keep-Alive: timeout=2 closes the connection a second before the upstream would', async (t) => {
  await using backend = await startBackend({ respond: 'HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2\r\nContent-Length: 2\r\n\r\nok' })
  await serve('keep.test', backend)
  await get(serai.port, '/', 'keep.test')
  const begun = performance.now()
  assert.equal(await backend.connections[0]!.closed, 'fin')
  const ms = performance.now() - begun
  t.diagnostic(`closed after ${ms.toFixed(0)} ms`)
  assert.ok(ms >= 1000 && ms < 1700, `${ms}`)
})

for (const field of ['Keep-Alive: timeout=1', 'Keep-Alive: timeout=0', 'Connection: close']) {
  test(`${field}: the connection is not used again`, async () => {
    await using backend = await startBackend({ respond: `HTTP/1.1 200 OK\r\n${field}\r\nContent-Length: 2\r\n\r\nok` })
    await serve('once.test', backend)
    for (let time = 0; time < 3; time++) assert.equal((await get(serai.port, '/', 'once.test')).status, 200)
    assert.equal(backend.connections.length, 3)
  })
}

test('a POST does not go over a connection that was idle for longer than a second, a GET does', async () => {
  await using backend = await startBackend()
  await serve('fresh.test', backend)
  await get(serai.port, '/', 'fresh.test')
  const due = performance.now() + 1300
  await until(() => performance.now() >= due, { what: '1.3 s to pass' })
  await get(serai.port, '/', 'fresh.test')
  assert.equal(backend.connections.length, 1)
  const again = performance.now() + 1300
  await until(() => performance.now() >= again, { what: '1.3 s to pass' })
  await using client = await connect(serai.port)
  client.send('POST / HTTP/1.1\r\nHost: fresh.test\r\nContent-Length: 0\r\n\r\n')
  assert.equal((await client.receiveResponse()).status, 200)
  assert.equal(backend.connections.length, 2)
})

test('when an endpoint leaves, its idle connections close at once and an exchange on it ends in its own time', async () => {
  await using backend = await startHolding()
  await using other = await startBackend()
  await serve('leaves.test', backend)
  const both = [get(serai.port, '/1', 'leaves.test'), get(serai.port, '/2', 'leaves.test')]
  await until(() => backend.held.length === 2, { what: 'two connections' })
  await backend.held[0]!.send(OK)
  await until(() => serai.accessLog.some(({ host, status }) => host === 'leaves.test' && status === 200), { what: 'one answer' })
  await serve('leaves.test', other)
  assert.equal(await backend.held[0]!.closed, 'fin')
  await backend.held[1]!.send(OK)
  assert.deepEqual((await Promise.all(both)).map(({ status }) => status), [200, 200])
  assert.equal(await backend.held[1]!.closed, 'fin')
  assert.equal((await get(serai.port, '/', 'leaves.test')).status, 200)
  assert.equal(other.requests.length, 1)
})

test('octets that nobody asked for close the connection, and are nobody\'s response', async () => {
  await using backend = await startBackend({
    async onRequest({ index }, connection) {
      await connection.send(OK)
      if (index === 0) await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison')
    },
  })
  await serve('surplus.test', backend)
  for (let time = 0; time < 5; time++) assert.equal((await get(serai.port, '/', 'surplus.test')).text, 'ok')
  assert.equal(backend.connections.length, 5)
})

test('a head that comes in two reads, the second with much of the body, is a good one', async () => {
  const body = 'x'.repeat(200_000)
  await using backend = await startBackend({
    async onRequest(_, connection) {
      await connection.send('HTTP/1.1 200 ')
      await until(() => connection.socket.writableLength === 0, { what: 'the first part leaving' })
      await new Promise((resolve) => setImmediate(resolve))
      await connection.send(`OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
    },
  })
  await serve('split.test', backend)
  for (let time = 0; time < 10; time++) assert.equal((await get(serai.port, '/', 'split.test')).bodyBytes, body.length)
})
