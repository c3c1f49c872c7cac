// Fuzzing HTTP/2 over the wire: requests through a real Serai to a strict backend of HTTP/1.1, and answers of a backend of HTTP/2 to clients of HTTP/1.1.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import { connect as connectSocket, createServer, type Socket } from 'node:net'
import fc from 'fast-check'
import { HpackDecoder, staticFields } from '#src/http2/hpack-decoder.ts'
import { connectHttp2 } from '#test/support/http2-client.ts'
import { frame, readFrames, settings, SETTINGS_ACK, type } from '#test/support/http2-frames.ts'
import { startSerai, type Serai } from '#test/support/serai.ts'
import { DEADLINE_MS, until, within } from '#test/support/until.ts'
import { answers, framesOf, HOST, requests, type Http2Message } from './http2-messages.ts'
import { seenAnswer, seenRequest, type SeenRequest } from './http2-messages-oracle.ts'
import type { Pair } from './hpack-oracle.ts'
import { readChunked, readFields, responseFraming } from './oracle.ts'
import { listen, startStrictBackend, type StrictBackend } from './strict-backend.ts'

export interface Http2WireResult {
  /** Streams that were opened, and requests that reached the backend of HTTP/1.1. */
  readonly streams: number
  readonly requests: number
  /** Answers over HTTP/2, and those of them that reached a client whole. */
  readonly answers: number
  readonly whole: number
}

const AT_ONCE = 16
const OTHER = 'other'
/** One connection in so many is damaged octet by octet. */
const DAMAGED = 6
/** What we add to a request, or say in our own way. */
const ours = new Set(['host', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-port', 'x-forwarded-proto', 'x-real-ip', 'forwarded', 'via', 'x-request-id', 'content-length', 'transfer-encoding', 'connection', 'te'])

/** Runs `count` connections and as many answers; throws with the seed when something is wrong. */
export async function fuzzHttp2Wire(seed: number, count: number): Promise<Http2WireResult> {
  await using old = await startOld()
  await using bad = await startAnswering()
  await using serai = await startSerai({
    services: [
      { name: 'web', tags: [`serai.host=${HOST}`], instances: [old.address] },
      { name: 'bad', tags: ['serai.host=bad.example.org', 'serai.scheme=h2c'], instances: [bad.address] },
    ],
    config: { workers: 1, listeners: { http: { address: '127.0.0.1:0', h2c: true } }, client: { head: '300ms', body: '300ms', keepAlive: '60s' } },
  })
  using other = openOther(serai.port, seed)
  try {
    const streams = await sendRequests(serai.port, old, other, seed, count)
    const whole = await sendAnswers(serai.port, bad, seed, count)
    assert.deepEqual(serai.logs.filter(({ level }) => level === 'error' || level === 'fatal'), [], 'Serai said nothing of errors')
    await nothingLeft(serai)
    return { streams, requests: old.seen.length - other.asked, answers: count, whole }
  } catch (error) {
    throw new Error(`seed ${seed}`, { cause: error })
  }
}

/** A value for a message of an error: what repeats is left out. */
const inShort = (value: unknown): string => (JSON.stringify(value) ?? 'nothing').replace(/(.)\1{40,}/g, '$1…')

async function nothingLeft(serai: Serai): Promise<void> {
  for (const name of ['serai_exchanges', 'serai_internal_errors_total', 'serai_body_buffer_bytes']) {
    const value = async (): Promise<number> => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)`, 'm').exec(String((await serai.ask('/metrics')).body))?.[1])
    await until(async () => await value() === 0, { what: `${name} to be 0` })
  }
}

// ── requests ──

interface Old extends StrictBackend {
  readonly seen: readonly (SeenRequest & { readonly serial: string })[]
}

/** A strict backend that says again what it was told. */
async function startOld(): Promise<Old> {
  const seen: (SeenRequest & { readonly serial: string })[] = []
  const backend = await startStrictBackend(({ method, origin, body }, text) => {
    const [, ...lines] = text.slice(0, text.indexOf('\r\n\r\n')).split('\r\n')
    const fields = readFields(lines)!
    const own = fields.filter(([name]) => !ours.has(name))
    seen.push({ method, target: origin, host: fields.find(([name]) => name === 'host')![1], fields: own, body, serial: own.find(([name]) => name === 'x-serial')?.[1] ?? 'none' })
    return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${own.filter(([name]) => name.startsWith('x-')).map((each) => `${each.join(': ')}\r\n`).join('')}\r\n${method === 'HEAD' ? '' : body}`
  })
  return { seen, ...backend }
}

/** Sends `count` connections of a few requests each; what reaches the backend is held against the oracle. */
async function sendRequests(port: number, old: Old, other: Other, seed: number, count: number): Promise<number> {
  const inputs = fc.sample(fc.tuple(fc.array(requests, { minLength: 1, maxLength: 4 }), fc.nat(DAMAGED - 1), fc.array(fc.tuple(fc.nat(100_000), fc.nat(255)), { minLength: 1, maxLength: 3 })), { seed, numRuns: count })
  const sent = new Map<string, { readonly message: Http2Message; readonly damaged: boolean }>()
  const statuses = new Map<string, string | undefined>()
  let streams = 0
  const sendAll = async (from: number): Promise<void> => {
    for (let at = from; at < inputs.length; at += AT_ONCE) {
      const [makers, dice, damage] = inputs[at]!
      const serials = makers.map((make) => {
        const serial = `${++streams}-${(streams * 48_271) % 65_521}` // damage does not make one of another
        sent.set(serial, { message: make(serial), damaged: dice === 0 })
        return serial
      })
      const octets = Buffer.concat(serials.map((serial, index) => framesOf(sent.get(serial)!.message, 1 + 2 * index)))
      if (dice === 0) for (const [where, octet] of damage) octets[where % octets.length] = octet
      await using client = await connectHttp2(port)
      client.send(octets)
      await other.ask()
      if (dice === 0) {
        client.socket.end() // it may have promised what never comes
        await until(() => client.closed !== undefined, { what: 'the end of a connection' })
        continue
      }
      for (const [index, serial] of serials.entries()) {
        await client.over(1 + 2 * index)
        statuses.set(serial, client.heads.get(1 + 2 * index)?.at(-1)?.[':status'])
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => sendAll(index)))
  assert.deepEqual(old.poison, [], 'the backend was sent nothing that is no request')
  const arrived = Map.groupBy(old.seen.filter(({ serial }) => serial !== OTHER), ({ serial }) => serial)
  let damaged = 0
  for (const [serial, { message, damaged: isDamaged }] of sent) {
    if (isDamaged) {
      damaged++
      continue
    }
    const expected = seenRequest(message)
    const [got, ...more] = arrived.get(serial) ?? []
    const shown = `${inShort(message)} came as ${inShort(got)}, status ${statuses.get(serial)}`
    assert.equal(more.length, 0, `once: ${shown}`)
    arrived.delete(serial)
    if (expected?.surely === false && got === undefined) continue
    assert.deepEqual(got === undefined ? undefined : { ...got, serial: undefined }, expected === undefined ? undefined : { ...expected.request, serial: undefined }, shown)
    if (expected?.surely !== false) assert.equal(statuses.get(serial) === '200', expected !== undefined, shown)
  }
  assert.ok([...arrived.values()].flat().length <= damaged, 'no more requests than streams')
  return streams
}


interface Other extends Disposable {
  readonly asked: number
  ask(): Promise<void>
}

/** A client of node:http2 that does nothing wrong, on one connection: its requests have to come and go whatever others do. */
function openOther(port: number, seed: number): Other {
  const session = http2.connect(`http://127.0.0.1:${port}`)
  session.on('error', () => undefined)
  const inputs = fc.sample(fc.tuple(fc.stringMatching(/^([\x21-\x7e]([\x20-\x7e]{0,80}[\x21-\x7e])?)?$/), fc.string({ maxLength: 40 }), fc.stringMatching(/^x-[a-z]{1,20}$/)), { seed, numRuns: 500 })
  let asked = 0
  return {
    get asked() { return asked },
    async ask() {
      const [text, body, name] = inputs[asked++ % inputs.length]!
      const request = session.request({ ':method': 'POST', ':path': '/other', ':authority': HOST, 'x-serial': OTHER, [name]: text })
      request.setEncoding('utf8')
      request.end(body)
      const [head] = await within(once(request, 'response'), DEADLINE_MS, () => 'an answer to a client that did nothing wrong') as [http2.IncomingHttpHeaders]
      let back = ''
      for await (const piece of request) back += String(piece)
      assert.deepEqual([head[':status'], head[name], back], [200, text, body], 'another client')
    },
    [Symbol.dispose]: () => session.destroy(),
  }
}

// ── answers ──

interface Answering extends AsyncDisposable {
  readonly address: string
  /** By path: what it answers, on the stream that asks. */
  readonly scripts: Map<string, (id: number, socket: Socket) => void>
}

async function startAnswering(): Promise<Answering> {
  const scripts: Answering['scripts'] = new Map()
  const kindOf = (): number => 0
  const server = createServer((socket) => {
    const decoder = new HpackDecoder(staticFields(kindOf), kindOf, 4096, { fields: 200, bytes: 65_536 })
    let rest: Buffer = Buffer.alloc(0)
    let greeted = false
    socket.on('error', () => socket.destroy())
    socket.write(settings())
    socket.on('data', (chunk: Buffer) => {
      const read = readFrames(Buffer.concat([rest, greeted ? chunk : chunk.subarray(24)]))
      greeted = true
      rest = read.rest
      for (const each of read.frames) {
        if (each.type === type.SETTINGS && (each.flags & 1) === 0) socket.write(SETTINGS_ACK)
        if (each.type === type.PING && (each.flags & 1) === 0) socket.write(frame('PING', 1, 0, each.payload))
        if (each.type !== type.HEADERS) continue
        const count = decoder.decode(each.payload, 0, each.payload.length)
        const path = decoder.fields.slice(0, count).find(({ name }) => name === ':path')?.value ?? ''
        scripts.get(path)!(each.id, socket)
      }
    })
  })
  return { scripts, ...await listen(server) }
}

/** Has `count` answers given; what clients of HTTP/1.1 get of them is held against the oracle. Returns how many came whole. */
async function sendAnswers(port: number, bad: Answering, seed: number, count: number): Promise<number> {
  const inputs = fc.sample(fc.tuple(answers, fc.constantFrom('GET', 'GET', 'HEAD', 'POST'), fc.nat(DAMAGED - 1), fc.array(fc.tuple(fc.nat(100_000), fc.nat(255)), { minLength: 1, maxLength: 3 })), { seed, numRuns: count })
  let whole = 0
  const askAll = async (from: number, damaged: boolean): Promise<void> => {
    for (let at = from; at < inputs.length; at += AT_ONCE) {
      const [message, method, dice, damage] = inputs[at]!
      if (damaged !== (dice === 0)) continue
      bad.scripts.set(`/${at}`, (id, socket) => {
        const octets = framesOf(message, id)
        if (!damaged) return void socket.write(octets)
        for (const [where, octet] of damage) octets[where % octets.length] = octet
        socket.end(octets)
      })
      const text = await ask(port, method, `/${at}`)
      const shown = `${method} ${inShort(message)} came as ${inShort(text)}`
      const got = readAnswer(text, method, shown)
      if (got !== undefined && got.status !== 502) whole++
      const expected = damaged ? 'either' : seenAnswer(message, method)
      if (expected === 'either') continue
      if (expected === undefined) assert.ok(got === undefined || got.status === 502, shown)
      else assert.deepEqual(got, expected, shown)
    }
  }
  // First those whose connection stays whole, which they share.
  for (const damaged of [false, true]) await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => askAll(index, damaged)))
  return whole
}

/** Asks on a connection of its own, which is to be closed behind the answer; all that came. */
async function ask(port: number, method: string, path: string): Promise<string> {
  const socket = connectSocket({ port, host: '127.0.0.1', noDelay: true })
  let text = ''
  socket.on('error', () => undefined)
  socket.on('data', (bytes) => { text += bytes.toString('latin1') })
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.write(`${method} ${path} HTTP/1.1\r\nHost: bad.example.org\r\nConnection: close\r\n${method === 'POST' ? 'Content-Length: 0\r\n' : ''}\r\n`)
  await within(closed, 2 * DEADLINE_MS, () => `the end of ${method} ${path}; so far ${JSON.stringify(text.slice(0, 500))}`)
  return text
}

/** The final answer in `text`, with the fields that are the service's; undefined: it was cut. Fails where it is not well-formed. */
function readAnswer(text: string, method: string, shown: string): { readonly status: number; readonly fields: readonly Pair[]; readonly body: string } | undefined {
  for (let at = 0; ;) {
    const end = text.indexOf('\r\n\r\n', at)
    if (end < 0) return undefined
    const head = text.slice(at, end)
    const framing = responseFraming(head, method)
    assert.ok(framing !== undefined, `well-formed: ${shown}`)
    at = end + 4
    if (framing.status < 200) continue
    const fields = readFields(head.split('\r\n').slice(1))!.filter(([name]) => !ofServer.has(name))
    const done = (body: string, size: number): ReturnType<typeof readAnswer> => {
      assert.equal(text.length, at + size, `nothing behind it: ${shown}`)
      return { status: framing.status, fields, body }
    }
    if (framing.body === 'chunked') {
      const body = readChunked(text.slice(at))
      if ('kind' in body) return assert.equal(body.kind, 'incomplete', shown) as undefined
      return done(body.data, body.size)
    }
    assert.notEqual(framing.body, 'close', `an answer that says where it ends: ${shown}`)
    const size = framing.body as number
    if (text.length < at + size) return undefined
    return done(text.slice(at, at + size), size)
  }
}

/** What an answer has from us. */
const ofServer = new Set(['date', 'connection', 'content-length', 'transfer-encoding', 'trailer', 'keep-alive'])
