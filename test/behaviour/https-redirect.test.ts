// A listener that sends everybody to https: the same host and target, by a status that keeps the method, except who came by https already.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, get } from '#test/support/client.ts'
import { startHttpBackend } from '#test/support/http-backend.ts'
import { startHttps } from '#test/support/https.ts'

test('requests are sent to https on the port that is named, whatever their route', async () => {
  await using backend = await startHttpBackend('ok')
  await using https = await startHttps({
    services: [{ name: 'web', tags: ['serai.host=a.example.org'], instances: [backend.address] }],
    listeners: { http: { address: '127.0.0.1:0', redirect: 'https:8443' }, plain: { address: '127.0.0.1:0', redirect: 'https' } },
  })
  const { port } = https.serai
  const first = await get(port, '/x/../y?q=1&r=%20', 'A.example.org:8080')
  assert.deepEqual([first.status, first.headers.get('location'), first.text], [301, 'https://a.example.org:8443/x/../y?q=1&r=%20', ''])
  const other = await get(Number(https.serai.listeners['plain']!.split(':').at(-1)), '/', 'unknown.example.org')
  assert.deepEqual([other.status, other.headers.get('location')], [301, 'https://unknown.example.org/'])
  await using client = await connect(port)
  client.send('POST / HTTP/1.1\r\nHost: [2001:db8::1]\r\nContent-Length: 3\r\n\r\nabc')
  const post = await client.receiveResponse()
  assert.deepEqual([post.status, post.headers.get('location')], [308, 'https://[2001:db8::1]:8443/'])
  client.get('/again', 'a.example.org')
  assert.equal((await client.receiveResponse()).status, 301, 'the connection goes on')
  await using old = await connect(port)
  old.send('GET / HTTP/1.0\r\n\r\n')
  assert.equal((await old.receiveResponse()).status, 400, 'there is nowhere to send it')
  assert.equal(backend.count, 0)
})

test('a trusted peer that says https is served, a stranger that says so is not', async () => {
  await using backend = await startHttpBackend('ok')
  const start = (forwarded: readonly string[]): ReturnType<typeof startHttps> => startHttps({
    services: [{ name: 'web', tags: ['serai.host=a.example.org'], instances: [backend.address] }],
    listeners: { http: { address: '127.0.0.1:0', redirect: 'https' } }, config: { trust: { forwarded } },
  })
  await using trusting = await start(['127.0.0.1/32'])
  assert.equal((await get(trusting.serai.port, '/', 'a.example.org', 'X-Forwarded-Proto: https')).status, 200)
  assert.equal((await get(trusting.serai.port, '/', 'a.example.org', 'X-Forwarded-Proto: https, http')).status, 200)
  assert.equal((await get(trusting.serai.port, '/', 'a.example.org', 'X-Forwarded-Proto: http')).status, 301)
  assert.equal((await get(trusting.serai.port, '/', 'a.example.org')).status, 301)
  await using strict = await start([])
  assert.equal((await get(strict.serai.port, '/', 'a.example.org', 'X-Forwarded-Proto: https')).status, 301)
})
