// The HTTP/2 connections to a service: how many requests each is given, when a dead one is given up, and that nothing is sent on one that has failed.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { test } from 'node:test'
import type { DataPlaneSettings } from '#src/snapshot.ts'
import { service, startDataPlane } from '#test/support/data-plane.ts'
import { startFrameService } from '#test/support/frame-service.ts'
import { block, frame, rst, settings, word } from '#test/support/http2-frames.ts'
import { startClient, type PairClient } from '#test/support/pairs.ts'
import { until } from '#test/support/until.ts'

const REFUSED_STREAM = 7

const ok = (id: number, socket: Socket): void => void socket.write(frame('HEADERS', 5, id, block([[':status', '200']])))

/** A worker that serves `addresses` over h2c, and a client of it. */
async function start(addresses: readonly string[], upstream: Partial<DataPlaneSettings['upstream']> = {}, headTimeoutMs = 10_000): Promise<{ readonly client: PairClient; metrics(): Promise<string> } & AsyncDisposable> {
  const plane = await startDataPlane({ workers: 1, settings: (same) => ({ ...same, upstream: { ...same.upstream, ...upstream } }) })
  const web = service('web', addresses, { scheme: 'h2c' })
  plane.publish([{ ...web, routes: web.routes.map((route) => ({ ...route, policy: { ...route.policy, headTimeoutMs } })) }])
  await plane.settled()
  const client = startClient('h1', plane.port)
  return {
    client,
    metrics: () => plane.metrics(),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]()
      await plane[Symbol.asyncDispose]()
    },
  }
}

const post = async (client: PairClient, path: string): Promise<number> => (await client.ask({ method: 'POST', path, headers: { 'content-length': '3' }, body: [Buffer.from('pay')] }).answer).status
const counted = (statuses: readonly number[]): Record<string, number> => Object.fromEntries(Object.entries(Object.groupBy(statuses, String)).map(([status, those]) => [status, those!.length]))

test('a burst of POSTs to a cold service that takes 10 at once on a connection: each is answered, each arrives once, on as few connections as that takes', async (t) => {
  let served = 0
  let connections = 0
  const server = http2.createServer({ settings: { maxConcurrentStreams: 10 } }, (request, response) => {
    served++
    request.resume().on('end', () => void response.end('ok'))
  })
  server.on('session', () => connections++)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    await using started = await start([`127.0.0.1:${(server.address() as AddressInfo).port}`])
    const statuses = await Promise.all(Array.from({ length: 60 }, (_, at) => post(started.client, `/${at}`)))
    assert.deepEqual(counted(statuses), { 200: 60 })
    assert.equal(served, 60)
    assert.ok(connections <= 7, `${connections} connections`)
    t.diagnostic(`60 POSTs at once, 10 streams a connection: ${served} arrived over ${connections} connections`)
  } finally {
    server.close()
  }
})

test('a request waits for the SETTINGS of a new connection, and one that says none in time was never asked', async () => {
  await using mute = await startFrameService(ok, () => undefined)
  await using fine = await startFrameService(ok)
  await using started = await start([mute.address, fine.address], { connectMs: 300 })
  assert.deepEqual(counted(await Promise.all(Array.from({ length: 20 }, (_, at) => post(started.client, `/${at}`)))), { 200: 20 })
  assert.deepEqual(mute.requests, [])
  assert.equal(fine.requests.length, 20)
})

test('a refused stream is not the failure of its endpoint: a single one is asked again', async () => {
  const held: number[] = []
  let refused = 0
  await using refusing = await startFrameService((id, socket) => {
    // Its SETTINGS do not say so, but it takes 3 at once.
    if (refused > 0 || held.length < 3) held.push(id)
    else if (++refused) socket.write(rst(id, REFUSED_STREAM))
    if (refused > 0) for (const each of held.splice(0)) ok(each, socket)
  })
  await using started = await start([refusing.address], { connections: 1 })
  const statuses = await Promise.all(Array.from({ length: 4 }, (_, at) => post(started.client, `/${at}`)))
  assert.deepEqual([counted(statuses), refused, refusing.sockets.length], [{ 200: 4 }, 1, 1])
})

test('a connection that went dead is given up while requests keep coming, and takes none until it has answered a PING', async (t) => {
  const dead = new Set<number>()
  await using half = await startFrameService((id, socket, connection) => {
    if (dead.has(connection)) return
    if (connection === 0) dead.add(0) // it answers once; then it is as if the machine behind it had gone
    ok(id, socket)
  })
  await using started = await start([half.address], {}, 500)
  const { client } = started
  const ask = async (): Promise<number> => (await client.ask({ path: '/' }).answer).status
  assert.equal(await ask(), 200)
  const first = half.sockets[0]!
  let closed = false
  first.on('close', () => { closed = true })
  assert.equal(await ask(), 504)
  const begun = performance.now()
  let asked = 0
  // Each request takes its time; they never stop.
  await until(async () => {
    assert.equal(await ask(), 200)
    asked++
    return closed
  }, { what: 'the dead connection to be closed', deadline: 8000, everyMs: 100 })
  assert.equal(half.sockets.length, 2)
  t.diagnostic(`closed ${Math.round(performance.now() - begun)} ms after the first request without answer; ${asked} requests were answered meanwhile, by another connection`)
})

test('nothing is sent on a connection whose session has failed: a POST that waited arrives once', async () => {
  await using service = await startFrameService((id, socket, connection) => {
    if (connection > 0) ok(id, socket)
  }, (socket) => void socket.write(settings([3, 2])))
  await using started = await start([service.address], { connections: 1 })
  const { client } = started
  const running = [post(client, '/running/1'), post(client, '/running/2')]
  await until(() => service.requests.length === 2, { what: 'two requests at the service' })
  const waiting = post(client, '/waits')
  const other = post(client, '/waits-too')
  await until(async () => /^serai_requests_in_flight\{[^}]*\} 4$/m.test(await started.metrics()), { what: 'four requests, of which two wait' })
  service.sockets[0]!.write(frame('PUSH_PROMISE', 4, 1, Buffer.concat([word(2), block([[':method', 'GET']])])))
  assert.deepEqual(await Promise.all([...running, waiting, other]), [502, 502, 200, 200])
  assert.deepEqual(service.requests.filter((line) => line.includes('waits')), ['1: POST /waits', '1: POST /waits-too'])
})

test('requests that wait are all let go on as soon as there is room', async (t) => {
  const sessions: http2.ServerHttp2Session[] = []
  const held: http2.Http2ServerResponse[] = []
  const server = http2.createServer((request, response) => {
    request.resume()
    held.push(response)
  })
  server.on('session', (session) => sessions.push(session))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    await using started = await start([`127.0.0.1:${(server.address() as AddressInfo).port}`], { connections: 1 })
    const all = Array.from({ length: 180 }, async () => (await started.client.ask({ path: '/' }).answer).status)
    await until(() => held.length === 100, { what: 'as many requests as one connection takes' })
    // It takes no more: a new one is opened, and those that waited find room on it together, though nothing has been answered.
    sessions[0]!.goaway(0, 2 ** 31 - 1)
    await until(() => held.length === 180, { what: 'those that waited, at the service' })
    t.diagnostic(`80 that waited came at once, over ${sessions.length} connections`)
    for (const response of held) response.end('ok')
    assert.deepEqual(counted(await Promise.all(all)), { 200: 180 })
  } finally {
    for (const session of sessions) session.destroy()
    server.close()
  }
})

test('answers of no announced length that come in one piece, to clients of HTTP/1.1: framing one as chunks leaves the next as it is', async () => {
  const held: number[] = []
  const lengths = [1, 15, 16, 200, 4096]
  const answerAll = (socket: Socket, padding: number): void => void socket.write(Buffer.concat(held.splice(0).flatMap((id, at) => [
    frame('HEADERS', 4, id, block([[':status', '200']])),
    padding === 0 ? frame('DATA', 1, id, 'x'.repeat(lengths[at]!)) : frame('DATA', 9, id, Buffer.concat([Buffer.from([padding - 1]), Buffer.alloc(lengths[at]!, 'x'), Buffer.alloc(padding - 1)])),
  ])))
  for (const padding of [0, 1, 4]) {
    await using together = await startFrameService((id, socket) => {
      if (held.push(id) === lengths.length) answerAll(socket, padding)
    })
    await using started = await start([together.address], { connections: 1 })
    const answers = await Promise.all(lengths.map((_, at) => started.client.ask({ path: `/${at}` }).answer))
    assert.deepEqual(answers.map(({ status, body }) => [status, body.length]).sort(), lengths.map((length) => [200, length]).sort(), `padding ${padding}`)
    assert.equal(together.sockets.length, 1)
  }
})
