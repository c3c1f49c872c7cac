// One HTTP/2 connection carries strangers: clients that read slowly, and services that take no uploads, stop nobody else on it.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, suite, test } from 'node:test'
import { connect, type Client } from '#test/support/client.ts'
import { service, startDataPlane, type DataPlane } from '#test/support/data-plane.ts'
import { connectHttp2, type RawHttp2 } from '#test/support/http2-client.ts'
import { frame, get, post, type, windowUpdate } from '#test/support/http2-frames.ts'
import { bodyOf, startClient, startPairBackend, type BackendRequest, type BackendResponse, type PairBackend, type Protocol } from '#test/support/pairs.ts'
import { settled } from '#test/support/settled.ts'
import { until } from '#test/support/until.ts'

const KIB = 1024
const SLOW = 40
/** Requests of one client connection, where it has HTTP/2. */
const STREAMS = 10
/** What a stream may hold, once it has been seen to keep up, and a turn of its client on its way out. */
const MOST_HELD = (256 + 64) * KIB
/** A busy machine takes its time; one who waits for a stranger waits for minutes. */
const BOUND_MS = 500

let plane: DataPlane
let backend: PairBackend
/** Takes requests, and none of their bodies. */
let stuck: PairBackend
/** Octets of bodies that the service has written, and could hand over. */
let written = 0

before(async () => {
  backend = await startPairBackend('h2', async (request, response) => {
    if (request.url === '/endless') await pour(request, response)
    else response.end(request.method === 'POST' ? String((await bodyOf(request)).length) : 'x'.repeat(KIB))
  })
  stuck = await startPairBackend('h2', () => undefined)
  plane = await startDataPlane({ workers: 1, settings: (same) => ({ ...same, listeners: same.listeners.map((each) => ({ ...each, h2c: true })), upstream: { ...same.upstream, connections: 1 } }) })
  plane.publish([service('web', [backend.address], { scheme: 'h2c' }), service('calls', [backend.address], { scheme: 'grpc' }), service('stuck', [stuck.address], { scheme: 'h2c' })])
  await plane.settled()
})
after(async () => {
  await plane[Symbol.asyncDispose]()
  await backend[Symbol.asyncDispose]()
  await stuck[Symbol.asyncDispose]()
})

const held = async (): Promise<number> => Number(/^serai_body_buffer_bytes(?:\{[^}]*\})? (\d+)/m.exec(await plane.metrics())?.[1])

/** A body that goes on for as long as it is taken. */
async function pour(request: BackendRequest, response: BackendResponse): Promise<void> {
  response.writeHead(200, { 'content-type': request.headers['content-type'] ?? 'text/plain' })
  const piece = Buffer.alloc(64 * KIB, 'x')
  const closed = once(response, 'close').then(() => true)
  for (let over = false; !over;) {
    written += piece.length
    if (!response.write(piece)) over = await Promise.race([once(response, 'drain').then(() => false), closed])
  }
}

/** Clients that ask for an endless body and read hardly any of it: `read` octets of each. */
type Slow = (read: number, host: string) => Promise<AsyncDisposable>

const slow: Readonly<Record<Protocol, Slow>> = {
  async h1(read, host) {
    const clients = new AsyncDisposableStack()
    await Promise.all(Array.from({ length: SLOW }, async () => {
      const client: Client = clients.use(await connect(plane.port, { record: false }))
      client.get('/endless', host)
      await client.receiveHead()
      await until(() => client.received > read, { what: 'the beginning of a body' })
      client.socket.pause()
    }))
    return clients
  },
  async h2(read, host) {
    const clients = new AsyncDisposableStack()
    await Promise.all(Array.from({ length: SLOW / STREAMS }, async () => {
      const client: RawHttp2 = clients.use(await connectHttp2(plane.port))
      const ask = host.startsWith('calls') ? post('/endless', host, ['content-type', 'application/grpc'], ['te', 'trailers']) : get('/endless', host)
      for (let at = 0; at < STREAMS; at++) client.send(frame('HEADERS', host.startsWith('calls') ? 4 : 5, 1 + 2 * at, ask))
      // It opens its windows for as many octets as it wants, and no further.
      const wanted = Math.max(0, read - 65_535)
      if (wanted > 0) client.send(windowUpdate(0, STREAMS * read - 65_535), ...Array.from({ length: STREAMS }, (_, at) => windowUpdate(1 + 2 * at, wanted)))
      await until(() => client.frames.reduce((sum, { type: kind, payload }) => sum + (kind === type.DATA ? payload.length : 0), 0) >= Math.max(65_535, STREAMS * read), { what: 'the beginning of all bodies', everyMs: 50 })
    }))
    return clients
  },
}

/** The 99th percentile of ordinary requests' times, of clients of either protocol. */
async function others(host: string): Promise<number> {
  const times: number[] = []
  for (const protocol of ['h1', 'h2'] as const) {
    await using client = startClient(protocol, plane.port)
    await Promise.all(Array.from({ length: 4 }, async () => {
      for (let at = 0; at < 50; at++) {
        const begun = performance.now()
        const { status, body } = await client.ask({ path: '/', host }).answer
        times.push(performance.now() - begun)
        assert.deepEqual([status, body.length], [200, KIB])
      }
    }))
  }
  times.sort((a, b) => a - b)
  return times[Math.floor(times.length * 0.99)]!
}

suite(`${SLOW} clients that read slowly: others get their answers on the same connection to the service`, () => {
  const cases: readonly { readonly name: string; readonly protocol: Protocol; readonly read: number; readonly host: string }[] = [
    { name: 'over HTTP/1.1', protocol: 'h1', read: 0, host: 'web.example.org' },
    { name: 'over HTTP/2', protocol: 'h2', read: 0, host: 'web.example.org' },
    { name: 'over HTTP/2, which read fast before, so that windows have grown', protocol: 'h2', read: 512 * KIB, host: 'web.example.org' },
    { name: 'over HTTP/2, of streams of gRPC', protocol: 'h2', read: 100 * KIB, host: 'calls.example.org' },
  ]
  for (const { name, protocol, read, host } of cases) {
    test(name, async (t) => {
      await using clients = await slow[protocol](read, host)
      assert.ok(clients)
      await settled(() => written, 'the service', { deadline: 20_000 })
      const waiting = await settled(held, 'what is held')
      const { connections } = backend
      const p99 = await others(host)
      assert.equal(backend.connections, connections, 'on the same connection to the service')
      t.diagnostic(`${waiting / KIB / SLOW} KiB held of each; others: p99 ${p99.toFixed(1)} ms`)
      assert.ok(waiting >= SLOW * 60 * KIB, `${waiting} octets wait: are they slow?`)
      assert.ok(waiting <= SLOW * MOST_HELD, `${waiting} octets wait`)
      assert.ok(p99 < BOUND_MS, `p99 ${p99} ms`)
      await clients[Symbol.asyncDispose]()
      await until(async () => await held() === 0, { what: 'nothing to wait any more' })
    })
  }
})

test('100 uploads that their service does not take: the next one on the same connection of the client goes through at once', async (t) => {
  await using client = startClient('h2', plane.port)
  await client.ask({}).answer
  const stalled = Array.from({ length: 100 }, () => client.ask({ method: 'POST', host: 'stuck.example.org', body: [Buffer.alloc(512 * KIB)] }))
  const waiting = await settled(held, 'what is held', { least: stalled.length * 64 * KIB })
  const times: number[] = []
  for (let at = 0; at < 10; at++) {
    const begun = performance.now()
    const { body } = await client.ask({ method: 'POST', body: [Buffer.alloc(1024 * KIB)] }).answer
    times.push(performance.now() - begun)
    assert.equal(body.toString(), String(1024 * KIB))
  }
  times.sort((a, b) => a - b)
  t.diagnostic(`${waiting / KIB / stalled.length} KiB held of each; 1 MiB goes through in ${times[5]!.toFixed(0)} ms, at worst in ${times[9]!.toFixed(0)} ms`)
  assert.ok(times[9]! < 2 * BOUND_MS, `${times[9]} ms`)
  for (const each of stalled) each.abort()
  await until(async () => await held() === 0, { what: 'nothing to wait any more' })
})
