// Session tickets: a session of one worker is resumed by any other, under TLS 1.2 and 1.3, and a change of certificate ends none of it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startHttpBackend } from '#test/support/http-backend.ts'
import { connectTls, startHttps, type Https } from '#test/support/https.ts'
import { needs } from '#test/support/real-servers.ts'
import { run } from '#test/support/run.ts'

async function start(): Promise<Https & AsyncDisposable> {
  await using cleanUp = new AsyncDisposableStack()
  const backend = cleanUp.use(await startHttpBackend('ok'))
  const https = cleanUp.use(await startHttps({ services: [{ name: 'web', tags: ['serai.host=a.example.org'], instances: [backend.address] }], config: { workers: 2 } }))
  const running = cleanUp.move()
  return { ...https, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

const acceptedBy = async ({ serai }: Https): Promise<readonly number[]> =>
  ((await serai.ask('/api/status')).body as { workers: { connections: number }[] }).workers.map(({ connections }) => connections)

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`${maxVersion}: every worker resumes`, async () => {
    await using https = await start()
    await using first = await connectTls(https.port, { maxVersion })
    assert.equal(first.socket.isSessionReused(), false)
    const ticket = Promise.withResolvers<Buffer>()
    first.socket.on('session', ticket.resolve)
    first.get('/', 'a.example.org')
    await first.receiveResponse()
    const session = maxVersion === 'TLSv1.2' ? first.socket.getSession()! : await ticket.promise
    await using clients = new AsyncDisposableStack()
    for (let each = 0; each < 16; each++) {
      const client = clients.use(await connectTls(https.port, { maxVersion, session }))
      assert.equal(client.socket.isSessionReused(), true)
      client.get('/', 'a.example.org')
      assert.equal((await client.receiveResponse()).text, 'ok')
    }
    assert.ok((await acceptedBy(https)).every((connections) => connections > 0), 'both workers had some')
    const { body } = await https.serai.ask('/metrics')
    assert.match(String(body), /^serai_tls_handshakes_total\{kind="full"\} 1$/m)
    assert.match(String(body), /^serai_tls_handshakes_total\{kind="resumed"\} 16$/m)
  })
}

test('openssl s_client -reconnect resumes each time', async (t) => {
  const openssl = needs(t, 'openssl')
  if (openssl === undefined) return
  await using https = await start()
  const { stdout } = await run(openssl, ['s_client', '-connect', `127.0.0.1:${https.port}`, '-servername', 'a.example.org', '-tls1_2', '-reconnect'])
  assert.equal(stdout.match(/^Reused, /gm)?.length, 5)
})
