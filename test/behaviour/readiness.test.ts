// /ready means it: no before every catalog was read and every worker accepts, then yes, whatever the catalogs do.
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Worker } from 'node:worker_threads'
import { loadConfig } from '#src/config/load.ts'
import { App } from '#src/control/app.ts'
import { createAccessSink } from '#src/observe/access-sink.ts'
import { createLogger } from '#src/observe/log.ts'
import { get } from '#test/support/client.ts'
import { makeFolder } from '#test/support/folder.ts'
import { startHttpBackend } from '#test/support/http-backend.ts'
import { startSerai, type Serai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'

const HOST = 'a.example.org'
const web = (address: string): readonly { name: string; tags: string[]; instances: string[] }[] => [{ name: 'web', tags: [`serai.host=${HOST}`], instances: [address] }]
const ready = async (serai: Serai): Promise<{ status: number; reasons: string }> => {
  const { status, body } = await serai.ask('/ready')
  return { status, reasons: (body as { reasons: string[] }).reasons.join('; ') }
}

test('before the first reading: not ready, with the reason, and requests get 503, not 404; then ready', async () => {
  await using backend = await startHttpBackend('hello')
  await using serai = await startSerai({ services: '', ready: false })
  const before = await until(async () => {
    const answer = await ready(serai)
    return answer.reasons.includes('empty') && answer
  }, { what: 'the reason' })
  assert.equal(before.status, 503)
  assert.match(before.reasons, /^the catalog file was not read yet: .*empty/)
  assert.equal((await serai.ask('/live')).status, 200)
  const early = await get(serai.port, '/', 'unknown.example.org')
  assert.equal(early.status, 503)
  assert.ok(early.headers.get('retry-after') !== undefined)
  await serai.services(web(backend.address), async () => (await ready(serai)).status === 200)
  assert.equal((await get(serai.port, '/', HOST)).status, 200)
  assert.equal((await get(serai.port, '/', 'unknown.example.org')).status, 404)
})

test('without a catalog it is ready at once, and everything is 404', async () => {
  await using serai = await startSerai({ config: { catalogs: {} } })
  assert.equal((await get(serai.port, '/', HOST)).status, 404)
})

test('a catalog that breaks later takes nothing back: still ready, still served, and shown', async () => {
  await using backend = await startHttpBackend('hello')
  await using serai = await startSerai({ services: web(backend.address) })
  await rm(join(serai.folder, 'services.yaml'))
  const status = await until(async () => {
    const { catalogs } = (await serai.ask('/api/status')).body as { catalogs: { state: string; problem?: string; errors: number }[] }
    return catalogs[0]?.state === 'stale' && catalogs[0]
  }, { what: 'the catalog to be stale' })
  assert.match(status.problem ?? '', /no such file/)
  assert.equal((await ready(serai)).status, 200)
  assert.equal((await get(serai.port, '/', HOST)).status, 200)
})

test('an empty catalog is an answer: ready, and 404', async () => {
  await using serai = await startSerai({ services: [] })
  assert.equal((await get(serai.port, '/', HOST)).status, 404)
})

test('the health listener has /live and /ready alone, also in lame duck', async () => {
  await using serai = await startSerai({ config: { health: { address: '127.0.0.1:0' }, stop: { lameDuck: '500ms', drain: '1s' } } })
  const health = String(serai.logs.find(({ msg }) => msg === 'serving')?.['health'])
  const ask = async (path: string): Promise<number> => {
    const response = await fetch(`http://${health}${path}`, { headers: { connection: 'close' } })
    await response.body?.cancel()
    return response.status
  }
  assert.deepEqual([await ask('/live'), await ask('/ready'), await ask('/metrics'), await ask('/api/status')], [200, 200, 404, 404])
  const exited = serai.stop()
  await until(async () => await ask('/ready') === 503, { what: 'lame duck' })
  assert.equal(await ask('/live'), 200)
  assert.equal(await exited, 0)
})

test('a dead worker makes it not ready, by number, until it is back', async () => {
  await using folder = await makeFolder()
  const config = { listeners: { http: { address: '127.0.0.1:0' } }, workers: 2, state: { path: folder.file('state') }, stop: { lameDuck: '0', drain: '1s' } }
  const loaded = loadConfig({ file: folder.file('serai.yaml'), text: JSON.stringify(config), env: {} })
  assert.ok(loaded.ok)
  const log = createLogger({ level: 'silent' })
  const started: Worker[] = []
  const note = (worker: Worker): void => void started.push(worker)
  process.on('worker', note)
  const app = await App.start({ config: loaded.config, source: undefined, workers: 2, log, access: createAccessSink('off') })
  try {
    await until(() => app.readiness().ready, { what: 'readiness' })
    await started[1]!.terminate()
    assert.match(app.readiness().reasons.join('; '), /^worker \d is (restarting|starting)$/)
    await until(() => app.readiness().ready, { what: 'readiness again' })
    assert.deepEqual(app.status().workers.map(({ restarts }) => restarts).toSorted(), [0, 1])
  } finally {
    process.off('worker', note)
    await app.stop()
  }
})
