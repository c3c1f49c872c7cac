// A client that goes away cancels its upstream request, wherever that stands; the endpoint is not blamed, and the log says 499.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startBackend, type Backend, type BackendOptions } from '#test/support/backend.ts'
import { connect, type Client } from '#test/support/client.ts'
import { startSerai, type Serai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'

const CLIENTS = 20

let serai: Serai
before(async () => {
  serai = await startSerai({ config: { workers: 2 } })
})
after(() => serai[Symbol.asyncDispose]())

const serve = (host: string, backend: Backend): Promise<void> => serai.services([{ name: host, tags: [`serai.host=${host}`], instances: [backend.address] }])

const stages: readonly { readonly name: string; readonly options: BackendOptions; readonly begin: (client: Client, host: string) => void; readonly seen: (client: Client) => Promise<unknown> }[] = [
  { name: 'before the response', options: { onRequest: () => undefined }, begin: (client, host) => client.get('/', host), seen: async () => undefined },
  {
    name: 'in the response', options: { onRequest: (_, connection) => connection.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it') },
    begin: (client, host) => client.get('/', host), seen: (client) => client.receiveHead(),
  },
  {
    name: 'in an endless response', options: { onRequest: (_, connection) => connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nevent\r\n') },
    begin: (client, host) => client.get('/', host), seen: (client) => client.receiveHead(),
  },
  { name: 'in its own body', options: { onHead: () => true }, begin: (client, host) => client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 100\r\n\r\nhalf of it`), seen: async () => undefined },
]

for (const { name, options, begin, seen } of stages) {
  for (const how of ['reset', 'end'] as const) {
    test(`${CLIENTS} clients go away ${name} (${how}): as many upstream requests are cancelled`, async (t) => {
      const host = `${name.replaceAll(' ', '-')}-${how}.test`
      await using backend = await startBackend({ record: false, ...options })
      await serve(host, backend)
      await using stack = new AsyncDisposableStack()
      const clients = await Promise.all(Array.from({ length: CLIENTS }, async () => stack.use(await connect(serai.port))))
      for (const client of clients) begin(client, host)
      await until(() => backend.connections.length === CLIENTS && backend.connections.every(({ received }) => received > 50), { what: 'all requests at the backend' })
      await Promise.all(clients.map(seen))
      const gone = performance.now()
      for (const client of clients) client[how]()
      await Promise.all(backend.connections.map(({ closed }) => closed))
      t.diagnostic(`${backend.connections.length} of ${CLIENTS} cancelled within ${(performance.now() - gone).toFixed(0)} ms`)
      const records = await until(() => {
        const all = serai.accessLog.filter((record) => record['host'] === host)
        return all.length === CLIENTS && all
      }, { what: 'all access records' })
      assert.ok(records.every(({ status, reason, endpoint }) => status === 499 && reason === 'client_abort' && endpoint === backend.address), JSON.stringify(records[0]))
    })
  }
}

test('while the connection is still being opened: nothing is sent', async () => {
  // Accepting and TLS: the handshake is never answered.
  await using backend = await startBackend({ onConnection: (connection) => connection.pause() })
  await serai.services([{ name: 'opening', tags: ['serai.host=opening.test', 'serai.scheme=https'], instances: [backend.address] }])
  await using client = await connect(serai.port)
  client.get('/', 'opening.test')
  await until(() => backend.connections.length === 1, { what: 'the connection' })
  client.reset()
  await until(() => serai.accessLog.some(({ host, status }) => host === 'opening.test' && status === 499), { what: 'the access record' })
  backend.connections[0]!.resume()
  await backend.connections[0]!.closed
})

test('no endpoint was blamed for any of it', async () => {
  const { body } = await serai.ask('/api/services')
  assert.ok((body as { services: { endpoints: { state: string }[] }[] }).services.every(({ endpoints }) => endpoints.every(({ state }) => state === 'ready')))
  const aborts = Number(/^serai_client_aborts_total (\d+)/m.exec(String((await serai.ask('/metrics')).body))?.[1])
  assert.equal(aborts, 2 * stages.length * CLIENTS + 1)
})
