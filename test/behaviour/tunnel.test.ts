// After 101: octets both ways as they are, half-close and resets passed on, back-pressure, and the ends that a tunnel may have.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { startBackend, type Backend, type BackendConnection, type BackendOptions } from '#test/support/backend.ts'
import { connect, type Client } from '#test/support/client.ts'
import { startSerai, type LogRecord, type Serai } from '#test/support/serai.ts'
import { settled } from '#test/support/settled.ts'
import { until } from '#test/support/until.ts'

const ACCEPT = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: yes\r\n\r\n'

let serai: Serai
before(async () => {
  serai = await startSerai({ config: { workers: 2, tunnel: { idle: '2500ms', afterRemoval: '500ms' }, upstream: { head: '2s' } } })
})
after(() => serai[Symbol.asyncDispose]())

const serve = (host: string, backend: Backend, ...tags: string[]): Promise<void> =>
  serai.services([{ name: host, tags: [`serai.host=${host}`, ...tags], instances: [backend.address] }])

/** A backend that accepts every upgrade and leaves the connection to the test. */
function upgrading(opened: (connection: BackendConnection) => void = () => undefined): BackendOptions {
  return {
    record: false,
    async onHead(_, connection) {
      await connection.send(ACCEPT)
      opened(connection)
      return true
    },
  }
}

/** A client in a tunnel. */
async function open(host: string, port = serai.port): Promise<Client> {
  const client = await connect(port, { record: false })
  client.get('/chat', host, 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: x', 'Sec-WebSocket-Version: 13')
  const { status, headers } = await client.receiveHead()
  assert.deepEqual([status, headers.get('upgrade'), headers.get('sec-websocket-accept')], [101, 'websocket', 'yes'])
  return client
}

const recordOf = (host: string): Promise<LogRecord> => until(() => serai.accessLog.find((record) => record['host'] === host), { what: `the access record of ${host}` })
const gauge = async (name: string): Promise<number> => Number(new RegExp(`^${name}(?:\\{.*\\})? (\\d+)`, 'm').exec(String((await serai.ask('/metrics')).body))?.[1])

test('100 WebSockets echo 256 KiB each', async (t) => {
  await using backend = await startBackend(upgrading(({ socket }) => socket.pipe(socket)))
  await serve('echo.test', backend)
  const begun = performance.now()
  const clients = await Promise.all(Array.from({ length: 100 }, () => open('echo.test')))
  await until(async () => await gauge('serai_tunnels') === 100, { what: 'the gauge of tunnels' })
  await Promise.all(clients.map(async (client) => {
    const sent = randomBytes(256 * 1024)
    for (let at = 0; at < sent.length; at += 16 * 1024) client.send(sent.subarray(at, at + 16 * 1024))
    assert.ok(sent.equals(await client.receiveBytes(sent.length)))
    client.end()
    assert.equal(await client.closed, 'fin')
  }))
  t.diagnostic(`100 × 256 KiB there and back in ${(performance.now() - begun).toFixed(0)} ms`)
  const records = await until(() => {
    const all = serai.accessLog.filter(({ host }) => host === 'echo.test')
    return all.length === 100 && all
  }, { what: '100 access records' })
  assert.ok(records.every(({ status, reason, bytes_in: bytesIn, bytes_out: bytesOut }) => status === 101 && reason === undefined && bytesIn === 262_144 && bytesOut === 262_144))
  await until(async () => await gauge('serai_tunnels') === 0, { what: 'the gauge of tunnels back at 0' })
})

test('half-close, either way: the other direction goes on', async () => {
  const connections: BackendConnection[] = []
  await using backend = await startBackend(upgrading((connection) => connections.push(connection)))
  await serve('half.test', backend)
  await using first = await open('half.test')
  first.send('question')
  first.end()
  const server = await until(() => connections[0], { what: 'the connection' })
  assert.equal((await server.inbox.take(8, 'the question')).toString(), 'question')
  assert.equal(await server.closed, 'fin')
  await server.send('the answer comes after the end of the question')
  server.end()
  assert.equal((await first.receiveUntilClose()).toString(), 'the answer comes after the end of the question')

  await using second = await open('half.test')
  const other = await until(() => connections[1], { what: 'the second connection' })
  await other.send('last words')
  other.end()
  assert.equal((await second.receiveBytes(10)).toString(), 'last words')
  assert.equal(await second.closed, 'fin')
  second.send('but I go on')
  assert.equal((await other.inbox.take(11, 'what comes after')).toString(), 'but I go on')
  second.end()
  assert.equal(await other.closed, 'fin')
})

test('a reset on one side is a reset on the other, and says so in the log', async () => {
  const connections: BackendConnection[] = []
  await using backend = await startBackend(upgrading((connection) => connections.push(connection)))
  await serve('reset.test', backend)
  await using client = await open('reset.test')
  ;(await until(() => connections[0], { what: 'the connection' })).reset()
  assert.equal(await client.closed, 'reset')
  assert.equal((await recordOf('reset.test'))['reason'], 'upstream_reset')
  await serve('reset2.test', backend)
  await using other = await open('reset2.test')
  const server = await until(() => connections[1], { what: 'the connection' })
  other.reset()
  assert.equal(await server.closed, 'reset')
  assert.equal((await recordOf('reset2.test'))['reason'], 'client_abort')
})

test('a client that goes away before the 101 is a reset for the backend, which may have agreed already', async () => {
  const asked = Promise.withResolvers<BackendConnection>()
  await using backend = await startBackend({ record: false, onHead: (_, connection) => { asked.resolve(connection); return true } })
  await serve('early.test', backend)
  await using client = await connect(serai.port, { record: false })
  client.get('/chat', 'early.test', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: x', 'Sec-WebSocket-Version: 13')
  const connection = await asked.promise
  client.reset()
  assert.equal(await connection.closed, 'reset')
  assert.equal((await recordOf('early.test'))['reason'], 'client_abort')
})

test('a reset after a half-close leaves nothing open', async () => {
  const connections: BackendConnection[] = []
  await using backend = await startBackend(upgrading((connection) => connections.push(connection)))
  await serve('late.test', backend)
  await using client = await open('late.test')
  const server = await until(() => connections[0], { what: 'the connection' })
  server.end()
  assert.equal(await client.closed, 'fin')
  client.reset()
  await recordOf('late.test')
  await until(async () => await gauge('serai_tunnels') === 0 && await gauge('serai_connections') === 0, { what: 'everything being closed' })
})

test('octets that come together with the 101, either way, are not lost', async () => {
  await using backend = await startBackend({
    async onHead(_, connection) {
      await connection.send(`${ACCEPT}early`)
      await connection.send(await connection.inbox.take(5, 'what came with the request'))
      return true
    },
  })
  await serve('early.test', backend)
  await using client = await connect(serai.port)
  client.send('GET / HTTP/1.1\r\nHost: early.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhasty')
  assert.equal((await client.receiveHead()).status, 101)
  assert.equal((await client.receiveBytes(10)).toString(), 'earlyhasty')
})

for (const side of ['client', 'backend'] as const) {
  test(`a ${side} that does not read stops the other side, and gets everything in the end`, async (t) => {
    const connections: BackendConnection[] = []
    await using backend = await startBackend(upgrading((connection) => connections.push(connection)))
    await serve(`slow-${side}.test`, backend)
    await using client = await open(`slow-${side}.test`)
    const server = await until(() => connections[0], { what: 'the connection' })
    const [reader, writer] = side === 'client' ? [client.socket, server.socket] : [server.socket, client.socket]
    reader.pause()
    const piece = Buffer.alloc(1024 * 1024, 'x')
    let written = 0
    const pump = (): void => {
      while (written < 48) if (written++, !writer.write(piece)) return void writer.once('drain', pump)
    }
    pump()
    const stopped = await settled(() => written, 'the writer')
    const waiting = await gauge('serai_body_buffer_bytes')
    t.diagnostic(`stopped after ${stopped} of 48 MiB, ${waiting} octets wait in Serai`)
    assert.ok(stopped < 48 && waiting <= 128 * 1024)
    reader.resume()
    const received = (): number => (side === 'client' ? client.received : server.received)
    await until(() => received() >= 48 * piece.length, { what: 'all of it' })
    await until(async () => await gauge('serai_body_buffer_bytes') === 0, { what: 'nothing waiting' })
  })
}

test('a tunnel without an octet for tunnel.idle is closed; one that is used is not', async (t) => {
  await using backend = await startBackend(upgrading(({ socket }) => socket.pipe(socket)))
  await serve('idle.test', backend)
  await using idle = await open('idle.test')
  await using busy = await open('idle.test')
  const begun = performance.now()
  let closed = false
  const end = idle.closed.then((ending) => { closed = true; return ending })
  while (!closed) {
    busy.send('x')
    await busy.receiveBytes(1)
    await new Promise((resolve) => setImmediate(resolve))
  }
  const ms = performance.now() - begun
  assert.equal(await end, 'fin')
  t.diagnostic(`closed after ${ms.toFixed(0)} ms`)
  assert.ok(ms >= 2500 && ms < 3200)
  assert.equal((await recordOf('idle.test'))['reason'], 'tunnel_idle')
  busy.send('y')
  await busy.receiveBytes(1)
})

test('an endpoint that leaves: its tunnels go on for tunnel.afterRemoval', async (t) => {
  await using backend = await startBackend(upgrading(({ socket }) => socket.pipe(socket)))
  await using other = await startBackend()
  await serve('removed.test', backend)
  await using client = await open('removed.test')
  await serve('removed.test', other)
  const begun = performance.now()
  let closed = false
  void client.closed.then(() => { closed = true })
  let echoed = 0
  while (!closed) {
    client.send('x')
    await Promise.race([client.receiveBytes(1), client.closed])
    echoed++
    await new Promise((resolve) => setImmediate(resolve))
  }
  const ms = performance.now() - begun
  t.diagnostic(`${echoed} echoes after the removal, closed after ${ms.toFixed(0)} ms`)
  assert.ok(ms > 350 && ms < 1200 && echoed > 10)
  assert.equal((await recordOf('removed.test'))['reason'], 'endpoint_removed')
})

test('a limit on the whole exchange is none on a tunnel', async () => {
  await using backend = await startBackend(upgrading(({ socket }) => socket.pipe(socket)))
  await serve('total.test', backend, 'serai.timeout.total=200ms')
  await using client = await open('total.test')
  const due = performance.now() + 500
  while (performance.now() < due) {
    client.send('x')
    await client.receiveBytes(1)
  }
})

test('only websocket, unless the route lists more; what is not let through is asked for without its Upgrade', async () => {
  await using backend = await startBackend({
    async onHead({ headers }, connection) {
      const asked = headers.get('upgrade')
      await connection.send(asked === undefined ? 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain' : ACCEPT.replace('websocket', asked))
      return asked !== undefined
    },
  })
  const ask = async (protocol: string): Promise<number> => {
    await using client = await connect(serai.port)
    client.get('/', 'listed.test', 'Connection: Upgrade', `Upgrade: ${protocol}`)
    return (await client.receiveHead()).status
  }
  await serve('listed.test', backend)
  assert.deepEqual([await ask('websocket'), await ask('WebSocket'), await ask('spdy/3.1'), await ask('h2c')], [101, 101, 200, 200])
  await serve('listed.test', backend, 'serai.upgrade=spdy/3.1')
  assert.deepEqual([await ask('websocket'), await ask('spdy/3.1'), await ask('h2c')], [101, 101, 200])
})

test('an upgrade that the backend declines is an ordinary response; one to something else is 502', async () => {
  await using backend = await startBackend({
    onRequest: ({ target }, connection) => connection.send(target === '/no' ? 'HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno' : ACCEPT.replace('websocket', 'something')),
  })
  await serve('declined.test', backend)
  for (const [target, status] of [['/no', 426], ['/else', 502]] as const) {
    await using client = await connect(serai.port)
    client.get(target, 'declined.test', 'Connection: Upgrade', 'Upgrade: websocket')
    assert.equal((await client.receiveResponse()).status, status)
  }
})

test('drain waits for tunnels up to its deadline, and then closes them', async (t) => {
  await using backend = await startBackend(upgrading(({ socket }) => socket.pipe(socket)))
  await using own = await startSerai({
    services: [{ name: 'web', tags: ['serai.host=drain.test'], instances: [backend.address] }],
    config: { workers: 2, stop: { lameDuck: '0s', drain: '800ms' } },
  })
  await using client = await open('drain.test', own.port)
  await using leaving = await open('drain.test', own.port)
  const begun = performance.now()
  const stopped = own.stop()
  await until(() => own.logs.some(({ msg }) => msg === 'draining'), { what: 'the log to say so' })
  client.send('still there')
  assert.equal((await client.receiveBytes(11)).toString(), 'still there')
  leaving.end()
  await once(leaving.socket, 'end')
  await client.closed
  const ms = performance.now() - begun
  assert.equal(await stopped, 0)
  t.diagnostic(`closed ${ms.toFixed(0)} ms after SIGTERM, drain 800 ms`)
  assert.ok(ms >= 700 && ms < 2000)
  const records = own.accessLog.filter(({ host, status }) => host === 'drain.test' && status === 101)
  assert.deepEqual(records.map(({ reason }) => reason), [undefined, 'shutdown'])
})
