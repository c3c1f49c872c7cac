// One of two backends misbehaves: no GET fails whose response had not begun, and no POST ever arrives twice.
import assert from 'node:assert/strict'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { after, before, test, type TestContext } from 'node:test'
import { startBackend, type Backend, type BackendOptions } from '#test/support/backend.ts'
import { connect } from '#test/support/client.ts'
import { describeLoad, quantile, runLoad, type LoadResult } from '#test/support/closed-loop.ts'
import { startSerai, type Serai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'

const HEAD_TIMEOUT_MS = 1000
const LOAD_MS = 800
const ASKED = 16

let serai: Serai
before(async () => {
  serai = await startSerai({ config: { workers: 2, upstream: { head: `${HEAD_TIMEOUT_MS}ms`, connect: '500ms' }, log: { access: { target: 'off' } } } })
})
after(() => serai[Symbol.asyncDispose]())

/** A free port that nobody listens on. */
async function deadAddress(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return `127.0.0.1:${port}`
}

/** GETs and POSTs at the same time, to a service of these two. */
async function load(host: string, addresses: readonly string[]): Promise<{ readonly gets: LoadResult; readonly posts: LoadResult }> {
  await serai.services([{ name: host, tags: [`serai.host=${host}`], instances: addresses }])
  const common = { port: serai.port, host, forMs: LOAD_MS }
  const [gets, posts] = await Promise.all([
    runLoad({ ...common, connections: 16 }),
    runLoad({ ...common, connections: 4, request: (number) => `POST /${number} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 5\r\n\r\nhello` }),
  ])
  return { gets, posts }
}

const postsAt = (...backends: readonly Backend[]): string[] => backends.flatMap(({ requests }) => requests).filter(({ method }) => method === 'POST').map(({ target }) => target)

function report(t: TestContext, { gets, posts }: { readonly gets: LoadResult; readonly posts: LoadResult }, ...backends: readonly Backend[]): void {
  const arrived = postsAt(...backends)
  t.diagnostic(`GETs ${describeLoad(gets)}`)
  t.diagnostic(`POSTs ${describeLoad(posts)}; ${arrived.length} arrived, ${arrived.length - new Set(arrived).size} of them twice`)
  assert.equal(new Set(arrived).size, arrived.length, 'a POST arrived twice')
  assert.ok(gets.requests > 100, `only ${gets.requests} GETs: that shows nothing`)
}

const good = (): Promise<Backend> => startBackend({ record: false })

let healthyP99 = Number.NaN
test('both are well (for comparison)', async (t) => {
  await using one = await good()
  await using two = await good()
  const result = await load('well.test', [one.address, two.address])
  report(t, result, one, two)
  assert.equal(result.gets.failed + result.posts.failed, 0)
  healthyP99 = quantile(result.gets.latencies, 0.99)
})

test('one is dead', async (t) => {
  await using one = await good()
  const result = await load('dead.test', [one.address, await deadAddress()])
  report(t, result, one)
  assert.equal(result.gets.failed + result.posts.failed, 0)
})

const broken: readonly { readonly name: string; readonly options: BackendOptions }[] = [
  { name: 'resets every request', options: { onRequest: (_, connection) => connection.reset() } },
  { name: 'closes every request without an answer', options: { onRequest: (_, connection) => connection.end() } },
  { name: 'accepts and closes at once', options: { onConnection: (connection) => connection.end() } },
  { name: 'accepts and resets at once', options: { onConnection: (connection) => connection.reset() } },
  {
    name: 'answers every second request and then resets',
    options: { onRequest: async ({ index }, connection) => (index === 0 ? connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok') : connection.reset()) },
  },
]
for (const [number, { name, options }] of broken.entries()) {
  test(`one ${name}`, async (t) => {
    await using one = await good()
    await using other = await startBackend({ record: false, ...options })
    const result = await load(`broken-${number}.test`, [one.address, other.address])
    report(t, result, one, other)
    assert.equal(result.gets.failed, 0)
    // A POST that was sent is not repeated: those fail, and no others.
    assert.ok([...result.posts.statuses.keys()].every((status) => status === 200 || status === 502))
    assert.ok(result.posts.failed <= postsAt(other).length + other.connections.length)
  })
}

test('one hangs: only those fail that wait for it', async (t) => {
  await using one = await good()
  await using other = await startBackend({ record: false, onRequest: () => undefined })
  const result = await load('hang.test', [one.address, other.address])
  report(t, result, one, other)
  const waited = other.requests.length
  const p99 = quantile(result.gets.latencies, 0.99)
  t.diagnostic(`${result.gets.failed + result.posts.failed} failed, ${waited} had reached the one that hangs; p99 of the others ${p99.toFixed(1)} ms, without it ${healthyP99.toFixed(1)} ms`)
  assert.equal(result.gets.failed + result.posts.failed, waited)
  assert.deepEqual([...result.gets.statuses.keys()].sort(), [200, 504])
  assert.ok(waited <= 40, `${waited} requests waited`)
  assert.ok(p99 <= 2 * healthyP99 + 5, `p99 ${p99} ms, without ${healthyP99} ms`)
})

test('one answers a byte a second: nobody fails, and few wait', async (t) => {
  await using one = await good()
  await using other = await startBackend({
    record: false,
    async onRequest(_, connection) {
      await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n')
      for (let sent = 0; sent < 3; sent++) {
        const due = performance.now() + 1000
        await until(() => performance.now() >= due, { what: 'a second to pass' })
        await connection.send('x')
      }
    },
  })
  const result = await load('drip.test', [one.address, other.address])
  report(t, result, one, other)
  assert.equal(result.gets.failed + result.posts.failed, 0)
  assert.ok(quantile(result.gets.latencies, 0.9) < 500, 'most must not wait')
})

test('one is killed and restarted in a loop', async (t) => {
  await using one = await good()
  const lives: Backend[] = [await good()]
  const { port, address } = lives[0]!
  let running = true
  const cycle = (async () => {
    for (let life = 0; running; life++) {
      const next = performance.now() + 60
      await until(() => performance.now() >= next, { what: '60 ms to pass' })
      if (life % 2 === 0) await lives.at(-1)!.kill()
      else lives.push(await startBackend({ record: false, port }))
    }
  })()
  const result = await load('restart.test', [one.address, address])
  running = false
  await cycle
  await lives.at(-1)!.kill()
  report(t, result, one, ...lives)
  t.diagnostic(`killed ${lives.length} times, ${lives.reduce((sum, { requests }) => sum + requests.length, 0)} requests reached it`)
  assert.ok(lives.length > 3)
  assert.equal(result.gets.failed, 0)
  assert.ok([...result.posts.statuses.keys()].every((status) => status === 200 || status === 502))
})

test('bodies within 64 KiB go with the repeat, larger ones are not repeated', async (t) => {
  await using one = await startBackend({ record: false })
  await using other = await startBackend({ record: false, onRequest: (_, connection) => connection.reset() })
  await serai.services([{ name: 'bodies', tags: ['serai.host=bodies.test', 'serai.balance=rr'], instances: [one.address, other.address] }])
  const put = async (body: string, chunked: boolean): Promise<number> => {
    await using client = await connect(serai.port)
    const framing = chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`
    client.send(`PUT /${body.length} HTTP/1.1\r\nHost: bodies.test\r\n${framing}\r\n\r\n`)
    await client.sendAll(chunked ? `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n` : body)
    return (await client.receiveResponse()).status
  }
  const sizes = [1, 1000, 10_000, 60_000]
  for (let round = 0; round < 3; round++) {
    for (const size of sizes) for (const chunked of [false, true]) assert.equal(await put('x'.repeat(size), chunked), 200, `${size} ${chunked}`)
  }
  assert.ok(other.requests.length > 0, 'the broken one was never asked')
  const asked = other.requests.length
  await using fresh = await startBackend({ record: false, onRequest: (_, connection) => connection.reset() }) // not ejected yet
  await serai.services([{ name: 'bodies', tags: ['serai.host=bodies.test', 'serai.balance=rr'], instances: [one.address, fresh.address] }])
  const large: number[] = []
  for (let round = 0; round < 8; round++) large.push(await put('x'.repeat(300_000), false))
  t.diagnostic(`24 PUTs up to 60 KB: all 200, ${asked} asked of the broken one; 300 KB: ${large.join(' ')}`)
  assert.equal(large.filter((status) => status === 502).length, fresh.requests.length)
  assert.ok(fresh.requests.length > 0 && large.every((status) => status === 200 || status === 502))
  assert.ok(one.requests.every(({ bodyBytes, target }) => `/${bodyBytes}` === target), 'a body arrived changed')
})

test(`never the same endpoint twice: ${ASKED} GETs to three broken ones ask each once`, async () => {
  const options: BackendOptions = { record: false, onRequest: (_, connection) => connection.reset() }
  await using one = await startBackend(options)
  await using two = await startBackend(options)
  await using three = await startBackend(options)
  const all = [one, two, three]
  await serai.services([{ name: 'three', tags: ['serai.host=three.test'], instances: all.map(({ address }) => address) }])
  for (let number = 0; number < ASKED; number++) {
    await using client = await connect(serai.port)
    client.get(`/${number}`, 'three.test')
    assert.equal((await client.receiveResponse()).status, 502)
    const asked = all.map(({ requests }) => requests.filter(({ target }) => target === `/${number}`).length)
    assert.deepEqual(asked, [1, 1, 1])
  }
})
