// HTTP/2 asked for by clients of others: curl both ways, and h2load with many streams and large bodies.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { after, before, test } from 'node:test'
import type { DataPlaneSettings } from '#src/snapshot.ts'
import { service, startDataPlane, type DataPlane } from '#test/support/data-plane.ts'
import { makeFolder } from '#test/support/folder.ts'
import { startPairBackend, type PairBackend } from '#test/support/pairs.ts'
import { needs } from '#test/support/real-servers.ts'

const run = promisify(execFile)
const HOST = 'web.example.org'
let plane: DataPlane
let backends: PairBackend[]
const change = (same: DataPlaneSettings): DataPlaneSettings => ({ ...same, listeners: same.listeners.map((each) => ({ ...each, h2c: true })) })

before(async () => {
  backends = await Promise.all((['h1', 'h2'] as const).map((protocol) => startPairBackend(protocol, (request, response) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'x-method': request.method ?? '' })
    request.pipe(response)
  })))
  plane = await startDataPlane({ workers: 1, settings: change })
  plane.publish([service('web', [backends[0]!.address]), service('two', [backends[1]!.address], { scheme: 'h2c' })])
  await plane.settled()
})
after(async () => {
  await plane[Symbol.asyncDispose]()
  for (const backend of backends) await backend[Symbol.asyncDispose]()
})

for (const host of [HOST, 'two.example.org']) {
  test(`curl: 5 MiB up and down, with and without a length, and HEAD (${host})`, async (t) => {
    const curl = needs(t, 'curl')
    if (curl === undefined) return
    await using folder = await makeFolder()
    const sent = randomBytes(5 * 1024 * 1024)
    const file = await folder.write('sent', sent)
    const url = `http://${host}:${plane.port}/x`
    const usual = ['-sS', '--http2-prior-knowledge', '--resolve', `${host}:${plane.port}:127.0.0.1`, '--max-time', '20']
    for (const more of [[], ['-H', 'Content-Length:']]) {
      const { stdout }: { readonly stdout: string } = await run(curl, [...usual, ...more, '-T', file, '-o', folder.file('back'), '-w', '%{http_version} %{http_code} %{size_upload}', url])
      assert.equal(stdout, `2 200 ${sent.length}`)
      assert.ok((await readFile(folder.file('back'))).equals(sent))
    }
    const { stdout } = await run(curl, [...usual, '-I', url])
    assert.match(stdout, /^HTTP\/2 200 \r\n[^]*x-method: HEAD/i)
  })

  test(`h2load: 4 connections with 50 streams, 64 KiB there and back (${host})`, async (t) => {
    const h2load = needs(t, 'h2load')
    if (h2load === undefined) return
    await using folder = await makeFolder()
    const file = await folder.write('sent', randomBytes(64 * 1024))
    const { stdout } = await run(h2load, ['-t', '1', '-c', '4', '-m', '50', '-n', '2000', '-d', file, `--connect-to=127.0.0.1:${plane.port}`, `http://${host}:${plane.port}/x`])
    assert.match(stdout, /requests: 2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout/)
    assert.match(stdout, /2000 2xx, 0 3xx, 0 4xx, 0 5xx/)
  })
}
