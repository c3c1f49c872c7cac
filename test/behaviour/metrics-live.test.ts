// /metrics of the running program: the sums over its workers, bounded labels, series that go with their service.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, get } from '#test/support/client.ts'
import { startHttpBackend } from '#test/support/http-backend.ts'
import { startSerai, type Serai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'

const web = (...addresses: string[]): { name: string; tags: string[]; instances: string[] } => ({ name: 'web', tags: ['serai.host=a.example.org'], instances: addresses })

async function metric(serai: Serai, series: string): Promise<number | undefined> {
  const text = String((await serai.ask('/metrics')).body)
  const line = text.split('\n').find((each) => each.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.slice(series.length + 1))
}

test('requests are counted once each, by service and code, whichever worker had them', async () => {
  await using backend = await startHttpBackend('hello')
  await using serai = await startSerai({ services: [web(backend.address)], config: { workers: 2 } })
  for (let request = 0; request < 20; request++) assert.equal((await get(serai.port, '/', 'a.example.org')).status, 200)
  for (let request = 0; request < 5; request++) assert.equal((await get(serai.port, '/', 'unknown.example.org')).status, 404)
  const key = 'service="web@file/default"'
  // A request is counted just after its answer went out.
  await until(async () => await metric(serai, 'serai_requests_total{service="none",code="404"}') === 5, { what: 'every request to be counted' })
  await until(async () => await metric(serai, `serai_requests_total{${key},code="200"}`) === 20, { what: 'every request to be counted' })
  assert.equal(await metric(serai, 'serai_requests_total{service="none",code="404"}'), 5)
  assert.equal(await metric(serai, `serai_attempts_total{${key},result="ok"}`), 20)
  assert.equal(await metric(serai, `serai_request_duration_seconds_count{${key}}`), 20)
  assert.equal(await metric(serai, `serai_response_bytes_total{${key}}`), 20 * 'hello'.length)
  assert.equal(await metric(serai, `serai_requests_in_flight{${key}}`), 0)
  assert.equal(await metric(serai, 'serai_connections_accepted_total'), 25)
  assert.equal(await metric(serai, 'serai_ready'), 1)
  assert.equal(await metric(serai, 'serai_worker_revision{worker="1"}'), await metric(serai, 'serai_snapshot_revision'))
})

test('open connections and exchanges are gauges, by listener', async () => {
  const answer = Promise.withResolvers<void>()
  await using backend = await startHttpBackend((_, response) => void answer.promise.then(() => response.end('hello')))
  const listeners = { http: { address: '127.0.0.1:0' }, inside: { address: '127.0.0.1:0' } }
  await using serai = await startSerai({ services: [web(backend.address)], config: { workers: 2, listeners } })
  await using one = await connect(serai.port)
  await using two = await connect(Number(serai.listeners['inside']?.split(':').at(-1)))
  for (const client of [one, two]) client.get('/', 'a.example.org')
  await until(() => backend.count === 2, { what: 'both requests at the backend' })
  assert.equal(await metric(serai, 'serai_exchanges'), 2)
  assert.equal(await metric(serai, 'serai_connections{listener="http"}'), 1)
  assert.equal(await metric(serai, 'serai_connections{listener="inside"}'), 1)
  answer.resolve()
  for (const client of [one, two]) await client.receiveResponse()
  one.end()
  await until(async () => await metric(serai, 'serai_connections{listener="http"}') === 0, { what: 'the connection to be counted out' })
  assert.equal(await metric(serai, 'serai_connections{listener="inside"}'), 1)
  assert.equal(await metric(serai, 'serai_exchanges'), 0)
})

test('a hundred hosts and paths that nobody has add no series; the series of a service go with it', async () => {
  await using backend = await startHttpBackend('hello')
  const other = { name: 'other', tags: ['serai.host=b.example.org'], instances: [backend.address] }
  await using serai = await startSerai({ services: [web(backend.address), other] })
  assert.equal((await get(serai.port, '/', 'a.example.org')).status, 200)
  assert.equal((await get(serai.port, '/', 'b.example.org')).status, 200)
  const series = async (): Promise<number> => String((await serai.ask('/metrics')).body).split('\n').filter((line) => line.startsWith('serai_')).length
  await get(serai.port, '/', 'unknown-0.example.org')
  await until(async () => await metric(serai, 'serai_requests_total{service="none",code="404"}') === 1, { what: 'the request to be counted' })
  const before = await series()
  for (let at = 1; at < 100; at++) await get(serai.port, `/path-${at}`, `unknown-${at}.example.org`)
  assert.equal(await series(), before)
  // Its instances all gone, a service is remembered, and answers 503; without a routing tag it is gone.
  await serai.services([web(backend.address), { ...other, tags: [] }])
  await until(async () => !String((await serai.ask('/metrics')).body).includes('other@file'), { what: 'the series of the service to go' })
})
