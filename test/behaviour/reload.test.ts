// A config that is read again while requests run: what can change does, what cannot is named, what is wrong changes nothing.
import assert from 'node:assert/strict'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { startBackend } from '#test/support/backend.ts'
import { connect, get } from '#test/support/client.ts'
import { startHttpBackend } from '#test/support/http-backend.ts'
import { startSerai, type Serai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'

const HOST = 'a.example.org'
const web = (address: string): { name: string; tags: string[]; instances: string[] } => ({ name: 'web', tags: [`serai.host=${HOST}`], instances: [address] })

interface Config {
  readonly source: string
  readonly loadedAt: string
  readonly problem?: string
}
const configOf = async (serai: Serai): Promise<Config> => ((await serai.ask('/api/status')).body as { config: Config }).config

/** Lays keys over the config file, and waits until the log says what came of it. */
async function reconfigure(serai: Serai, keys: Readonly<Record<string, unknown>> | string, said: RegExp = /^the config was read again/): Promise<Readonly<Record<string, unknown>>> {
  const path = join(serai.folder, 'serai.yaml')
  const before = serai.logs.length
  const text = typeof keys === 'string' ? keys : JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')) as object, ...keys })
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
  return await until(() => serai.logs.slice(before).find(({ msg }) => said.test(String(msg))), { what: `a log line like ${String(said)}` })
}

test('timeouts change for what begins afterwards, on connections that are open already too', async () => {
  await using backend = await startBackend({ onRequest: () => undefined })
  await using serai = await startSerai({ services: [web(backend.address)] })
  await using client = await connect(serai.port)
  await reconfigure(serai, { upstream: { head: '200ms' }, defaults: { retry: { attempts: 0 } }, client: { keepAlive: '300ms' } })
  client.get('/', HOST)
  assert.equal((await client.receiveResponse()).status, 504)
  assert.equal(await client.closed, 'fin') // 300 ms later, not 75 s
})

test('limits and trust change', async () => {
  await using backend = await startBackend()
  await using serai = await startSerai({ services: [web(backend.address)], config: { workers: 1 } })
  const large = `X-Large: ${'x'.repeat(4000)}`
  assert.equal((await get(serai.port, '/', HOST, large, 'X-Forwarded-For: 192.0.2.7')).status, 200)
  assert.ok(!backend.requests.at(-1)!.raw.includes('192.0.2.7'))
  await reconfigure(serai, { limits: { headBytes: '1KiB', connectionsPerAddress: 1 }, trust: { forwarded: ['127.0.0.0/8'] } })
  assert.equal((await get(serai.port, '/', HOST, large)).status, 431)
  await using one = await connect(serai.port)
  one.get('/', HOST, 'X-Forwarded-For: 192.0.2.7')
  assert.equal((await one.receiveResponse()).status, 200)
  assert.match(backend.requests.at(-1)!.raw, /192\.0\.2\.7/)
  await assert.rejects(get(serai.port, '/', HOST), 'a second connection from one address')
})

test('the log level and the prefix of tags change', async () => {
  await using backend = await startHttpBackend('hello')
  const inside = { name: 'inside', tags: ['inner.host=inner.example.org'], instances: [backend.address] }
  await using serai = await startSerai({ services: [web(backend.address), inside] })
  await reconfigure(serai, { tags: { serai: 'inner' } })
  await until(async () => (await get(serai.port, '/', 'inner.example.org')).status === 200, { what: 'the routes of the other prefix' })
  const before = serai.logs.length
  const path = join(serai.folder, 'serai.yaml')
  const { loadedAt } = await configOf(serai)
  writeFileSync(path, readFileSync(path, 'utf8').replace('"tags"', '"log": { "level": "error" }, "tags"'))
  await until(async () => (await configOf(serai)).loadedAt !== loadedAt, { what: 'the reload' })
  await reconfigure(serai, 'nonsense: 1', /stays in force/)
  assert.deepEqual(serai.logs.slice(before).filter(({ level }) => level === 'info'), [])
})

test('listeners come and go and are renamed without cutting the others; those that go end in good order', async () => {
  const answer = Promise.withResolvers<void>()
  await using backend = await startHttpBackend((request, response) => void (request.url === '/slow' ? answer.promise : Promise.resolve()).then(() => response.end('hello')))
  await using serai = await startSerai({ services: [web(backend.address)], config: { workers: 2, listeners: { http: { address: '127.0.0.1:0' }, second: { address: '127.0.0.1:0' } } } })
  const second = Number(serai.listeners['second']?.split(':').at(-1))
  await using stays = await connect(serai.port)
  await using goes = await connect(second)
  await using busy = await connect(second)
  for (const client of [stays, goes, busy]) {
    client.get('/', HOST)
    assert.equal((await client.receiveResponse()).status, 200)
  }
  busy.get('/slow', HOST)
  await until(() => backend.count === 4, { what: 'the slow request at the backend' })

  await reconfigure(serai, { listeners: { main: { address: `127.0.0.1:${serai.port}` }, third: { address: '127.0.0.1:0' } } })
  const { listeners } = (await serai.ask('/api/status')).body as { listeners: { name: string; address: string }[] }
  assert.deepEqual(listeners.map(({ name }) => name), ['main', 'third'])
  assert.equal(listeners[0]!.address, `127.0.0.1:${serai.port}`)
  assert.equal((await get(Number(listeners[1]!.address.split(':').at(-1)), '/', HOST)).status, 200)
  stays.get('/', HOST)
  assert.equal((await stays.receiveResponse()).status, 200)
  assert.match(String((await serai.ask('/metrics')).body), /^serai_connections\{listener="main"\} 1$/m)

  await assert.rejects(connect(second), /ECONNREFUSED/)
  assert.equal(await goes.closed, 'fin')
  answer.resolve()
  const last = await busy.receiveResponse()
  assert.equal(last.text, 'hello')
  assert.equal(last.headers.get('connection'), 'close')
})

test('a listener on a port in use changes nothing, and says so', async () => {
  await using backend = await startHttpBackend('hello')
  await using serai = await startSerai({ services: [web(backend.address)] })
  const { reason } = await reconfigure(serai, { listeners: { http: { address: '127.0.0.1:0' }, taken: { address: backend.address } }, limits: { headers: 1 } }, /stays in force/)
  assert.match(String(reason), new RegExp(`listener taken: ${backend.address} is in use`))
  assert.match((await configOf(serai)).problem ?? '', /listener taken/)
  assert.equal((await get(serai.port, '/', HOST, 'A: 1', 'B: 2')).status, 200, 'the limit of the same file was taken')
  const moved = await reconfigure(serai, { listeners: { http: { address: `0.0.0.0:${serai.port}` } } }, /stays in force/)
  assert.match(String(moved['reason']), /held by the running listener http/)
})

test('a bad file keeps the running config, says so with the place, and a good one ends the problem', async () => {
  await using backend = await startHttpBackend('hello')
  await using serai = await startSerai({ services: [web(backend.address)] })
  const good = readFileSync(join(serai.folder, 'serai.yaml'), 'utf8')
  const { reason } = await reconfigure(serai, 'client: { head: soon }\nlimits: { headers: 0 }\n', /stays in force/)
  assert.match(String(reason), /serai\.yaml:1:.*client\.head.*\n.*serai\.yaml:2:.*limits\.headers/)
  assert.match((await configOf(serai)).problem ?? '', /client\.head/)
  assert.equal((await get(serai.port, '/', HOST)).status, 200)
  await reconfigure(serai, good)
  assert.equal((await configOf(serai)).problem, undefined)
})

test('a key that needs a restart is named, keeps its value, and the rest of the file is taken', async () => {
  await using backend = await startHttpBackend('hello')
  await using serai = await startSerai({ services: [web(backend.address)], config: { workers: 1 } })
  const target = join(serai.folder, 'access.log')
  const said = await reconfigure(serai, { workers: 2, log: { access: { target } }, limits: { headers: 1 } })
  assert.deepEqual(said['needRestart'], ['workers', 'log.access.target'])
  assert.match((await configOf(serai)).problem ?? '', /workers needs a restart; log\.access\.target needs a restart/)
  assert.equal((await get(serai.port, '/', HOST, 'A: 1', 'B: 2')).status, 431)
  assert.equal(((await serai.ask('/api/status')).body as { workers: unknown[] }).workers.length, 1)
  await until(() => serai.accessLog.some(({ status }) => status === 431), { what: 'the access log where it was' })
  assert.equal(existsSync(target), false)
  const again = await reconfigure(serai, { limits: { headers: 50 } })
  assert.deepEqual(again['needRestart'], ['workers', 'log.access.target'], 'still waiting, so still said')
  await reconfigure(serai, { workers: 1, log: {} })
  assert.equal((await configOf(serai)).problem, undefined)
})

test('SIGHUP reads the config again and opens a renamed access log anew, without losing a line', async () => {
  await using backend = await startHttpBackend('hello')
  await using serai = await startSerai({ services: [web(backend.address)], config: { workers: 2, log: { access: { target: 'access.log' } } } })
  const [current, rotated] = [join(serai.folder, 'access.log'), join(serai.folder, 'access.log.1')]
  const paths = (file: string): string[] => readFileSync(file, 'utf8').split('\n').filter((line) => line !== '').map((line) => (JSON.parse(line) as { path: string }).path)
  await get(serai.port, '/before', HOST)
  await until(() => existsSync(current) && paths(current).includes('/before'), { what: 'the first line' })
  renameSync(current, rotated)
  process.kill(serai.pid, 'SIGHUP')
  await until(() => serai.logs.some(({ msg }) => msg === 'the config was read again'), { what: 'the reload' })
  for (let request = 0; request < 10; request++) await get(serai.port, '/after', HOST)
  await until(() => existsSync(current) && paths(current).length === 10, { what: 'the new file' })
  assert.deepEqual(paths(rotated), ['/before'])
})

test('a SIGHUP in the first moments does not end it', async () => {
  await using serai = await startSerai({ ready: false })
  process.kill(serai.pid, 'SIGHUP')
  await until(async () => (await serai.ask('/ready')).status === 200, { what: 'readiness' })
  assert.equal(await serai.stop(), 0)
})
