// How failures of services over HTTP/2 are told, repeated and counted: what breaks a connection's rules, what ends it, and what never was HTTP/2.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { connect, type Response } from '#test/support/client.ts'
import { startFrameService } from '#test/support/frame-service.ts'
import { block, frame, rst, word } from '#test/support/http2-frames.ts'
import { startSerai, type LogRecord, type Serai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'

let serai: Serai
before(async () => {
  serai = await startSerai({ config: { workers: 1, defaults: { balance: 'rr', eject: { failures: 5, time: '60s' } }, upstream: { connect: '1s' } } })
})
after(() => serai[Symbol.asyncDispose]())

const serve = (name: string, ...addresses: readonly string[]): Promise<void> =>
  serai.services([{ name, tags: [`serai.host=${name}.test`, 'serai.scheme=h2c'], instances: [...addresses] }])

let number = 0
/** Asks on a connection of its own: the answer (undefined: it was cut), and the record of it. */
async function ask(host: string, method = 'POST', path = '/'): Promise<{ readonly answer: Response | undefined; readonly record: LogRecord }> {
  const mark = `n${number++}`
  await using client = await connect(serai.port)
  client.send(`${method} ${path} HTTP/1.1\r\nHost: ${host}.test\r\nUser-Agent: ${mark}\r\nContent-Length: 0\r\n\r\n`)
  const answer = await client.receiveResponse().catch(() => undefined)
  const record = await until(() => serai.accessLog.find(({ user_agent }) => user_agent === mark), { what: `the record of ${host}${path}` })
  return { answer, record }
}

const head = (id: number, flags: number, ...fields: readonly (readonly [string, string])[]): Buffer => frame('HEADERS', flags, id, block([[':status', '200'], ...fields]))
const ok = (id: number, socket: Socket): void => void socket.write(head(id, 5))
const push = (id: number): Buffer => frame('PUSH_PROMISE', 4, id, Buffer.concat([word(2), block([[':method', 'GET']])]))

const broken: readonly (readonly [name: string, answer: (id: number) => Buffer, failure: string])[] = [
  ['a push', push, 'malformed: PROTOCOL_ERROR: PUSH_PROMISE'],
  ['no HPACK', (id) => frame('HEADERS', 5, id, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff])), 'malformed: COMPRESSION_ERROR: not HPACK'],
  ['a frame too large', () => Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1]), 'malformed: FRAME_SIZE_ERROR: frame too large'],
  ['an answer to nobody', (id) => head(id + 100, 5), 'malformed: PROTOCOL_ERROR: HEADERS on a stream that was not opened'],
  ['a window by nothing', () => frame('WINDOW_UPDATE', 0, 0, word(0)), 'malformed: PROTOCOL_ERROR: WINDOW_UPDATE by nothing'],
]

suite('a service that breaks the rules of its connection is told as malformed, in words', () => {
  for (const [at, [name, answerOf, failure]] of broken.entries()) {
    test(name, async () => {
      const host = `broken-${at}`
      await using service = await startFrameService((id, socket) => void socket.write(answerOf(id)))
      await serve(host, service.address)
      const { answer, record } = await ask(host)
      assert.deepEqual([answer?.status, record['status'], record['reason'], record['failure']], [502, 502, 'upstream_malformed', failure])
      assert.ok(String((await serai.ask('/metrics')).body).includes(`\nserai_attempts_total{service="${host}@file/default",result="malformed"} 1\n`))
    })
  }

  test('once an answer has begun: it is cut', async () => {
    await using service = await startFrameService((id, socket) => void socket.write(Buffer.concat([head(id, 4), frame('DATA', 0, id, 'begun'), push(id)])))
    await serve('begun', service.address)
    const { answer, record } = await ask('begun', 'GET')
    assert.deepEqual([answer, record['status'], record['reason']], [undefined, 200, 'upstream_malformed'])
  })

  test('what ends a connection without breaking a rule is a reset, as is a stream that is reset', async () => {
    await using service = await startFrameService((id, socket) => void (id === 1 ? socket.write(rst(id, 2)) : socket.end()))
    await serve('ends', service.address)
    assert.deepEqual([await ask('ends'), await ask('ends')].map(({ record }) => [record['reason'], record['failure']]), [
      ['upstream_reset', 'reset: RST_STREAM INTERNAL_ERROR'], ['upstream_reset', 'reset: closed by the upstream'],
    ])
  })
})

test('others on a connection that breaks: what is whole arrives, a GET is repeated elsewhere, a POST is not, and what a GOAWAY left out is', async () => {
  await using good = await startFrameService(ok)
  await using breaking = await startFrameService((id, socket, connection) => {
    if (connection > 0) ok(id, socket)
    else if (id === 1) socket.write(Buffer.concat([head(id, 4, ['content-length', '5']), frame('DATA', 0, id, 'whole')])) // all of it, and no end of the stream
  })
  await serve('others', breaking.address)
  const asked = []
  for (const [method, path] of [['GET', '/whole'], ['GET', '/repeated'], ['POST', '/sent'], ['POST', '/not-taken']] as const) {
    asked.push(ask('others', method, path))
    await until(() => breaking.requests.length === asked.length, { what: `${path} at the service` })
  }
  await serve('others', breaking.address, good.address)
  breaking.sockets[0]!.write(Buffer.concat([frame('GOAWAY', 0, 0, Buffer.concat([word(5), word(0)])), push(1)]))
  const [whole, repeated, sent, notTaken] = (await Promise.all(asked)).map(({ answer, record }) => [answer?.status, answer?.text, record['reason'], record['failure'], record['tried']])
  const broke = 'malformed: PROTOCOL_ERROR: PUSH_PROMISE'
  assert.deepEqual(whole, [200, 'whole', undefined, undefined, undefined])
  assert.deepEqual(repeated, [200, '', undefined, broke, [breaking.address]])
  assert.deepEqual([sent![0], ...sent!.slice(2)], [502, 'upstream_malformed', broke, undefined])
  assert.deepEqual(notTaken, [200, '', undefined, 'reset: GOAWAY NO_ERROR', [breaking.address]])
  assert.deepEqual([good.requests, breaking.requests.slice(4)], [['0: GET /repeated'], ['1: POST /not-taken']])
})

test('an endpoint that breaks connection after connection is ejected, with the words', async () => {
  await using good = await startFrameService(ok)
  await using breaking = await startFrameService((id, socket) => void socket.write(push(id)))
  await serve('ejects', good.address, breaking.address)
  let state: { readonly state: string; readonly why: string } | undefined
  await until(async () => {
    await ask('ejects')
    const { services } = (await serai.ask('/api/services')).body as { services: { endpoints: { address: string; state: string; why: string }[] }[] }
    state = services.flatMap(({ endpoints }) => endpoints).find(({ address }) => address === breaking.address)
    return state?.state === 'ejected'
  }, { what: 'the ejection' })
  assert.match(state!.why, /^malformed: PROTOCOL_ERROR: PUSH_PROMISE; back at/)
  assert.equal(breaking.requests.length, 5)
})

suite('a service that speaks something else than HTTP/2 is told so, and gets no request', () => {
  /** Once it was spoken to, it says this. */
  const speaks = (...pieces: readonly string[]): Server => createServer((socket) => {
    const say = (at: number): void => void (at < pieces.length && socket.write(pieces[at]!, 'latin1', () => say(at + 1)))
    socket.on('error', () => undefined).once('data', () => say(0))
  })
  const others: readonly (readonly [name: string, server: () => Server, failure: string])[] = [
    ['HTTP/1.1', () => http.createServer(() => assert.fail('a request')), 'connect: the upstream speaks HTTP/1, not HTTP/2'],
    ['HTTP/1.1 in pieces', () => speaks('H', 'TTP/1.1 400 Bad Request\r\n\r\n'), 'connect: the upstream speaks HTTP/1, not HTTP/2'],
    ['TLS', () => speaks('\x15\x03\x01\0\x02\x02\x32'), 'connect: the upstream speaks TLS, not HTTP/2 in the clear'],
    ['SMTP', () => speaks('220 ready\r\n'), 'connect: the upstream does not speak HTTP/2'],
    ['frames, and no SETTINGS', () => speaks('\0\0\x08\x06\0\0\0\0\0pingping'), 'connect: PROTOCOL_ERROR: a frame where none belongs'],
    ['nothing', () => createServer((socket) => void socket.on('error', () => undefined).resume().end()), 'connect: closed by the upstream before it spoke HTTP/2'],
  ]
  for (const [name, create, failure] of others) {
    test(name, async () => {
      const server = create().listen(0, '127.0.0.1')
      await once(server, 'listening')
      try {
        await serve('other', `127.0.0.1:${(server.address() as AddressInfo).port}`)
        const { answer, record } = await ask('other')
        assert.deepEqual([answer?.status, record['reason'], record['failure']], [502, 'connect_failed', failure])
      } finally {
        server.close()
      }
    })
  }
})
