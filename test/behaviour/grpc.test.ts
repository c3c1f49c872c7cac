// gRPC through Serai with its own client and server: every kind of call, deadlines, cancellation, large messages, and errors of ours.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, suite, test } from 'node:test'
import grpc from '@grpc/grpc-js'
import type { DataPlaneSettings } from '#src/snapshot.ts'
import { service, startDataPlane, type DataPlane } from '#test/support/data-plane.ts'
import { until } from '#test/support/until.ts'

const same = (value: Buffer): Buffer => value
const method = <Kind extends { readonly requestStream: boolean; readonly responseStream: boolean }>(name: string, kind: Kind): Kind & grpc.MethodDefinition<Buffer, Buffer> =>
  ({ ...kind, path: `/test.Echo/${name}`, requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same, originalName: name })
const unary = { requestStream: false, responseStream: false } as const
const echo = {
  Unary: method('Unary', unary),
  Down: method('Down', { requestStream: false, responseStream: true } as const),
  Up: method('Up', { requestStream: true, responseStream: false } as const),
  Both: method('Both', { requestStream: true, responseStream: true } as const),
  Fail: method('Fail', unary),
  Hang: method('Hang', unary),
}
const EchoClient = grpc.makeGenericClientConstructor(echo, 'Echo')
type Call = (...args: unknown[]) => grpc.ClientDuplexStream<Buffer, Buffer> & { cancel(): void }

let plane: DataPlane
let server: grpc.Server
let client: grpc.Client & Record<string, Call>
let cancelled = 0
const settings = (defaults: DataPlaneSettings): DataPlaneSettings => ({ ...defaults, listeners: defaults.listeners.map((each) => ({ ...each, h2c: true })) })
const credentials = grpc.credentials.createInsecure()
const clientOf = (authority: string, options: Readonly<Record<string, unknown>> = {}): typeof client =>
  new EchoClient(`127.0.0.1:${plane.port}`, credentials, { 'grpc.default_authority': authority, 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1, 'grpc.enable_retries': 0, ...options }) as unknown as typeof client

before(async () => {
  server = new grpc.Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 })
  server.addService(echo, {
    Unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
      const trailers = new grpc.Metadata()
      trailers.set('x-trailer', 'told')
      call.sendMetadata(call.metadata.clone())
      done(null, call.request, trailers)
    },
    Down: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
      for (let at = 0; at < 100; at++) call.write(Buffer.from(`${at} ${call.request.toString()}`))
      call.end()
    },
    Up: (call: grpc.ServerReadableStream<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
      let size = 0
      call.on('data', (message: Buffer) => { size += message.length })
      call.on('end', () => done(null, Buffer.from(String(size))))
    },
    Both: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
      call.on('cancelled', () => { cancelled++ })
      call.on('data', (message: Buffer) => call.write(message))
      call.on('end', () => call.end())
    },
    Fail: (_: unknown, done: grpc.sendUnaryData<Buffer>) => done({ code: grpc.status.FAILED_PRECONDITION, details: 'not today' }),
    Hang: (call: grpc.ServerUnaryCall<Buffer, Buffer>) => { call.on('cancelled', () => { cancelled++ }) },
  })
  const port = await new Promise<number>((resolve, reject) => server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error))))
  plane = await startDataPlane({ workers: 1, settings })
  plane.publish([service('echo', [`127.0.0.1:${port}`], { scheme: 'grpc' }), service('dead', ['127.0.0.1:1'], { scheme: 'grpc' })])
  await plane.settled()
  client = clientOf('echo.example.org')
})
after(async () => {
  client.close()
  server.forceShutdown()
  await plane[Symbol.asyncDispose]()
})

const call = (name: string, message: Buffer, options: grpc.CallOptions = {}, of = client, metadata = new grpc.Metadata()): Promise<{ reply: Buffer; head: grpc.Metadata; status: grpc.StatusObject }> =>
  new Promise((resolve, reject) => {
    let reply: Buffer = Buffer.alloc(0)
    let head = new grpc.Metadata()
    const running = of[name]!(message, metadata, options, (error: grpc.ServiceError | null, value: Buffer) => {
      if (error !== null) reject(error)
      else reply = value
    })
    running.on('metadata', (value) => { head = value })
    running.on('status', (status) => { if (status.code === grpc.status.OK) resolve({ reply, head, status }) })
  })
const collect = async (stream: NodeJS.ReadableStream): Promise<Buffer[]> => {
  const all: Buffer[] = []
  for await (const message of stream) all.push(message as unknown as Buffer)
  return all
}

suite('gRPC', () => {
  test('unary, with metadata, trailers and an empty message', async () => {
    const metadata = new grpc.Metadata()
    metadata.set('x-asked', 'yes')
    metadata.set('x-raw-bin', Buffer.from([0, 255, 10]))
    const { reply, head, status } = await call('Unary', Buffer.from('hello'), {}, client, metadata)
    assert.deepEqual([reply.toString(), head.get('x-asked'), head.get('x-raw-bin'), status.metadata.get('x-trailer')], ['hello', ['yes'], [Buffer.from([0, 255, 10])], ['told']])
    assert.match(String(head.get('x-forwarded-for')), /127\.0\.0\.1/)
    assert.equal((await call('Unary', Buffer.alloc(0))).reply.length, 0)
  })

  test('streams: from the server, from the client, both ways in step', async () => {
    const down = await collect(client['Down']!(Buffer.from('x')))
    assert.equal(down.length, 100)
    assert.equal(down[99]!.toString(), '99 x')
    const size = await new Promise<string>((resolve, reject) => {
      const up = client['Up']!((error: Error | null, value: Buffer) => (error === null ? resolve(value.toString()) : reject(error)))
      for (let at = 0; at < 100; at++) up.write(Buffer.alloc(1000))
      up.end()
    })
    assert.equal(size, '100000')
    const both = client['Both']!()
    for (let at = 0; at < 50; at++) {
      both.write(Buffer.from(`step ${at}`))
      const [message] = (await once(both, 'data')) as [Buffer]
      assert.equal(message.toString(), `step ${at}`)
    }
    both.end()
    await once(both, 'status')
  })

  test('messages of 4 MiB, 20 at once', async () => {
    const large = Buffer.alloc(4 * 1024 * 1024, 5)
    const replies = await Promise.all(Array.from({ length: 20 }, () => call('Unary', large)))
    assert.ok(replies.every(({ reply }) => reply.equals(large)))
  })

  test('an error of the service arrives as it is (trailers only)', async () => {
    await assert.rejects(call('Fail', Buffer.alloc(1)), { code: grpc.status.FAILED_PRECONDITION, details: 'not today' })
    await assert.rejects(call('Unary', Buffer.alloc(1), {}, client, new grpc.Metadata()).then(() => call('Nothing', Buffer.alloc(1))), TypeError)
  })

  test('a deadline ends the call on both sides', async () => {
    const before = cancelled
    await assert.rejects(call('Hang', Buffer.alloc(1), { deadline: Date.now() + 200 }), { code: grpc.status.DEADLINE_EXCEEDED })
    await until(() => cancelled > before, { what: 'the service to hear of it' })
  })

  test('a client that cancels ends the call for the service', async () => {
    const before = cancelled
    const both = client['Both']!()
    both.on('error', () => undefined)
    both.write(Buffer.from('x'))
    await once(both, 'data')
    both.cancel()
    await until(() => cancelled > before, { what: 'the service to hear of it' })
  })

  test('errors of ours are statuses that gRPC clients understand', async () => {
    for (const [authority, code, words] of [['unknown.example.org', grpc.status.UNIMPLEMENTED, /no route/], ['dead.example.org', grpc.status.UNAVAILABLE, /could not be reached/]] as const) {
      const other = clientOf(authority)
      await assert.rejects(call('Unary', Buffer.alloc(1), {}, other), (error: grpc.ServiceError) => error.code === code && words.test(error.details))
      other.close()
    }
  })

  test('a service that goes away in good order loses no call', async () => {
    let port = 0
    const start = async (): Promise<grpc.Server> => {
      const next = new grpc.Server()
      next.addService({ Unary: echo.Unary }, { Unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => void setImmediate(() => done(null, call.request)) })
      port = await new Promise<number>((resolve, reject) => next.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error))))
      return next
    }
    const first = await start()
    const firstPort = port
    const second = await start()
    plane.publish([service('pair', [`127.0.0.1:${firstPort}`, `127.0.0.1:${port}`], { scheme: 'grpc' })])
    await plane.settled()
    const other = clientOf('pair.example.org')
    let done = 0
    const calls = Array.from({ length: 50 }, async () => {
      for (let at = 0; at < 20; at++) {
        await call('Unary', Buffer.from('x'), {}, other)
        done++
      }
    })
    await until(() => done > 100, { what: 'calls under way' })
    const shut = new Promise<void>((resolve) => first.tryShutdown(() => resolve()))
    await Promise.all(calls)
    assert.equal(done, 1000)
    await shut
    other.close()
    second.forceShutdown()
  })
})
