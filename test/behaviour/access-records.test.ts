// One access record for every exchange, whatever its end, and the debug header that trusted peers may ask for.
import assert from 'node:assert/strict'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { startBackend, type Backend } from '#test/support/backend.ts'
import { connect, get } from '#test/support/client.ts'
import { startSerai, type LogRecord, type Serai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'

let serai: Serai
let backend: Backend
let dead = ''
/** Nobody listens here either, and nobody has tried it yet. */
let alsoDead = ''
before(async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  dead = `127.0.0.1:${(server.address() as AddressInfo).port}`
  alsoDead = dead.replace('127.0.0.1', '127.0.0.3')
  server.close()
  await once(server, 'close')
  backend = await startBackend({
    async onRequest({ target }, connection) {
      if (target === '/reset') return connection.reset()
      if (target === '/hang') return
      if (target === '/garbage') return connection.send('SMTP ready\r\n\r\n')
      if (target === '/cut') {
        await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
        return connection.end()
      }
      await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    },
  })
  const web = (name: string, ...instances: string[]): { name: string; tags: string[]; instances: string[] } => ({ name, tags: [`serai.host=${name}.test`], instances })
  serai = await startSerai({
    services: [web('web', backend.address), web('dead', dead), web('both', alsoDead, backend.address), { name: 'bad', tags: ['serai.host=bad.test', 'serai.timeout.head=soon'], instances: [dead] }],
    config: { workers: 1, upstream: { head: '300ms' }, trust: { forwarded: ['127.0.0.2/32'] }, defaults: { balance: 'rr' } },
  })
})
after(async () => {
  await serai[Symbol.asyncDispose]()
  await backend[Symbol.asyncDispose]()
})

let number = 0
/** Asks under a name of its own and returns the record of it. */
async function recordOf(host: string, target: string): Promise<LogRecord> {
  const mark = `n${number++}`
  await get(serai.port, target, host, `User-Agent: ${mark}`).catch(() => undefined)
  return until(() => serai.accessLog.find((record) => record['user_agent'] === mark), { what: `the record of ${host}${target}` })
}

const table: readonly { readonly host: string; readonly target: string; readonly expect: readonly [status: number, reason: string | undefined, endpoint: 'backend' | 'dead' | ''] }[] = [
  { host: 'web.test', target: '/', expect: [200, undefined, 'backend'] },
  { host: 'web.test', target: '/reset', expect: [502, 'upstream_reset', 'backend'] },
  { host: 'web.test', target: '/hang', expect: [504, 'upstream_head_timeout', 'backend'] },
  { host: 'web.test', target: '/garbage', expect: [502, 'upstream_malformed', 'backend'] },
  { host: 'web.test', target: '/cut', expect: [200, 'upstream_reset', 'backend'] },
  { host: 'dead.test', target: '/', expect: [502, 'connect_failed', 'dead'] },
  { host: 'nobody.test', target: '/', expect: [404, 'no_route', ''] },
  { host: 'web.test', target: '/..%2f', expect: [400, 'bad_path', ''] },
  { host: 'bad.test', target: '/', expect: [503, 'route_problem', ''] },
]
for (const { host, target, expect } of table) {
  test(`${host}${target}: ${expect[0]} ${expect[1] ?? ''}`, async () => {
    const record = await recordOf(host, target)
    const endpoint = { backend: backend.address, dead, '': '' }[expect[2]]
    assert.deepEqual([record['status'], record['reason'], record['endpoint'], record['tried']], [expect[0], expect[1], endpoint, undefined])
    assert.equal(typeof record['duration_ms'], 'number')
  })
}

test('endpoints that were tried before the one that answered are in the record', async () => {
  const records = await Promise.all(Array.from({ length: 2 }, () => recordOf('both.test', '/')))
  assert.ok(records.every(({ status, endpoint }) => status === 200 && endpoint === backend.address))
  assert.ok(records.some(({ tried }) => JSON.stringify(tried) === JSON.stringify([alsoDead])), JSON.stringify(records))
})

test('the debug header tells trusted peers, and nobody else', async () => {
  const ask = async (localAddress: string, target: string, host: string): Promise<string | undefined> => {
    await using client = await connect(serai.port, { localAddress })
    client.get(target, host, 'Serai-Debug: 1')
    return (await client.receiveResponse()).headers.get('serai-debug')
  }
  assert.equal(await ask('127.0.0.2', '/', 'web.test'), `route=web@file/default#default; endpoint=${backend.address}; attempts=1`)
  assert.equal(await ask('127.0.0.2', '/', 'nobody.test'), 'route=none; endpoint=none; attempts=0')
  assert.equal(await ask('127.0.0.2', '/', 'dead.test'), `route=dead@file/default#default; endpoint=${dead}; attempts=1; failure=connect: ECONNREFUSED`)
  assert.equal(await ask('127.0.0.1', '/', 'web.test'), undefined)
  assert.ok(!backend.bytes.toString('latin1').includes('Serai-Debug'), 'the question went on to the backend')
})

test('503 says when to come back', async () => {
  const response = await get(serai.port, '/', 'bad.test')
  assert.deepEqual([response.status, response.headers.get('retry-after')], [503, '10'])
})

test('every exchange has exactly one record', async () => {
  const total = (await serai.ask('/metrics').then(({ body }) => String(body))).matchAll(/^serai_requests_total\{.*\} (\d+)$/gm)
  const counted = [...total].reduce((sum, [, count]) => sum + Number(count), 0)
  await until(() => serai.accessLog.length >= counted, { what: 'all records' })
  assert.equal(serai.accessLog.length, counted)
})
