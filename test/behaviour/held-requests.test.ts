// When all endpoints of a service are replaced in one moment, as a canary's promotion does, requests wait for the table that names the new ones.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startBackend } from '#test/support/backend.ts'
import { connect, get } from '#test/support/client.ts'
import type { Client } from '#test/support/client.ts'
import { service, startDataPlane } from '#test/support/data-plane.ts'
import type { DataPlane } from '#test/support/data-plane.ts'
import { until } from '#test/support/until.ts'

const HOST = 'web.example.org'
const POST = `POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 4\r\n\r\nbody`

/** Until so many attempts have found nobody listening. */
const refused = (plane: DataPlane, count: number): Promise<unknown> =>
  until(async () => Number(/attempts_total\{service="web@test\/default",result="connect_failed"\} (\d+)/.exec(await plane.metrics())?.[1] ?? 0) >= count, { what: `${count} refused connections` })

const inFlight = (plane: DataPlane, count: number): Promise<unknown> =>
  until(async () => (await plane.metrics()).includes(`serai_requests_in_flight{service="web@test/default"} ${count}\n`), { what: `${count} requests in flight` })

interface Replaced extends AsyncDisposable {
  readonly plane: DataPlane
  /** `count` endpoints that have answered and are dead now, though the table still names them. */
  die(count: number): Promise<void>
  /** The table says that the instances have vanished. */
  vanish(): Promise<void>
  /** The table names a living one instead. */
  replace(): Promise<void>
}

async function startReplaced(): Promise<Replaced> {
  const stack = new AsyncDisposableStack()
  const plane = stack.use(await startDataPlane({ workers: 1 }))
  const next = stack.use(await startBackend({ respond: 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext' }))
  const named = service('web', [])
  return {
    plane,
    async die(count) {
      const old = await Promise.all(Array.from({ length: count }, () => startBackend()))
      plane.publish([service('web', old.map(({ address }) => address), { slot: named.slot })])
      await plane.settled()
      assert.equal((await get(plane.port, '/', HOST)).text, 'ok')
      for (const each of old) await each.kill()
    },
    async vanish() {
      plane.publish([{ ...named, routes: named.routes.map((route) => ({ ...route, refuse: 'vanished' })) }])
      await plane.settled()
    },
    async replace() {
      plane.publish([service('web', [next.address], { slot: named.slot })])
      await plane.settled()
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

async function begin(plane: DataPlane, request: string): Promise<Client> {
  const client = await connect(plane.port)
  client.send(request)
  return client
}

for (const [count, name, request] of [[2, 'a GET', `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`], [6, 'a GET with more dead ones than attempts', `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`], [2, 'a POST that nobody has taken', POST]] as const) {
  test(`${name} waits for the table that names another, and is answered by it`, async () => {
    await using replaced = await startReplaced()
    const { plane } = replaced
    await replaced.die(count)
    await using client = await begin(plane, request)
    await refused(plane, Math.min(count, 3))
    await replaced.replace()
    assert.equal((await client.receiveResponse()).text, 'next')
  })
}

test('instances that vanish before their successors are known: the same', async () => {
  await using replaced = await startReplaced()
  const { plane } = replaced
  await replaced.die(1)
  await replaced.vanish()
  await using client = await begin(plane, `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`)
  await inFlight(plane, 1)
  await replaced.replace()
  assert.equal((await client.receiveResponse()).text, 'next')
})

test('a request that began under an older table goes on under the present one', async () => {
  await using old = await startBackend({ onRequest: () => new Promise(() => undefined) })
  await using next = await startBackend({ respond: 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext' })
  await using plane = await startDataPlane({ workers: 1 })
  const before = service('web', [old.address])
  plane.publish([before])
  await plane.settled()
  await using client = await begin(plane, `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`)
  await until(() => old.requests.length === 1, { what: 'the request at the old one' })
  plane.publish([service('web', [next.address], { slot: before.slot })])
  await plane.settled()
  await old.kill()
  assert.equal((await client.receiveResponse()).text, 'next')
})

test('a table that changes for others lets it wait on; without a successor it is answered in half a second, and what comes later at once', async () => {
  await using replaced = await startReplaced()
  const { plane } = replaced
  await replaced.die(2)
  const begun = performance.now()
  await using client = await begin(plane, `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`)
  await refused(plane, 2)
  plane.publish([service('other', ['127.0.0.1:1'])])
  await plane.settled()
  assert.equal((await client.receiveResponse()).status, 502)
  const waited = performance.now() - begun
  assert.ok(waited >= 490 && waited < 3000, `${waited} ms`)
  // Once it has not answered for a second it is not about to be replaced.
  await until(async () => {
    const from = performance.now()
    assert.equal((await get(plane.port, '/', HOST)).status, 502)
    return performance.now() - from < 250
  }, { what: 'an answer at once' })
})

test('who goes away while waiting is forgotten', async () => {
  await using replaced = await startReplaced()
  const { plane } = replaced
  await replaced.die(1)
  const client = await begin(plane, POST)
  await refused(plane, 1)
  client.reset()
  await until(async () => /serai_client_aborts_total 1/.test(await plane.metrics()), { what: 'the abort' })
  await replaced.replace()
  assert.equal((await get(plane.port, '/', HOST)).text, 'next')
  await inFlight(plane, 0)
})
