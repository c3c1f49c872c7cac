// Clients that go away share a connection to their service with strangers: what servers of HTTP/2 do about many resets must not hit those.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { service, startDataPlane } from '#test/support/data-plane.ts'
import { connectHttp2 } from '#test/support/http2-client.ts'
import { frame, get, post, rst } from '#test/support/http2-frames.ts'
import { until } from '#test/support/until.ts'

/** What a server bears on one connection, as Netty's default has it: 200 in 30 seconds. */
const BORNE = { streamResetBurst: 200, streamResetRate: 7 }
/** Of one client: fewer than we bear. */
const RESETS = 150
const CLIENTS = 5

test('requests that clients reset by the hundred, as many as each may: a POST of somebody else, on the same connection at first, is answered', async () => {
  const gate = Promise.withResolvers<void>()
  let seen = 0
  const sessions: http2.ServerHttp2Session[] = []
  const server = http2.createServer(BORNE, (request, response) => {
    seen++
    request.on('error', () => undefined)
    if (request.url === '/wait') void gate.promise.then(() => response.end('done'))
  })
  server.on('session', (session) => {
    sessions.push(session)
    session.on('error', () => undefined)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  await using plane = await startDataPlane({ workers: 1, settings: (same) => ({ ...same, upstream: { ...same.upstream, keepAliveMs: 60_000 }, listeners: same.listeners.map((each) => ({ ...each, h2c: true })) }) })
  try {
    plane.publish([service('web', [`127.0.0.1:${(server.address() as AddressInfo).port}`], { scheme: 'h2c' })])
    await plane.settled()
    await using bystander = await connectHttp2(plane.port)
    bystander.send(frame('HEADERS', 5, 1, post('/wait', 'web.example.org')))
    await until(() => seen === 1, { what: 'the POST to arrive' })
    for (let each = 0; each < CLIENTS; each++) {
      await using client = await connectHttp2(plane.port)
      for (let at = 0; at < RESETS; at++) client.send(frame('HEADERS', 5, 1 + 2 * at, get('/gone', 'web.example.org')), rst(1 + 2 * at, 8))
      client.send(frame('HEADERS', 5, 2 * RESETS + 1, get('/last', 'web.example.org')))
      const before = seen
      await until(() => seen > before || bystander.heads.has(1), { what: 'some of them to arrive' })
    }
    const answered = bystander.over(1)
    gate.resolve()
    assert.equal(await answered, -1)
    assert.equal(bystander.heads.get(1)?.[0]?.[':status'], '200')
    await until(() => sessions.filter((session) => !session.destroyed).length <= 1, { what: 'the connections that were left to end' })
    assert.ok(sessions.length < CLIENTS * RESETS / 20, `${sessions.length} connections`)
  } finally {
    for (const session of sessions) session.destroy()
    server.close()
  }
})
