// 32 clients that read slowly: memory does not grow with what they have not read, and what waits is counted exactly.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { connect, type Client } from '#test/support/client.ts'
import { startOwnBackend } from '#test/support/own-backend.ts'
import { startSerai, type Serai } from '#test/support/serai.ts'
import { settled } from '#test/support/settled.ts'
import { until } from '#test/support/until.ts'

const READERS = 32
const BODY = 256 * 1024 * 1024
const MAX_GROWTH = 24 * 1024 * 1024
/** What one exchange may hold: the pooled buffer of a long body. */
const BUFFER = 256 * 1024

const rssOf = (pid: number): number => 1024 * Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1])
const held = async ({ ask }: Serai): Promise<number> => Number(/^serai_body_buffer_bytes (\d+)/m.exec(String((await ask('/metrics')).body))?.[1])

test(`${READERS} slow readers of 256 MiB each`, { skip: process.platform !== 'linux' && 'memory is read from /proc' }, async (t) => {
  await using backend = await startOwnBackend()
  await using serai = await startSerai({ services: [{ name: 'web', tags: ['serai.host=slow.test'], instances: [backend.address] }], config: { workers: 2 } })

  /** Lets all of them begin, read some hundred KiB now and then, and stop; returns the octets that are held while they do not read. */
  const round = async (): Promise<{ readonly held: number; readonly rss: number; readonly received: number }> => {
    await using stack = new AsyncDisposableStack()
    const clients = await Promise.all(Array.from({ length: READERS }, async (): Promise<Client> => stack.use(await connect(serai.port, { record: false }))))
    for (const client of clients) {
      client.get(`/size/${BODY}`, 'slow.test')
      await client.receiveHead()
      client.socket.pause()
    }
    for (let time = 0; time < 12; time++) {
      for (const client of clients) client.socket.resume()
      const before = clients.map(({ received }) => received)
      await until(() => clients.every(({ received }, at) => received > before[at]!), { what: 'all of them reading' })
      for (const client of clients) client.socket.pause()
    }
    await settled(() => held(serai), 'what is held')
    const result = { held: await held(serai), rss: rssOf(serai.pid), received: clients.reduce((sum, { received }) => sum + received, 0) }
    for (const client of clients) client.reset()
    return result
  }

  const warm = await round()
  await until(async () => await held(serai) === 0, { what: 'nothing held after the first round' })
  const measured = await round()
  const growth = measured.rss - warm.rss
  const mib = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`
  t.diagnostic(`${READERS} × 256 MiB, ${mib(measured.received)} read: RSS ${mib(warm.rss)} after the warm-up round, ${mib(measured.rss)} in the second: ${growth < 0 ? '-' : '+'}${mib(Math.abs(growth))}; held ${mib(measured.held)}`)
  assert.ok(growth <= MAX_GROWTH, `RSS grew by ${mib(growth)}`)
  assert.equal(measured.held, READERS * BUFFER, 'each reader keeps one buffer waiting, and nothing else is counted')
  await until(async () => await held(serai) === 0, { what: 'nothing held when all have gone' })
})
