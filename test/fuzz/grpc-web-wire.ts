// Fuzzing gRPC-Web over the wire, in octets and in base64 cut anywhere, to a service of grpc-js: each message arrives as it was sent, in its order, or the call fails.
import assert from 'node:assert/strict'
import grpc from '@grpc/grpc-js'
import fc from 'fast-check'
import { startClient, type Answer, type PairClient, type Protocol } from '#test/support/pairs.ts'
import { startSerai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'
import { octetsOf } from './plans.ts'

export interface GrpcWebResult {
  readonly calls: number
  /** Calls that came to their end with the service's own status. */
  readonly whole: number
  readonly messages: number
}

interface Call {
  readonly protocol: Protocol
  readonly text: boolean
  /** Sizes of the messages, and how many of them are encoded together: each group has a padding of its own. */
  readonly messages: readonly number[]
  readonly groups: readonly number[]
  /** Sizes of the pieces in which the body is written, in turn. */
  readonly cuts: readonly number[]
  readonly status: number
  /** What goes wrong: the client leaves, an octet that is no base64, a body that ends within four characters. */
  readonly fault: 'none' | 'leaves' | 'bad octet' | 'cut'
  readonly at: number
}

const AT_ONCE = 8
const calls: fc.Arbitrary<Call> = fc.record({
  protocol: fc.constantFrom('h1' as const, 'h2' as const),
  text: fc.constantFrom(true, true, true, false),
  messages: fc.array(fc.oneof({ weight: 5, arbitrary: fc.nat(100) }, { weight: 2, arbitrary: fc.constantFrom(0, 1, 2, 3, 16_379, 16_384, 65_530, 65_536) }), { minLength: 1, maxLength: 6 }),
  groups: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
  cuts: fc.tuple(fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 8 }), fc.integer({ min: 4000, max: 30_000 })).map(([small, large]) => [...small, large]),
  status: fc.constantFrom(0, 0, 5, 13),
  fault: fc.constantFrom('none' as const, 'none' as const, 'none' as const, 'none' as const, 'leaves' as const, 'bad octet' as const, 'cut' as const),
  at: fc.nat(1_000_000),
}).map((call) => call.text || call.fault === 'leaves' ? call : { ...call, fault: 'none' })

interface Seen {
  readonly messages: Buffer[]
  /** How the client's messages ended. */
  end: '' | 'whole' | 'cancelled'
}

const messagesOf = (serial: string, { messages }: Call): Buffer[] => {
  const octets = octetsOf(serial, 'up', { pieces: messages })
  let at = 0
  return messages.map((size) => octets.subarray(at, at += size))
}

function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

/** Runs `count` calls; throws with the seed and the call when something is wrong. */
export async function fuzzGrpcWeb(seed: number, count: number): Promise<GrpcWebResult> {
  const inputs = fc.sample(calls, { seed, numRuns: count })
  const seen = new Map<string, Seen>()
  const server = startEcho(seen, (serial) => inputs[Number(serial.split('-')[1])]!)
  const port = await new Promise<number>((resolve, reject) => server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error))))
  await using started = new AsyncDisposableStack()
  started.defer(() => server.forceShutdown())
  const serai = started.use(await startSerai({
    services: [{ name: 'echo', tags: ['serai.host=echo.example.org', 'serai.scheme=grpc'], instances: [`127.0.0.1:${port}`] }],
    config: { workers: 1, listeners: { http: { address: '127.0.0.1:0', h2c: true } }, defaults: { eject: { failures: 1000 } } },
  }))
  const clients = { h1: started.use(startClient('h1', serai.port)), h2: started.use(startClient('h2', serai.port)) }
  let whole = 0
  const runAll = async (from: number): Promise<void> => {
    for (let at = from; at < inputs.length; at += AT_ONCE) {
      const call = inputs[at]!
      const serial = `${seed}-${at}`
      try {
        if (await runCall(call, serial, clients[call.protocol], seen)) whole++
      } catch (error) {
        throw new Error(`seed ${seed}, call ${at}: ${JSON.stringify(call)}`, { cause: error })
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => runAll(index)))
  assert.deepEqual(serai.logs.filter(({ level }) => level === 'error' || level === 'fatal'), [], `seed ${seed}: Serai said nothing of errors`)
  return { calls: count, whole, messages: [...seen.values()].reduce((sum, { messages }) => sum + messages.length, 0) }
}

/** Says each message again, and ends with the call's status when the client has ended. */
function startEcho(seen: Map<string, Seen>, callOf: (serial: string) => Call): grpc.Server {
  const same = (bytes: Buffer): Buffer => bytes
  const server = new grpc.Server()
  server.addService({ Both: { path: '/fuzz.Echo/Both', requestStream: true, responseStream: true, requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same } }, {
    Both(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
      const serial = String(call.metadata.get('x-serial')[0])
      const own: Seen = { messages: [], end: '' }
      seen.set(serial, own)
      call.on('error', () => undefined)
      call.on('cancelled', () => { if (own.end === '') own.end = 'cancelled' })
      call.on('data', (message: Buffer) => {
        own.messages.push(message)
        call.write(message)
      })
      call.on('end', () => setImmediate(() => { // Node pushes an end for RST_STREAM too, and grpc-js tells of it later
        if (call.cancelled) return
        own.end = 'whole'
        const { status } = callOf(serial)
        const trailers = new grpc.Metadata()
        trailers.set('x-sum', String(own.messages.length))
        if (status === 0) call.end(trailers)
        else call.emit('error', { code: status, details: 'as planned', metadata: trailers })
      }))
    },
  })
  return server
}

/** What the client writes. */
function bodyOf(call: Call, serial: string): Buffer[] {
  const parts = messagesOf(serial, call).map(framed)
  let body = Buffer.concat(parts)
  if (call.text) {
    let text = ''
    for (let at = 0, turn = 0; at < parts.length;) {
      const count = call.groups[turn++ % call.groups.length]!
      text += Buffer.concat(parts.slice(at, at + count)).toString('base64')
      at += count
    }
    if (call.fault === 'bad octet') text = `${text.slice(0, call.at % text.length)}*${text.slice(call.at % text.length + 1)}`
    if (call.fault === 'cut') text = text.slice(0, -1 - call.at % 3)
    body = Buffer.from(text, 'latin1')
  }
  const pieces: Buffer[] = []
  for (let at = 0, turn = 0; at < body.length; turn++) {
    const size = call.cuts[turn % call.cuts.length]!
    pieces.push(body.subarray(at, at + size))
    at += size
  }
  return pieces
}

/** Whether it came to the service's own end. */
async function runCall(call: Call, serial: string, client: PairClient, seen: ReadonlyMap<string, Seen>): Promise<boolean> {
  const kind = `application/grpc-web${call.text ? '-text' : ''}+proto`
  const running = client.ask({ method: 'POST', path: '/fuzz.Echo/Both', host: 'echo.example.org', headers: { 'content-type': kind, 'x-serial': serial, 'transfer-encoding': 'chunked' }, body: bodyOf(call, serial) })
  const answered = running.answer.then((answer) => answer, () => undefined)
  if (call.fault === 'leaves') {
    await Promise.race([answered, until(() => seen.has(serial), { what: 'the call to arrive' }).catch(() => undefined)])
    running.abort()
  }
  const answer = await answered
  const sent = messagesOf(serial, call)
  const got = seen.get(serial)
  if (got !== undefined) {
    await until(() => got.end !== '', { what: 'the end of the call for the service' })
    held(sent, got.messages, 'to the service')
    if (got.end === 'whole') assert.equal(got.messages.length, sent.length, 'no end of less for the service')
    if (call.fault === 'bad octet' || call.fault === 'cut') assert.equal(got.end, 'cancelled', 'what is no base64 has no end in good order')
  }
  if (answer === undefined) {
    assert.notEqual(call.fault, 'none', 'an answer')
    return false
  }
  const { messages, status, sum } = taken(answer, call.text)
  held(sent, messages, 'to the client')
  if (call.fault === 'bad octet' || call.fault === 'cut') assert.notEqual(status, 0, 'what is no base64 fails')
  if (call.fault !== 'none') return false
  assert.deepEqual([answer.status, answer.headers['content-type'], messages.length, status, sum, got?.end], [200, kind, sent.length, call.status, String(sent.length), 'whole'])
  return true
}

function held(sent: readonly Buffer[], got: readonly Buffer[], where: string): void {
  assert.ok(got.length <= sent.length, `no more messages than were sent ${where}`)
  for (const [at, message] of got.entries()) assert.ok(message.equals(sent[at]!), `message ${at} ${where}`)
}

/** The messages of an answer, and what its trailers say: a message of their own, or in the head. */
function taken({ body, headers }: Answer, text: boolean): { readonly messages: Buffer[]; readonly status: number; readonly sum: string | undefined } {
  const octets = text ? Buffer.concat([...body.toString('latin1').matchAll(/[^=]+={0,2}/g)].map(([piece]) => Buffer.from(piece, 'base64'))) : body
  const messages: Buffer[] = []
  let trailers = Object.entries(headers).map(([name, value]) => `${name}: ${String(value)}\r\n`).join('')
  for (let at = 0; at < octets.length;) {
    assert.ok(at + 5 <= octets.length && at + 5 + octets.readUInt32BE(at + 1) <= octets.length, 'whole messages')
    const message = octets.subarray(at + 5, at + 5 + octets.readUInt32BE(at + 1))
    if ((octets[at]! & 0x80) === 0) messages.push(message)
    else trailers += message.toString('latin1')
    at += 5 + message.length
  }
  const field = (name: string): string | undefined => new RegExp(`^${name}: *(.*)\r$`, 'im').exec(trailers)?.[1]
  return { messages, status: Number(field('grpc-status') ?? -1), sum: field('x-sum') }
}
