// Fuzzing over the wire: random streams through a real Serai to a backend that reads strictly, and then both have counted the same.
import fc from 'fast-check'
import { connect } from '#test/support/client.ts'
import { startSerai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'
import { splitAt, splits, streams } from './streams.ts'
import { startStrictBackend } from './strict-backend.ts'

export interface WireResult {
  readonly streams: number
  /** Requests that the backend received. */
  readonly requests: number
  /** Responses that clients got from Serai itself, refusals above all. */
  readonly refused: number
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const AT_ONCE = 16

/** Sends `count` streams; throws with the stream's bytes when one of them desynchronises the two sides. */
export async function fuzzWire(seed: number, count: number): Promise<WireResult> {
  let requests = 0
  await using backend = await startStrictBackend(({ method }) => {
    requests++
    return method === 'HEAD' ? OK.slice(0, -2) : OK
  })
  await using serai = await startSerai({
    services: [{ name: 'web', tags: ['serai.host=a.example.org'], instances: [backend.address] }],
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
  if (backend.poison.length > 0) throw new Error(`seed ${seed}: the backend was sent something that is no request: ${backend.poison.join('; ')}`)
  await until(() => answeredByUpstream() >= requests, { what: `as many records as requests (${requests}), seed ${seed}` })
  if (answeredByUpstream() !== requests) throw new Error(`seed ${seed}: the backend received ${requests} requests, Serai logged ${answeredByUpstream()}`)
  const crashed = serai.logs.filter(({ level }) => level === 'error' || level === 'fatal')
  if (crashed.length > 0) throw new Error(`seed ${seed}: Serai said ${JSON.stringify(crashed)}`)
  return { streams: count, requests, refused: serai.accessLog.length - answeredByUpstream() }
}
