// Uploads that stall on every stream of many HTTP/2 connections: what is lent of windows to all of them has a bound, and others are served.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { service, startDataPlane, type DataPlane } from '#test/support/data-plane.ts'
import { connectHttp2, type RawHttp2 } from '#test/support/http2-client.ts'
import { frame, post, type } from '#test/support/http2-frames.ts'
import { bodyOf, startClient, startPairBackend, type PairBackend } from '#test/support/pairs.ts'
import { settled } from '#test/support/settled.ts'
import { until } from '#test/support/until.ts'

const MIB = 1024 * 1024
const CONNECTIONS = 12
const STREAMS = 128
const STREAM_WINDOW = 65_535
/** What a worker lends; beyond it each connection has its own mebibyte. */
const LENT = 64 * MIB

let plane: DataPlane
let web: PairBackend
/** Takes requests and opens no window for their bodies. */
let stuck: http2.Http2Server
let requests = 0
before(async () => {
  web = await startPairBackend('h1', async (request, response) => { response.end(String((await bodyOf(request)).length)) })
  stuck = http2.createServer({ settings: { initialWindowSize: 0 } })
  stuck.on('stream', (stream) => {
    requests++
    stream.on('error', () => undefined)
  })
  stuck.listen(0, '127.0.0.1')
  await once(stuck, 'listening')
  plane = await startDataPlane({ workers: 1, settings: (same) => ({ ...same, listeners: same.listeners.map((each) => ({ ...each, h2c: true })) }) })
  plane.publish([service('web', [web.address]), service('stuck', [`127.0.0.1:${(stuck.address() as AddressInfo).port}`], { scheme: 'h2c' })])
  await plane.settled()
})
after(async () => {
  await plane[Symbol.asyncDispose]()
  await web[Symbol.asyncDispose]()
  stuck.close()
})

const held = async (): Promise<number> => Number(/^serai_body_buffer_bytes(?:\{[^}]*\})? (\d+)/m.exec(await plane.metrics())?.[1])

/** A client that fills every stream that it may open, as far as windows let it. */
class Attacker {
  readonly client: RawHttp2
  sent = 0

  constructor(client: RawHttp2) {
    this.client = client
    for (let at = 0; at < STREAMS; at++) client.send(frame('HEADERS', 4, 1 + 2 * at, post('/', 'stuck.example.org')))
  }

  send(): void {
    const window = this.client.frames.reduce((sum, each) => sum + (each.type === type.WINDOW_UPDATE && each.id === 0 ? each.payload.readUInt32BE(0) : 0), 65_535)
    while (this.sent < STREAMS * STREAM_WINDOW && this.sent < window) {
      const [stream, at] = [Math.floor(this.sent / STREAM_WINDOW), this.sent % STREAM_WINDOW]
      const size = Math.min(16_384, STREAM_WINDOW - at, window - this.sent)
      this.client.send(frame('DATA', 0, 1 + 2 * stream, Buffer.alloc(size)))
      this.sent += size
    }
  }
}

test(`${CONNECTIONS} connections, each with ${STREAMS} uploads that nobody takes`, async (t) => {
  await using clients = new AsyncDisposableStack()
  const attackers = await Promise.all(Array.from({ length: CONNECTIONS }, async () => new Attacker(clients.use(await connectHttp2(plane.port)))))
  await until(() => requests === CONNECTIONS * STREAMS, { what: 'all of them at the service' })
  const sent = await settled(() => {
    for (const each of attackers) each.send()
    return attackers.reduce((sum, each) => sum + each.sent, 0)
  }, 'what they can send', { least: LENT, deadline: 20_000 })
  const waiting = await settled(held, 'what is held')
  t.diagnostic(`they sent ${(sent / MIB).toFixed(1)} MiB; ${(waiting / MIB).toFixed(1)} MiB held, with what is kept for a repeat`)
  assert.ok(sent <= LENT + CONNECTIONS * MIB, `${sent} octets were let in`)
  assert.ok(waiting <= 2 * sent, `${waiting} octets are held`)

  await using other = startClient('h2', plane.port)
  for (let at = 0; at < 5; at++) {
    const begun = performance.now()
    assert.equal((await other.ask({ method: 'POST', body: [Buffer.alloc(MIB)] }).answer).body.toString(), String(MIB))
    assert.ok(performance.now() - begun < 1000, 'another client is served at once')
  }
  assert.ok(attackers.every(({ client }) => client.closed === undefined))
  await clients.disposeAsync()
  await until(async () => await held() === 0, { what: 'nothing held of it' })
})
