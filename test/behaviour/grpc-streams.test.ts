// Streams of gRPC whose readers stop, with gRPC's own client and server: the writer stops too, others go on, and nothing is lost when reading goes on.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import grpc from '@grpc/grpc-js'
import { service, startDataPlane, type DataPlane } from '#test/support/data-plane.ts'
import { settled } from '#test/support/settled.ts'
import { until, within } from '#test/support/until.ts'

const MESSAGE_BYTES = 64 * 1024
/** As many as no windows and no buffers on the way can hold: 16 MiB. */
const MESSAGES = 256
/** What grpc-js, the kernel and we may hold of one stream together, in messages. */
const MOST_AHEAD = 100
/** What we may hold of one stream: what we have let the writer send, and a turn's worth on its way out. */
const MOST_HELD = 512 * 1024

const same = (value: Buffer): Buffer => value
const method = <Kind extends { readonly requestStream: boolean; readonly responseStream: boolean }>(name: string, kind: Kind): Kind & grpc.MethodDefinition<Buffer, Buffer> =>
  ({ ...kind, path: `/test.Streams/${name}`, requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same, originalName: name })
const streams = {
  Unary: method('Unary', { requestStream: false, responseStream: false } as const),
  Down: method('Down', { requestStream: false, responseStream: true } as const),
  Up: method('Up', { requestStream: true, responseStream: false } as const),
  Both: method('Both', { requestStream: true, responseStream: true } as const),
}
const StreamsClient = grpc.makeGenericClientConstructor(streams, 'Streams')

let plane: DataPlane
let server: grpc.Server
let client: grpc.Client & Record<string, (...args: unknown[]) => grpc.ClientDuplexStream<Buffer, Buffer>>
/** Messages that the service has written, and the gates that its reading waits for, by the name of the call. */
const written = new Map<string, number>()
const gates = new Map<string, PromiseWithResolvers<void>>()
const gateOf = (name: string): PromiseWithResolvers<void> => {
  const gate = gates.get(name) ?? Promise.withResolvers<void>()
  gates.set(name, gate)
  return gate
}
const nameOf = (call: { readonly metadata: grpc.Metadata }): string => String(call.metadata.get('x-name')[0])
const named = (name: string): grpc.Metadata => {
  const metadata = new grpc.Metadata()
  metadata.set('x-name', name)
  return metadata
}

const message = (at: number): Buffer => {
  const bytes = Buffer.alloc(MESSAGE_BYTES, at & 0xff)
  bytes.writeUInt32BE(at)
  return bytes
}

/** Writes all messages as fast as they are taken. */
async function writeAll(stream: { write(message: Buffer): boolean; once(event: 'drain', heard: () => void): unknown }, name: string): Promise<void> {
  for (let at = 0; at < MESSAGES; at++) {
    const goOn = stream.write(message(at))
    written.set(name, at + 1)
    if (!goOn) await new Promise<void>((resolve) => stream.once('drain', resolve))
  }
}

/**
 * Reads the first message, and, once the gate is open, on to the end: every message, whole and in its order. (A client of grpc-js that has never
 * read reads everything ahead.)
 */
async function readAll(stream: Readable, gate: Promise<void>): Promise<void> {
  let at = 0
  for await (const each of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) { // the other direction may go on
    assert.ok(each.equals(message(at)), `message ${at}`)
    if (at++ === 0) await gate
  }
  assert.equal(at, MESSAGES)
}

before(async () => {
  server = new grpc.Server()
  server.addService(streams, {
    Unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => done(null, call.request),
    Down: (call: grpc.ServerWritableStream<Buffer, Buffer>) => void writeAll(call, nameOf(call)).then(() => call.end()),
    Up: (call: grpc.ServerReadableStream<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => void readAll(call, gateOf(nameOf(call)).promise).then(() => done(null, Buffer.from('all')), done),
    Both: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => void Promise.all([writeAll(call, `${nameOf(call)} down`), readAll(call, gateOf(nameOf(call)).promise)]).then(() => call.end(), (error: Error) => call.destroy(error)),
  })
  const port = await new Promise<number>((resolve, reject) => server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error))))
  plane = await startDataPlane({ workers: 1, settings: (same) => ({ ...same, listeners: same.listeners.map((each) => ({ ...each, h2c: true })), upstream: { ...same.upstream, connections: 1 } }) })
  plane.publish([service('streams', [`127.0.0.1:${port}`], { scheme: 'grpc' })])
  await plane.settled()
  client = new StreamsClient(`127.0.0.1:${plane.port}`, grpc.credentials.createInsecure(), { 'grpc.default_authority': 'streams.example.org', 'grpc.enable_retries': 0 }) as unknown as typeof client
})
after(async () => {
  client.close()
  server.forceShutdown()
  await plane[Symbol.asyncDispose]()
})

const held = async (): Promise<number> => Number(/^serai_body_buffer_bytes(?:\{[^}]*\})? (\d+)/m.exec(await plane.metrics())?.[1])
const count = (name: string): number => written.get(name) ?? 0

/** Calls of others on the same connection, each with a message of some size. */
async function othersGoOn(): Promise<void> {
  for (let at = 0; at < 20; at++) {
    const sent = Buffer.alloc(at * 1000, at)
    const reply = await within(new Promise<Buffer>((resolve, reject) => client['Unary']!(sent, named('other'), (error: Error | null, value: Buffer) => (error === null ? resolve(value) : reject(error)))), 5000, () => `another call, of ${sent.length} octets`)
    assert.ok(reply.equals(sent))
  }
}

const statusOf = async (call: grpc.ClientReadableStream<Buffer>): Promise<number> => ((await once(call, 'status')) as [grpc.StatusObject])[0].code

/** A call of each kind that is stuck; `finish` lets go of its reader, and waits for all that it is owed. */
interface Stuck {
  readonly writers: readonly string[]
  finish(): Promise<void>
}

function down(name: string): Stuck {
  const call = client['Down']!(Buffer.alloc(0), named(name))
  const status = statusOf(call)
  const all = readAll(call, gateOf(name).promise)
  return { writers: [name], finish: async () => { gateOf(name).resolve(); await all; assert.equal(await status, grpc.status.OK) } }
}

function up(name: string): Stuck {
  const reply = Promise.withResolvers<Buffer>()
  const call = client['Up']!(named(name), (error: Error | null, value: Buffer) => (error === null ? reply.resolve(value) : reply.reject(error)))
  const all = writeAll(call, name).then(() => void call.end())
  return { writers: [name], finish: async () => { gateOf(name).resolve(); await all; assert.equal((await reply.promise).toString(), 'all') } }
}

function both(name: string): Stuck {
  const call = client['Both']!(named(name))
  const status = statusOf(call)
  const all = Promise.all([writeAll(call, `${name} up`).then(() => void call.end()), readAll(call, gateOf(name).promise)])
  return { writers: [`${name} up`, `${name} down`], finish: async () => { gateOf(name).resolve(); await all; assert.equal(await status, grpc.status.OK) } }
}

const cases: readonly { readonly name: string; readonly begin: readonly ((name: string) => Stuck)[] }[] = [
  { name: 'a client that does not read stops the service', begin: [down] },
  { name: 'a service that does not read stops the client', begin: [up] },
  { name: 'neither reads, on one call', begin: [both] },
  { name: 'all of them at once, on one connection', begin: [down, up, both, down, up, both] },
]
for (const { name, begin } of cases) {
  test(`${name}: bounded, others go on, and all arrives in order once it is read`, async (t) => {
    const stuck = begin.map((each, at) => each(`${name} ${at}`))
    const writers = stuck.flatMap((each) => each.writers)
    await until(() => writers.every((each) => count(each) > 0), { what: 'every writer to begin' })
    const sent = await settled(() => writers.reduce((sum, each) => sum + count(each), 0), 'the writers')
    const waiting = await held()
    t.diagnostic(`${sent} of ${MESSAGES * writers.length} messages written, ${waiting} octets wait in Serai`)
    for (const each of writers) assert.ok(count(each) < MOST_AHEAD, `${each}: ${count(each)} messages went ahead of a reader that does not read`)
    assert.ok(waiting <= MOST_HELD * writers.length, `${waiting} octets wait`)
    await othersGoOn()
    assert.equal(writers.reduce((sum, each) => sum + count(each), 0), sent, 'still stuck')
    await within(Promise.all(stuck.map((each) => each.finish())), 20_000, () => 'all of it')
    assert.deepEqual(writers.map(count), writers.map(() => MESSAGES))
    await until(async () => await held() === 0, { what: 'nothing to wait any more' })
    await othersGoOn()
  })
}
