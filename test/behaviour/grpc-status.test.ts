// How gRPC calls are told, with gRPC's own client and server: by the grpc-status that the client got, in the access log and in a metric, and only calls of gRPC.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import grpc from '@grpc/grpc-js'
import { startFrameService, type FrameService } from '#test/support/frame-service.ts'
import { block, frame, rst } from '#test/support/http2-frames.ts'
import { startClient, type Protocol } from '#test/support/pairs.ts'
import { startSerai, type LogRecord, type Serai } from '#test/support/serai.ts'
import { DEADLINE_MS, until, within } from '#test/support/until.ts'

const same = (value: Buffer): Buffer => value
const method = <Kind extends { readonly requestStream: boolean; readonly responseStream: boolean }>(name: string, kind: Kind): Kind & grpc.MethodDefinition<Buffer, Buffer> =>
  ({ ...kind, path: `/test.Status/${name}`, requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same, originalName: name })
const calls = {
  End: method('End', { requestStream: false, responseStream: false } as const),
  Down: method('Down', { requestStream: false, responseStream: true } as const),
}
const StatusClient = grpc.makeGenericClientConstructor(calls, 'Status')
type Client = grpc.Client & Record<string, (...args: unknown[]) => grpc.ClientReadableStream<Buffer>>

let serai: Serai
let server: grpc.Server
let odd: FrameService
const entry = (name: string, scheme: string, address: string): { name: string; tags: string[]; instances: string[] } => ({ name, tags: [`serai.host=${name}.test`, `serai.scheme=${scheme}`], instances: [address] })

before(async () => {
  server = new grpc.Server()
  server.addService(calls, {
    /** Ends with the status that the message says. */
    End: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
      const code = Number(call.request.toString())
      if (code === 0) done(null, call.request)
      else done({ code, details: 'as asked' })
    },
    /** A message first; and for 99 nothing more. */
    Down: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
      const code = Number(call.request.toString())
      call.write(Buffer.from('first'))
      if (code !== 99) call.emit('error', { code, details: 'as asked' })
    },
  })
  const port = await new Promise<number>((resolve, reject) => server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error))))
  // What no library of gRPC sends.
  odd = await startFrameService((id, socket) => {
    const head = frame('HEADERS', 4, id, block([[':status', '200'], ['content-type', 'application/grpc']]))
    const trailers = (status: string): Buffer => frame('HEADERS', 5, id, block([['grpc-status', status]]))
    const path = odd.requests.at(-1)!
    if (path.endsWith('cut')) socket.write(Buffer.concat([head, frame('DATA', 0, id, '\0\0\0\0\0'), rst(id, 2)]))
    else if (path.endsWith('bare')) socket.write(frame('HEADERS', 5, id, block([[':status', '404']])))
    else if (path.endsWith('value')) socket.write(Buffer.concat([head, trailers('1701')]))
  })
  const dead = '127.0.0.1:1'
  serai = await startSerai({
    config: { workers: 1, listeners: { http: { address: '127.0.0.1:0', h2c: true } } },
    services: [entry('echo', 'grpc', `127.0.0.1:${port}`), entry('odd', 'grpc', odd.address), entry('dead', 'grpc', dead), entry('plain', 'h2c', dead)],
  })
})
after(async () => {
  await serai[Symbol.asyncDispose]()
  await odd[Symbol.asyncDispose]()
  server.forceShutdown()
})

let number = 0
/** What a call of gRPC's own client ended with, and the record of it; `use` has the stream of `Down`. */
async function call(host: string, name: 'End' | 'Down', message: string, use: (stream: grpc.ClientReadableStream<Buffer>) => void = () => undefined): Promise<{ readonly code: number; readonly record: LogRecord }> {
  const mark = `mark-${number++}`
  const client = new StatusClient(`127.0.0.1:${serai.port}`, grpc.credentials.createInsecure(), { 'grpc.default_authority': `${host}.test`, 'grpc.primary_user_agent': mark, 'grpc.enable_retries': 0 }) as unknown as Client
  const running = name === 'End' ? client.End!(Buffer.from(message), () => undefined) : client.Down!(Buffer.from(message))
  if (name === 'Down') running.on('error', () => undefined).on('data', () => undefined)
  use(running)
  const { code } = await within(new Promise<grpc.StatusObject>((resolve) => void running.on('status', resolve)), DEADLINE_MS, () => `${host} ${name}: its status`)
  client.close()
  return { code, record: await recordOf(mark) }
}

const recordOf = (mark: string): Promise<LogRecord> => until(() => serai.accessLog.find((record) => String(record['user_agent']).startsWith(`${mark} `) || record['user_agent'] === mark), { what: `the record of ${mark}` })
/** The calls of a service that are counted, by code. */
async function counted(service: string): Promise<Record<string, number>> {
  const text = String((await serai.ask('/metrics')).body)
  const series = [...text.matchAll(/^serai_grpc_calls_total\{service="([^"]*)",code="([^"]*)"\} (\d+)$/gm)].filter(([, of]) => of === service)
  return Object.fromEntries(series.map(([, , code, count]) => [code!, Number(count)] as const))
}

test('the status of the service: in trailers, in an answer that is nothing else, and behind messages', async () => {
  for (const [name, code] of [['End', 0], ['End', 0], ['End', 9], ['End', 16], ['Down', 5]] as const) {
    const { code: got, record } = await call('echo', name, String(code))
    assert.deepEqual([got, record['grpc_status'], record['status'], record['reason']], [code, code, 200, undefined])
  }
  assert.deepEqual(await counted('echo@file/default'), { 0: 2, 5: 1, 9: 1, 16: 1 })
})

test('an error of ours: the status that the client got, beside the HTTP status that the same error has elsewhere', async () => {
  const cases = [['dead', grpc.status.UNAVAILABLE, 502, 'connect_failed'], ['nobody', grpc.status.UNIMPLEMENTED, 404, 'no_route']] as const
  for (const [host, code, status, reason] of cases) {
    const { code: got, record } = await call(host, 'End', '0')
    assert.deepEqual([got, record['grpc_status'], record['status'], record['reason']], [code, code, status, reason])
  }
  assert.deepEqual([await counted('dead@file/default'), await counted('none')], [{ 14: 1 }, { 12: 1 }])
})

test('a service that is not said to speak gRPC: the record has the status of an error of ours, and the metric no calls of which it would know the failed ones alone', async () => {
  const { record } = await call('plain', 'End', '0')
  assert.deepEqual([record['grpc_status'], record['status'], await counted('plain@file/default')], [14, 502, {}])
})

/** A call to the odd service by a client without a library; the record of it. */
async function callOdd(path: string, headers: Readonly<Record<string, string>> = {}): Promise<LogRecord> {
  await using client = startClient('h2', serai.port)
  await client.ask({ method: 'POST', path, host: 'odd.test', headers: { 'content-type': 'application/grpc', te: 'trailers', 'user-agent': path, ...headers }, body: [Buffer.alloc(5)] }).answer.catch(() => undefined)
  return await recordOf(path)
}

test('a value that is no status is one kind, whatever it says; a stream that is cut and an answer that is no gRPC have none', async () => {
  const records = [await callOdd('/value'), await callOdd('/cut'), await callOdd('/bare')]
  assert.deepEqual(records.map(({ grpc_status, status, reason }) => [grpc_status, status, reason]), [[-1, 200, undefined], [undefined, 200, 'upstream_reset'], [undefined, 404, undefined]])
  assert.deepEqual(await counted('odd@file/default'), { other: 1, none: 2 })
})

test('a call that outlives its deadline has the status of that', async () => {
  const { grpc_status, status, reason } = await callOdd('/hangs', { 'grpc-timeout': '200m' })
  assert.deepEqual([grpc_status, status, reason, (await counted('odd@file/default'))[4]], [4, 504, 'total_timeout', 1])
})

test('a client that goes away gets none', async () => {
  const before = (await counted('echo@file/default'))['none'] ?? 0
  const { record } = await call('echo', 'Down', '99', (stream) => void stream.once('data', () => stream.cancel()))
  assert.deepEqual([record['grpc_status'], record['reason'], (await counted('echo@file/default'))['none']], [undefined, 'client_abort', before + 1])
})

for (const protocol of ['h1', 'h2'] satisfies Protocol[]) {
  test(`gRPC-Web over ${protocol}: as gRPC, also in base64`, async () => {
    await using client = startClient(protocol, serai.port)
    const message = Buffer.from('\0\0\0\0\x017', 'latin1')
    for (const [host, type, body, expected] of [
      ['echo', 'application/grpc-web', message, [7, 200, undefined]],
      ['echo', 'application/grpc-web-text', Buffer.from(message.toString('base64')), [7, 200, undefined]],
      ['dead', 'application/grpc-web', message, [14, 502, 'connect_failed']],
    ] as const) {
      const mark = `web-${number++}`
      await client.ask({ method: 'POST', path: '/test.Status/End', host: `${host}.test`, headers: { 'content-type': type, 'content-length': String(body.length), 'user-agent': mark }, body: [body] }).answer
      const { grpc_status, status, reason } = await recordOf(mark)
      assert.deepEqual([grpc_status, status, reason], expected)
    }
  })
}

test('what is no call of gRPC has no such status, and is not counted as one', async () => {
  const before = await counted('echo@file/default')
  await using client = startClient('h2', serai.port)
  const { status } = await client.ask({ path: '/test.Status/End', host: 'echo.test', headers: { 'user-agent': 'no-call' } }).answer
  const record = await recordOf('no-call')
  assert.deepEqual([record['status'], 'grpc_status' in record, await counted('echo@file/default')], [status, false, before])
})
