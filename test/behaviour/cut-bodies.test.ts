// A response that is cut short reaches the client as cut, whatever its framing, and never as complete.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startBackend, type Backend, type BackendConnection } from '#test/support/backend.ts'
import { connect } from '#test/support/client.ts'
import { startSerai, type Serai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'

/** What the backend sends for `/<name>`, and then ends or resets. */
const bodies: Readonly<Record<string, string>> = {
  length: 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this',
  'length-nothing': 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n',
  chunked: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n',
  'chunked-in-a-chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nonly this',
  'chunked-in-the-size': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n1',
  'chunked-before-the-last-line': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n0\r\n',
  'chunked-in-the-trailers': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n0\r\nX-Sum: 1',
  'large-length': `HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(500_000)}`,
  'large-chunked': `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7a120\r\n${'x'.repeat(500_000)}\r\n`,
  'until-close': 'HTTP/1.1 200 OK\r\n\r\nonly this',
}

let serai: Serai
let backend: Backend
/** Resolves when the client has the head: a reset must not overtake it. */
let headCame = Promise.withResolvers<void>()
before(async () => {
  backend = await startBackend({
    record: false,
    async onRequest({ target }, connection: BackendConnection) {
      const [, name = '', how] = target.split('/')
      await connection.send(bodies[name] ?? '')
      await headCame.promise
      if (how === 'fin') connection.end()
      else connection.reset()
    },
  })
  serai = await startSerai({ services: [{ name: 'web', tags: ['serai.host=cut.test'], instances: [backend.address] }], config: { workers: 1, defaults: { eject: { failures: 1000 } } } })
})
after(async () => {
  await serai[Symbol.asyncDispose]()
  await backend[Symbol.asyncDispose]()
})

for (const name of Object.keys(bodies)) {
  for (const how of ['fin', 'reset']) {
    for (const version of ['1.1', '1.0']) {
      const whole = name === 'until-close' && how === 'fin'
      test(`${name}, then ${how}, to HTTP/${version}: ${whole ? 'complete' : 'cut'}`, async () => {
        headCame = Promise.withResolvers()
        await using client = await connect(serai.port)
        client.send(`GET /${name}/${how} HTTP/${version}\r\nHost: cut.test\r\nConnection: close\r\n\r\n`)
        assert.equal((await client.receiveHead()).status, 200)
        headCame.resolve()
        assert.equal(await client.closed, whole ? 'fin' : 'reset')
        const body = client.bytes.toString('latin1').split('\r\n\r\n').slice(1).join('\r\n\r\n')
        if (whole) assert.equal(body, version === '1.0' ? 'only this' : '9\r\nonly this\r\n0\r\n\r\n')
        else assert.doesNotMatch(body, /(^|\n)0\r\n/)
      })
    }
  }
}

test('each of them is in the log with its status, its endpoint and the reason', async () => {
  await until(() => serai.accessLog.length >= 4 * Object.keys(bodies).length, { what: 'all records' })
  const records = serai.accessLog.map(({ path, status, reason, endpoint }) => `${String(path)} ${String(status)} ${String(reason)} ${endpoint === backend.address}`)
  const cutShort = Object.keys(bodies).flatMap((name) => ['fin', 'reset'].map((how) => `/${name}/${how}`)).filter((path) => path !== '/until-close/fin')
  const expected = [...cutShort.map((path) => `${path} 200 upstream_reset true`), '/until-close/fin 200 undefined true']
  assert.deepEqual(records.sort(), expected.flatMap((line) => [line, line]).sort())
})

test('a body that breaks the rules is cut too', async () => {
  await using bad = await startBackend({
    async onRequest({ target }, connection) {
      await connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n')
      if (target === '/later') await headCame.promise
      await connection.send('not a size\r\n')
    },
  })
  await serai.services([{ name: 'bad', tags: ['serai.host=bad.test'], instances: [bad.address] }])
  headCame = Promise.withResolvers()
  await using client = await connect(serai.port)
  client.get('/later', 'bad.test')
  assert.equal((await client.receiveHead()).status, 200)
  headCame.resolve()
  assert.equal(await client.closed, 'reset')
  await until(() => serai.accessLog.some(({ host, status, reason }) => host === 'bad.test' && status === 200 && reason === 'upstream_malformed'), { what: 'the access record' })
})
