// Where the platform cannot spread one port over threads, one worker serves all, and it is said once. Ports in use are errors with a name.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { loadConfig } from '#src/config/load.ts'
import { App } from '#src/control/app.ts'
import { createAccessSink } from '#src/observe/access-sink.ts'
import { createLogger } from '#src/observe/log.ts'
import { get } from '#test/support/client.ts'
import { makeFolder } from '#test/support/folder.ts'
import { runSerai, startSerai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'

test('without SO_REUSEPORT: one worker, said once, and it serves', async () => {
  await using folder = await makeFolder()
  const config = { listeners: { http: { address: '127.0.0.1:0' } }, state: { path: folder.file('state') }, stop: { lameDuck: '0', drain: '1s' } }
  const loaded = loadConfig({ file: folder.file('serai.yaml'), text: JSON.stringify(config), env: {} })
  assert.ok(loaded.ok)
  const lines: string[] = []
  const log = createLogger({ level: 'info', destination: { write: (line) => void lines.push(line), flush: (done) => done() } })
  const app = await App.start({ config: loaded.config, source: undefined, workers: 4, log, access: createAccessSink('off'), reusePortWorks: async () => false })
  try {
    assert.equal(app.status().workers.length, 1)
    await until(() => app.readiness().ready, { what: 'readiness' })
    assert.equal((await get(app.listeners[0]!.port, '/', 'a.example.org')).status, 404)
    assert.equal(lines.filter((line) => line.includes('SO_REUSEPORT')).length, 1)
  } finally {
    await app.stop()
  }
})

test('a port in use is an error that names listener, address and key, with exit code 1, at once', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  const address = `127.0.0.1:${(other.address() as AddressInfo).port}`
  try {
    await using folder = await makeFolder()
    const stop = ['--stop.lameDuck=1m', `--state.path=${folder.file('state')}`]
    const ofListener = await runSerai(['run', `--listeners.web.address=${address}`, '--admin.address=127.0.0.1:0', ...stop])
    assert.equal(ofListener.code, 1)
    assert.match(ofListener.stderr, new RegExp(`listener web: ${address} is in use .*listeners\\.web\\.address`))
    const ofAdmin = await runSerai(['run', '--listeners.web.address=127.0.0.1:0', `--admin.address=${address}`, ...stop])
    assert.equal(ofAdmin.code, 1)
    assert.match(ofAdmin.stderr, new RegExp(`cannot listen on ${address}: .*EADDRINUSE`))
  } finally {
    other.close()
  }
})

test('a second Serai does not share the port of the first', async () => {
  await using first = await startSerai({ config: { workers: 2 } })
  await using folder = await makeFolder()
  const second = await runSerai(['run', `--listeners.http.address=127.0.0.1:${first.port}`, '--admin.address=127.0.0.1:0', `--state.path=${folder.file('state')}`])
  assert.equal(second.code, 1)
  assert.match(second.stderr, /is in use by another program/)
})

test('an access log that cannot be opened is an error that names the key, with exit code 1', async () => {
  const { code, stderr } = await runSerai(['run', '--listeners.http.address=127.0.0.1:0', '--admin.address=127.0.0.1:0', '--log.access.target=/nowhere/access.log'])
  assert.equal(code, 1)
  assert.match(stderr, /log\.access\.target: cannot open \/nowhere\/access\.log/)
})
