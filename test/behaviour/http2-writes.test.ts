// What is ready in one turn of the event loop goes out in one write a connection: counted at the handles, in the program as it runs.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { makeFolder } from '#test/support/folder.ts'
import { connectHttp2 } from '#test/support/http2-client.ts'
import { block, frame, get, post, readFrames, settings, SETTINGS_ACK, type } from '#test/support/http2-frames.ts'
import { startSerai } from '#test/support/serai.ts'

const HOST = 'web.example.org'
const AT_ONCE = 50

interface Gathering extends AsyncDisposable {
  readonly port: number
  /** How many it waits for from now on, and answers together in one write. */
  expect(count: number): void
}

/** A service over h2c, which knows only complete requests. */
async function startGathering(): Promise<Gathering> {
  const asked: number[] = []
  const sockets = new Set<Socket>()
  let expected = 0
  const server = createServer((socket) => {
    let rest: Buffer = Buffer.alloc(0)
    let greeted = false
    sockets.add(socket)
    socket.setNoDelay()
    socket.on('error', () => undefined)
    socket.write(settings())
    socket.on('data', (chunk: Buffer) => {
      const read = readFrames(Buffer.concat([rest, greeted ? chunk : chunk.subarray(24)]))
      greeted = true
      rest = read.rest
      for (const { type: kind, flags, id } of read.frames) {
        if (kind === type.SETTINGS && (flags & 1) === 0) socket.write(SETTINGS_ACK)
        if ((kind === type.HEADERS || kind === type.DATA) && (flags & 1) !== 0) asked.push(id)
      }
      if (asked.length === 0 || asked.length < expected) return
      socket.write(Buffer.concat(asked.splice(0).flatMap((id) => [frame('HEADERS', 4, id, block([[':status', '200'], ['x-own', `of ${id}`]])), frame('DATA', 1, id, `answer ${id}`)])))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    expect(count) { expected = count },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

test('fifty requests, and fifty answers with bodies, that come together leave together: one write each way', async () => {
  await using service = await startGathering()
  await using folder = await makeFolder()
  const file = await folder.write('writes', '')
  await using serai = await startSerai({
    services: [{ name: 'web', tags: [`serai.host=${HOST}`, 'serai.scheme=h2c'], instances: [`127.0.0.1:${service.port}`] }],
    config: { workers: 1, listeners: { http: { address: '127.0.0.1:0', h2c: true } } },
    env: { WRITES_FILE: file, NODE_OPTIONS: `--import=${fileURLToPath(new URL('../fixtures/count-writes.ts', import.meta.url))}` },
  })
  const writesTo = async (port: number): Promise<number> => (await readFile(file, 'utf8')).split('\n').filter((line) => line === String(port)).length
  await using client = await connectHttp2(serai.port)
  const clientPort = client.socket.localPort!
  let nextId = 1
  /** Asks in one write; how many writes that made, to the service and to the client. */
  const ask = async (count: number, head: (path: string, host: string) => Buffer, body?: string): Promise<{ readonly up: number; readonly down: number }> => {
    const [up, down] = [await writesTo(service.port), await writesTo(clientPort)]
    const ids = Array.from({ length: count }, (_, at) => nextId + 2 * at)
    nextId += 2 * count
    service.expect(count)
    client.send(...ids.flatMap((id) => [frame('HEADERS', body === undefined ? 5 : 4, id, head(`/${id}`, HOST)), ...(body === undefined ? [] : [frame('DATA', 1, id, body)])]))
    for (const id of ids) assert.equal(await client.over(id), -1)
    return { up: await writesTo(service.port) - up, down: await writesTo(clientPort) - down }
  }
  const first = await ask(1, get)
  assert.ok(first.up > 0 && first.down > 0, 'writes are seen')
  await ask(1, get) // the connections, and all that they say first, are there from now on
  assert.deepEqual(await ask(AT_ONCE, get), { up: 1, down: 1 })
  assert.deepEqual(await ask(AT_ONCE, post, 'a body'), { up: 1, down: 1 })
})
