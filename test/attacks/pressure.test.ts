// Pressure without malformed octets: slow, silent, greedy and many clients; the others do not notice, and memory has a bound.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { platform } from 'node:os'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { startBackend } from '#test/support/backend.ts'
import { connect, get } from '#test/support/client.ts'
import type { Client } from '#test/support/client.ts'
import type { Serai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'
import type { Flood } from './flood.ts'
import { HOST, openArena } from './arena.ts'

const KIB = 1024
const residentBytes = (pid: number): number => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) * KIB
const metric = async (serai: Serai, name: string): Promise<number> =>
  [...String((await serai.ask('/metrics')).body).matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].reduce((sum, [, value]) => sum + Number(value), 0)

/** Opens many connections, a hundred at a time. */
async function openMany(serai: Serai, count: number): Promise<Client[] & AsyncDisposable> {
  const clients: Client[] = []
  while (clients.length < count) {
    const size = Math.min(100, count - clients.length)
    clients.push(...await Promise.all(Array.from({ length: size }, (_, index) => connect(serai.port, { record: false, deadline: 10_000, localAddress: `127.0.0.${2 + (index % 50)}` }))))
  }
  return Object.assign(clients, { async [Symbol.asyncDispose]() { await Promise.all(clients.map((client) => client[Symbol.asyncDispose]())) } })
}

/** Requests one after the other for `ms`; the 99th percentile of their times, and how many were not answered with 200. */
async function ask(serai: Serai, ms: number): Promise<{ readonly p99: number; readonly errors: number; readonly count: number }> {
  const times: number[] = []
  let errors = 0
  const end = performance.now() + ms
  await Promise.all(Array.from({ length: 4 }, async () => {
    await using client = await connect(serai.port, { record: false })
    while (performance.now() < end) {
      const begun = performance.now()
      client.get('/', HOST)
      const status = await client.receiveResponse().then((response) => response.status, () => 0)
      times.push(performance.now() - begun)
      if (status !== 200) errors++
      if (status === 0) return
    }
  }))
  times.sort((a, b) => a - b)
  return { p99: times[Math.floor(times.length * 0.99)] ?? 0, errors, count: times.length }
}

test('eight hundred half heads are gone after client.head, and others are served meanwhile', async (t) => {
  await using arena = await openArena({}, { config: { client: { head: '500ms' } } })
  await using clients = await openMany(arena.serai, 800)
  const begun = performance.now()
  for (const client of clients) client.send('GET / HTTP/1.1\r\nHost: a.exam')
  // One octet now and then does not buy time.
  await until(() => performance.now() - begun > 300, { what: '300 ms' })
  for (const client of clients) client.send('p')
  const [served] = await Promise.all([ask(arena.serai, 400), ...clients.map((client) => client.closed)])
  const took = performance.now() - begun
  t.diagnostic(`800 half heads gone after ${took.toFixed(0)} ms (client.head 500 ms); ${served.count} requests of others, ${served.errors} errors, p99 ${served.p99.toFixed(1)} ms`)
  assert.equal(served.errors, 0)
  assert.ok(took < 2500, `${took} ms`)
  assert.equal(arena.backend.requests.filter(({ target }) => target !== '/').length, 0)
})

test('bodies that do not come are given up after client.body, and their upstreams are free again', async (t) => {
  await using arena = await openArena({}, { config: { client: { body: '400ms' } } })
  await using clients = await openMany(arena.serai, 200)
  const begun = performance.now()
  for (const client of clients) client.send(`POST /slow HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 1000\r\n\r\nx`)
  const statuses = await Promise.all(clients.map(async (client) => (await client.receiveResponse()).status))
  t.diagnostic(`200 slow bodies given up after ${(performance.now() - begun).toFixed(0)} ms (client.body 400 ms)`)
  assert.deepEqual(new Set(statuses), new Set([408]))
  assert.ok(arena.backend.connections.length > 0)
  await until(() => arena.backend.connections.every(({ socket }) => socket.destroyed || socket.readableEnded), { what: 'their upstream connections being closed' })
  assert.equal((await get(arena.serai.port, '/', HOST)).status, 200)
})

test('clients that do not read hold a bounded part of a large body, and are cut after client.body', { skip: platform() === 'linux' ? false : 'reads /proc' }, async (t) => {
  const large = Buffer.alloc(20_000_000, 'x')
  large.write(`HTTP/1.1 200 OK\r\nContent-Length: ${large.length - 100}\r\nX: `.padEnd(96, 'x') + '\r\n\r\n')
  await using backend = await startBackend({ record: false, onRequest: async ({ target }, connection) => { await connection.send(target === '/' ? 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok' : large) } })
  await using arena = await openArena({}, { config: { client: { body: '1500ms' } }, services: [{ name: 'large', tags: [`serai.host=${HOST}`], instances: [backend.address] }] })
  assert.equal((await ask(arena.serai, 300)).errors, 0)
  const before = residentBytes(arena.serai.pid)
  await using clients = await openMany(arena.serai, 60)
  for (const client of clients) {
    client.socket.pause()
    client.get('/large', HOST)
  }
  await until(async () => await metric(arena.serai, 'serai_\\w*body_buffer_bytes') > 60 * 100 * KIB, { what: 'their buffers being full' })
  assert.equal((await ask(arena.serai, 500)).errors, 0) // while the kernels still fill
  const served = await ask(arena.serai, 400)
  const [buffers, grown] = [await metric(arena.serai, 'serai_\\w*body_buffer_bytes'), residentBytes(arena.serai.pid) - before]
  t.diagnostic(`60 clients that do not read 20 MB: ${(buffers / 60 / KIB).toFixed(0)} KiB of buffers each, ${(grown / 60 / KIB).toFixed(0)} KiB of memory each; others: ${served.count} requests, ${served.errors} errors, p99 ${served.p99.toFixed(1)} ms`)
  assert.equal(served.errors, 0)
  assert.ok(buffers <= 60 * (256 + 64) * KIB, `${buffers} octets in buffers`)
  assert.ok(grown <= 60 * 1024 * KIB, `${grown} octets of memory`)
  await until(() => arena.serai.accessLog.filter(({ reason }) => reason === 'client_write_timeout').length === 60, { deadline: 8000, what: 'all of them being cut' })
  await until(async () => await metric(arena.serai, 'serai_\\w*body_buffer_bytes') === 0, { what: 'their buffers being free again' })
})

test('two thousand idle connections cost little memory and nobody else anything', { skip: platform() === 'linux' ? false : 'reads /proc' }, async (t) => {
  await using arena = await openArena()
  await ask(arena.serai, 500)
  const before = residentBytes(arena.serai.pid)
  await using clients = await openMany(arena.serai, 2000)
  // Not all at once: one endpoint takes 1,024 connections and a queue, and the rest would be shed.
  for (let at = 0; at < clients.length; at += 100) {
    const some = clients.slice(at, at + 100)
    for (const client of some) client.get('/', HOST)
    for (const client of some) assert.equal((await client.receiveResponse()).status, 200)
  }
  const each = (residentBytes(arena.serai.pid) - before) / clients.length
  const served = await ask(arena.serai, 300)
  t.diagnostic(`an idle connection that has asked once: ${(each / KIB).toFixed(1)} KiB; others: ${served.count} requests, ${served.errors} errors, p99 ${served.p99.toFixed(1)} ms`)
  assert.equal(served.errors, 0)
  assert.ok(each < 40 * KIB, `${each} octets each`)
})

const floods: readonly (readonly [name: string, flood: Omit<Flood, 'port'>])[] = [
  ['connections that are reset at once', { rate: 1000, open: 50, send: [''] }],
  ['half heads', { rate: 500, open: 1000, send: ['GET / HTTP/1.1\r\nHo', 'P', '\r\n'] }],
  ['garbage', { rate: 500, open: 200, send: ['\0'.repeat(3000), '\r\n'.repeat(2000), 'A'.repeat(40_000), 'GET / HTTP/1.1\r\nX: \x01\r\n\r\n', '\x16\x03\x01\x02\0\x01\0'] }],
]

for (const [name, flood] of floods) {
  test(`a flood of ${name} does not reach other clients`, async (t) => {
    await using arena = await openArena({ record: false })
    await ask(arena.serai, 500) // warm
    const attempt = async (): Promise<string | undefined> => {
      const quiet = await ask(arena.serai, 700)
      const worker = new Worker(new URL('flood.ts', import.meta.url), { workerData: { port: arena.serai.port, ...flood } })
      let opened = 0
      worker.on('message', (count: number) => { opened = count })
      await once(worker, 'message')
      const flooded = await ask(arena.serai, 1200)
      await worker.terminate()
      t.diagnostic(`${opened} connections with ${name}: p99 ${flooded.p99.toFixed(2)} ms, without ${quiet.p99.toFixed(2)} ms; ${flooded.count} requests, ${flooded.errors} errors`)
      assert.equal(flooded.errors + quiet.errors, 0)
      return flooded.p99 <= 2 * quiet.p99 + 20 ? undefined : `p99 ${flooded.p99} ms, without the flood ${quiet.p99} ms`
    }
    // A busy machine may spoil one measurement, not two.
    const slow = await attempt() === undefined ? undefined : await attempt()
    assert.equal(slow, undefined)
  })
}

test('one address gets no more connections than limits.connectionsPerAddress, others get theirs', async () => {
  await using arena = await openArena({}, { config: { limits: { connectionsPerAddress: 5 } } })
  const from = (localAddress: string): Promise<Client> => connect(arena.serai.port, { localAddress })
  const taken = await Promise.all(Array.from({ length: 5 }, () => from('127.0.0.7')))
  for (const client of taken) {
    client.get('/', HOST)
    assert.equal((await client.receiveResponse()).status, 200)
  }
  const refused = await from('127.0.0.7')
  await refused.closed
  assert.equal(refused.received, 0)
  await using other = await from('127.0.0.8')
  other.get('/', HOST)
  assert.equal((await other.receiveResponse()).status, 200)
  await taken[0]![Symbol.asyncDispose]()
  await until(async () => {
    await using again = await from('127.0.0.7')
    again.get('/', HOST)
    return (await again.receiveResponse()).status === 200
  }, { what: 'the address having room again' })
  for (const client of taken) await client[Symbol.asyncDispose]()
})

test('more exchanges than limits.exchanges are shed with 503 at once, the others are answered', async () => {
  const waiting: (() => void)[] = []
  await using arena = await openArena({
    onRequest: async (_, connection) => {
      await new Promise<void>((resolve) => { waiting.push(resolve) })
      await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    },
  }, { config: { limits: { exchanges: 10 } } })
  await using clients = await openMany(arena.serai, 40)
  for (const client of clients) client.get('/', HOST)
  let shed = 0
  const answers = clients.map(async (client) => {
    const response = await client.receiveResponse()
    if (response.status === 503) shed++
    return [response.status, response.headers.get('Retry-After')].join(' ')
  })
  await until(() => shed === 30 && waiting.length === 10, { what: '30 being shed while 10 wait' })
  for (const answer of waiting) answer()
  const all = await Promise.all(answers)
  assert.deepEqual([all.filter((each) => each === '503 1').length, all.filter((each) => each === '200 ').length], [30, 10])
})
