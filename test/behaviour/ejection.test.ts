// Endpoints that fail are left out for a time, by all workers, and come back slowly; the API says which, why and since when.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startBackend, type Backend, type BackendOptions } from '#test/support/backend.ts'
import { connect, get } from '#test/support/client.ts'
import { startSerai, type Serai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'

interface EndpointState { readonly address: string; readonly state: string; readonly why: string; readonly since: string }

let serai: Serai
before(async () => {
  serai = await startSerai({ config: { workers: 2, defaults: { balance: 'rr', retry: { attempts: 0 }, eject: { failures: 5, time: '1s', slowStart: '1s' } }, upstream: { head: '300ms' } } })
})
after(() => serai[Symbol.asyncDispose]())

const serve = (host: string, backends: readonly Backend[], ...tags: string[]): Promise<void> =>
  serai.services([{ name: host, tags: [`serai.host=${host}`, ...tags], instances: backends.map(({ address }) => address) }])

async function stateOf(backend: Backend): Promise<EndpointState> {
  const { body } = await serai.ask('/api/services')
  const found = (body as { services: { endpoints: EndpointState[] }[] }).services.flatMap(({ endpoints }) => endpoints).find(({ address }) => address === backend.address)
  assert.ok(found, `${backend.address} is not listed`)
  return found
}

/** Asks until the endpoint is ejected; every request on a connection of its own, so that both workers get some. */
async function askUntilEjected(host: string, backend: Backend): Promise<number> {
  let asked = 0
  await until(async () => {
    asked++
    await get(serai.port, '/', host)
    return (await stateOf(backend)).state === 'ejected'
  }, { what: `${host}: the ejection` })
  return asked
}

const failures: readonly { readonly name: string; readonly options: BackendOptions; readonly why: RegExp }[] = [
  { name: 'resets', options: { onRequest: (_, connection) => connection.reset() }, why: /^reset: ECONNRESET; back at 20/ },
  { name: 'closed connections', options: { onRequest: (_, connection) => connection.end() }, why: /^reset: closed by the upstream; back at 20/ },
  { name: 'responses that do not come', options: { onRequest: () => undefined }, why: /^head timeout: no response head in time; back at 20/ },
  {
    name: 'bodies that break off', why: /^reset: /,
    options: { onRequest: async (_, connection) => { await connection.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly'); connection.end() } },
  },
]
for (const [at, { name, options, why }] of failures.entries()) {
  test(`${name}, five in a row: ejected in all workers, with the reason and the time`, async (t) => {
    const host = `eject-${at}.test`
    await using good = await startBackend({ record: false })
    await using bad = await startBackend({ record: false, ...options })
    await serve(host, [good, bad])
    assert.deepEqual([(await stateOf(bad)).state, (await stateOf(bad)).why], ['ready', ''])
    const begun = Date.now()
    let asked = 0
    await until(async () => {
      asked++
      await get(serai.port, '/', host).catch(() => undefined)
      return (await stateOf(bad)).state === 'ejected'
    }, { what: 'the ejection' })
    const state = await stateOf(bad)
    assert.match(state.why, why)
    const since = Date.parse(state.since)
    assert.ok(since >= begun - 5 && since <= Date.now() + 5, state.since)
    // Whichever worker these reach, none goes there.
    const before = bad.requests.length
    const statuses = await Promise.all(Array.from({ length: 20 }, () => get(serai.port, '/', host).then(({ status }) => status)))
    assert.deepEqual(new Set(statuses), new Set([200]))
    assert.equal(bad.requests.length, before)
    t.diagnostic(`ejected after ${asked} requests (rr over two, 2 workers): ${state.why}`)
  })
}

test('it comes back, slowly, and then has its full share; the time of the next ejection is longer', async (t) => {
  let broken = true
  await using good = await startBackend({ record: false })
  await using bad = await startBackend({ record: false, onRequest: (_, connection) => (broken ? connection.reset() : connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')) })
  await serve('back.test', [good, bad])
  const lengthOf = ({ why, since }: EndpointState): number => Date.parse(/back at (\S+)$/.exec(why)![1]!) - Date.parse(since)
  await askUntilEjected('back.test', bad)
  const first = lengthOf(await stateOf(bad))
  await until(async () => (await stateOf(bad)).state === 'slow start', { what: 'the slow start' })
  assert.match((await stateOf(bad)).why, /^was ejected: reset: ECONNRESET$/)
  await askUntilEjected('back.test', bad)
  const second = lengthOf(await stateOf(bad))
  t.diagnostic(`ejected for ${first} ms, then for ${second} ms`)
  assert.deepEqual([first, second], [1000, 2000])

  broken = false
  await until(async () => (await stateOf(bad)).state === 'ready', { what: 'its return' })
  const before = bad.requests.length
  for (let time = 0; time < 40; time++) await get(serai.port, '/', 'back.test')
  const share = bad.requests.length - before
  assert.ok(share >= 17 && share <= 23, `${share} of 40 after its return`)
})

test('the last one that is not failing is never left out, and when all have failed all are asked', async () => {
  let broken = true
  const options: BackendOptions = { record: false, onRequest: (_, connection) => (broken ? connection.reset() : connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')) }
  await using one = await startBackend(options)
  await using two = await startBackend(options)
  await serve('all.test', [one, two])
  for (let time = 0; time < 60; time++) assert.equal((await get(serai.port, '/', 'all.test')).status, 502)
  const states = [await stateOf(one), await stateOf(two)].map(({ state }) => state)
  assert.ok(states.includes('ready'), states.join())
  broken = false
  for (let time = 0; time < 10; time++) assert.equal((await get(serai.port, '/', 'all.test')).status, 200)
})

test('statuses eject only where the route says so', async () => {
  await using good = await startBackend({ record: false })
  await using bad = await startBackend({ record: false, respond: 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno' })
  await serve('status.test', [good, bad])
  for (let time = 0; time < 40; time++) await get(serai.port, '/', 'status.test')
  assert.equal((await stateOf(bad)).state, 'ready')
  await serve('status.test', [good, bad], 'serai.eject.status=502, 503')
  await askUntilEjected('status.test', bad)
  assert.match((await stateOf(bad)).why, /^status 503; back at/)
})

test('one refused connection is enough to ask others first', async () => {
  await using good = await startBackend({ record: false })
  const gone = await startBackend({ record: false })
  await serve('gone.test', [good, gone], 'serai.retry.attempts=1')
  await gone.kill()
  const statuses: number[] = []
  await using client = await connect(serai.port)
  for (let time = 0; time < 20; time++) {
    client.get('/', 'gone.test')
    statuses.push((await client.receiveResponse()).status)
  }
  assert.deepEqual(new Set(statuses), new Set([200]))
  const metrics = String((await serai.ask('/metrics')).body)
  assert.match(metrics, /serai_attempts_total\{service="gone.test@file\/default",result="connect_failed"\} 1$/m)
})
