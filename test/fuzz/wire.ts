// Fuzzing over the wire: random streams through a real Serai to a backend that reads strictly, and then both have counted the same.
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { connect } from '#test/support/client.ts'
import { startSerai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'
import { readStream } from './oracle.ts'
import { splitAt, splits, streams } from './streams.ts'

export interface WireResult {
  readonly streams: number
  /** Requests that the backend received. */
  readonly requests: number
  /** Responses that clients got from Serai itself, refusals above all. */
  readonly refused: number
}

/** The backend believes nothing that the oracle does not; what we add to a head is no attack. */
const upstreamBounds = { headBytes: 65_536, headers: 200 }
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const AT_ONCE = 16

/** Sends `count` streams; throws with the stream's bytes when one of them desynchronises the two sides. */
export async function fuzzWire(seed: number, count: number): Promise<WireResult> {
  let requests = 0
  const poison: string[] = []
  const server = createServer((socket) => {
    let unread = ''
    socket.on('error', () => socket.destroy())
    socket.on('data', (bytes) => {
      unread += bytes.toString('latin1')
      const { messages, last, why } = readStream(unread, upstreamBounds)
      if (last === 'rejected') poison.push(`${why}: ${JSON.stringify(unread)}`)
      unread = unread.slice(messages.at(-1)?.end ?? 0)
      requests += messages.length
      for (const { method } of messages) socket.write(method === 'HEAD' ? OK.slice(0, -2) : OK)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    await using serai = await startSerai({
      services: [{ name: 'web', tags: ['serai.host=a.example.org'], instances: [`127.0.0.1:${(server.address() as AddressInfo).port}`] }],
      config: { workers: 1, client: { head: '100ms', body: '100ms', keepAlive: '100ms' }, upstream: { keepAlive: '1s' } },
    })
    const inputs = fc.sample(fc.tuple(streams, splits), { seed, numRuns: count })
    const sendAll = async (from: number): Promise<void> => {
      for (let at = from; at < inputs.length; at += AT_ONCE) {
        const [stream, split] = inputs[at]!
        await using client = await connect(serai.port)
        for (const piece of splitAt(stream, split)) client.send(piece)
        await client.closed // each ends at the latest when its deadline does
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => sendAll(index)))
    const answeredByUpstream = (): number => serai.accessLog.filter(({ status, reason }) => status === 200 && (reason === undefined || reason === '')).length
    if (poison.length > 0) throw new Error(`seed ${seed}: the backend was sent something that is no request: ${poison.join('; ')}`)
    await until(() => answeredByUpstream() >= requests, { what: `as many records as requests (${requests}), seed ${seed}` })
    if (answeredByUpstream() !== requests) throw new Error(`seed ${seed}: the backend received ${requests} requests, Serai logged ${answeredByUpstream()}`)
    const crashed = serai.logs.filter(({ level }) => level === 'error' || level === 'fatal')
    if (crashed.length > 0) throw new Error(`seed ${seed}: Serai said ${JSON.stringify(crashed)}`)
    return { streams: count, requests, refused: serai.accessLog.length - answeredByUpstream() }
  } finally {
    server.close()
  }
}
