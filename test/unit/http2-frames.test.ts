// Frames and sessions of HTTP/2 without sockets: splits, flow control, states, limits, and both roles against node:http2.
import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { once } from 'node:events'
import http2 from 'node:http2'
import { test } from 'node:test'
import fc from 'fast-check'
import { FrameReader, type DataSink, type FrameSink } from '#src/http2/frame-reader.ts'
import type { Stream } from '#src/http2/stream.ts'
import { block, describe, frame, get, post, PREFACE, rst, settings, startSession, windowUpdate, word, type Bench } from '#test/support/http2-frames.ts'

const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const preface = Buffer.from(PREFACE)
const END_STREAM = 1
const END_HEADERS = 4

const source = { holds: 0, hold() { this.holds++ }, unhold() { this.holds-- }, keeps: () => false, endBody: () => undefined }

/** A server that has greeted and been greeted. */
function server(...args: Parameters<typeof startSession> extends [unknown, ...infer Rest] ? Rest : never): Bench {
  const bench = startSession('server', ...args)
  bench.feed(preface, settings())
  bench.written()
  return bench
}

const frames = fc.array(fc.oneof(
  fc.tuple(fc.constantFrom('DATA', 'HEADERS', 'PING', 'SETTINGS', 'CONTINUATION'), fc.constantFrom(0, 1, 4, 5), fc.nat(100), fc.uint8Array({ maxLength: 300 })),
  fc.tuple(fc.constant('DATA'), fc.constantFrom(0, 1, 8, 9), fc.nat(100), fc.uint8Array({ maxLength: 20 })),
), { maxLength: 12 })

test('the same frames are read whatever the pieces they come in, and what is overwritten behind a span is put back', (t) => {
  t.diagnostic(`FUZZ_SEED=${seed}`)
  fc.assert(fc.property(frames, fc.array(fc.nat(400), { maxLength: 40 }), (list, cuts) => {
    const sent = Buffer.concat([preface, ...list.map(([kind, flags, id, payload]) => frame(kind as 'DATA', flags, id, Buffer.from(payload)))])
    const seen: string[] = []
    let data = ''
    const sink: FrameSink & DataSink = {
      frame: (type, flags, id, bytes, at, to) => (seen.push(`${type} ${flags} ${id} ${bytes.toString('hex', at, to)}`), true),
      dataHead: (flags, id, length) => {
        data = `0 ${flags} ${id} `
        if (length === 0) seen.push(data)
        return true
      },
      dataPiece: (bytes, at, to, last) => {
        data += bytes.toString('hex', at, to)
        bytes.write('\r\n0\r\n\r\n', to, 'latin1') // as framing the last chunk of a body does
        if (last) seen.push(data)
        return true
      },
      unreadable: (code, reason) => assert.fail(`${code} ${reason}`),
    }
    const reader = new FrameReader(sink, sink, true)
    let at = 0
    for (const size of [...cuts, sent.length]) {
      const piece = sent.subarray(at, at + size)
      const room = Buffer.concat([Buffer.alloc(16), piece, Buffer.alloc(8)])
      reader.read(room, 16, 16 + piece.length)
      at += size
    }
    assert.deepEqual(seen, list.map(([kind, flags, id, payload]) => `${{ DATA: 0, HEADERS: 1, PING: 6, SETTINGS: 4, CONTINUATION: 9 }[kind as 'DATA']} ${flags} ${id} ${Buffer.from(payload).toString('hex')}`))
  }), { seed, numRuns: 500 })
})

test('any frames: a session ends or goes on, and never throws', (t) => {
  t.diagnostic(`FUZZ_SEED=${seed}`)
  const anyFrame = fc.tuple(fc.constantFrom('DATA', 'HEADERS', 'PRIORITY', 'RST_STREAM', 'SETTINGS', 'PUSH_PROMISE', 'PING', 'GOAWAY', 'WINDOW_UPDATE', 'CONTINUATION', 'PRIORITY_UPDATE'),
    fc.nat(255), fc.constantFrom(0, 1, 1, 3, 5, 2, 2 ** 31 - 1), fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constant(get()), fc.constant(Buffer.from([0, 0, 0, 1]))))
  fc.assert(fc.property(fc.constantFrom<'server' | 'client'>('server', 'client'), fc.array(anyFrame, { maxLength: 30 }), (role, list) => {
    const bench = startSession(role)
    if (role === 'client') bench.session.open({ headers: () => undefined, data: () => undefined, gone: () => undefined, unblocked: () => undefined, localEnd: () => undefined, closed: () => undefined })
    bench.feed(role === 'server' ? preface : Buffer.alloc(0), settings(), ...list.map(([kind, flags, id, payload]) => frame(kind as 'DATA', flags, id, Buffer.from(payload))))
    assert.ok(bench.heard.failed.length <= 1)
    bench.written()
  }), { seed, numRuns: 2000 })
})

test('bodies wait for the windows of their stream and of the connection, and their source with them', () => {
  const bench = server()
  bench.feed(settings([4, 10]), frame('HEADERS', END_HEADERS | END_STREAM, 1, get()), frame('HEADERS', END_HEADERS | END_STREAM, 3, get()))
  const one = bench.session.streams.open.get(1)!
  one.send(Buffer.from('0123456789abcdef'), 0, 16, false, '', source)
  assert.equal(source.holds, 1)
  one.send(Buffer.from('XY'), 0, 2, true, 'grpc-status: 0\r\n', source)
  assert.equal(source.holds, 0, 'a body that is over holds nobody')
  assert.deepEqual(bench.written().map(describe).slice(1), ['DATA flags=0 id=1 length=10'])
  bench.feed(windowUpdate(1, 3))
  assert.deepEqual(bench.written().map(describe), ['DATA flags=0 id=1 length=3'])
  bench.feed(windowUpdate(1, 100))
  const [data, trailers] = bench.written()
  assert.equal(data!.payload.toString(), 'defXY')
  assert.match(describe(trailers!), /^HEADERS flags=5 id=1/)
  assert.equal(bench.session.streams.open.get(1) !== undefined, false)
})

test('windows changed by SETTINGS change those of open streams, below zero too', () => {
  const bench = server()
  bench.feed(frame('HEADERS', END_HEADERS | END_STREAM, 1, get()))
  const stream = bench.session.streams.open.get(1)!
  stream.send(Buffer.alloc(100), 0, 100, false, '', source)
  bench.feed(settings([4, 50]))
  assert.equal(stream.sendWindow, -50)
  stream.send(Buffer.from('x'), 0, 1, true, '', source)
  bench.written()
  bench.feed(windowUpdate(1, 50))
  assert.deepEqual(bench.written(), [])
  bench.feed(windowUpdate(1, 1))
  assert.deepEqual(bench.written().map(describe), ['DATA flags=1 id=1 length=1'])
})

test('the more urgent body goes first, and equals that want it share the line', () => {
  const bench = server()
  for (const id of [1, 3, 5, 7]) bench.feed(frame('HEADERS', END_HEADERS | END_STREAM, id, get()))
  bench.feed(frame('PRIORITY_UPDATE', 0, 0, Buffer.concat([word(7), Buffer.from('u=0')])))
  for (const id of [3, 5]) bench.feed(frame('PRIORITY_UPDATE', 0, 0, Buffer.concat([word(id), Buffer.from('u=2, i')])))
  const use = bench.session.streams.open.get(1)!
  use.send(Buffer.alloc(65_535), 0, 65_535, false, '', source) // all of the connection's window
  for (const id of [1, 3, 5, 7]) bench.feed(windowUpdate(id, 100_000))
  bench.written()
  for (const id of [3, 5, 7]) bench.session.streams.open.get(id)!.send(Buffer.alloc(32_768), 0, 32_768, true, '', source)
  bench.feed(windowUpdate(0, 6 * 16_384))
  assert.deepEqual(bench.written().map(({ id }) => id), [7, 7, 3, 5, 3, 5])
})

const priority = (id: number, value: string): Buffer => frame('PRIORITY_UPDATE', 0, 0, Buffer.concat([word(id), Buffer.from(value)]))

test('a priority that comes before its stream applies when it opens, the last one said (RFC 9218 7.1)', () => {
  const bench = server()
  bench.feed(priority(5, 'u=7'), priority(3, 'u=6'), priority(5, 'u=1, i'), priority(9, 'u=2'))
  for (const id of [1, 5, 7, 9]) bench.feed(frame('HEADERS', END_HEADERS | END_STREAM, id, get()))
  const { open } = bench.session.streams
  assert.deepEqual(open.all().map((stream) => stream.priority), [3, 1 + 8, 3, 2])
  bench.feed(priority(5, 'u=4'))
  assert.equal(open.get(5)!.priority, 4, 'and one that comes later')
  let opened: Stream | undefined
  const quiet = { failed: () => undefined, goaway: () => undefined, settled: () => undefined, pong: () => undefined, emptied: () => undefined }
  const headed = server({ owner: { ...quiet, opened: (stream) => { opened = stream; stream.priority = 6 } } }) // as its head says
  headed.feed(priority(1, 'u=0'), frame('HEADERS', END_HEADERS | END_STREAM, 1, get()))
  assert.equal(opened?.priority, 0, 'whatever the head says')
})

test('what is said of streams before they open is bounded by how many may be open, and forgotten when they never will be', () => {
  const bench = server({ streams: 4 })
  for (const id of [1, 3]) bench.feed(frame('HEADERS', END_HEADERS, id, post()))
  for (let time = 0; time < 100; time++) for (const id of [5, 9]) bench.feed(priority(id, 'u=1'))
  bench.feed(rst(1, 8), priority(11, 'u=2'))
  bench.feed(frame('HEADERS', END_HEADERS, 11, post())) // 5 and 9 are closed by that
  assert.equal(bench.session.streams.open.get(11)!.priority, 2)
  for (const id of [101, 103]) bench.feed(priority(id, 'u=1'))
  assert.deepEqual(bench.heard.failed, [])
  bench.feed(priority(105, 'u=1'))
  assert.deepEqual(bench.heard.failed.map(({ code }) => code), [1])
  const leaving = server({ streams: 4 })
  leaving.session.goaway()
  for (let id = 1; id < 100; id += 2) leaving.feed(priority(id, 'u=1'))
  assert.deepEqual(leaving.heard.failed, [], 'of what is not taken any more nothing is kept')
})

test('a peer gets window back as octets are used, and none while they are not', () => {
  const bench = server()
  bench.feed(frame('HEADERS', END_HEADERS, 1, post()))
  const stream = bench.session.streams.open.get(1)!
  stream.hold()
  for (let sent = 0; sent < 4; sent++) bench.feed(frame('DATA', 0, 1, Buffer.alloc(16_000)))
  assert.deepEqual(bench.written(), [])
  stream.unhold()
  assert.deepEqual(bench.written().map(describe), ['WINDOW_UPDATE flags=0 id=1 length=4 64000'])
  const swift = server()
  swift.feed(frame('HEADERS', END_HEADERS, 1, post()))
  for (let sent = 0; sent < 20; sent++) swift.feed(frame('DATA', 0, 1, Buffer.alloc(16_000)))
  assert.equal(swift.heard.failed.length + swift.heard.gone.length, 0, 'its window has grown')
  const greedy = server()
  greedy.feed(frame('HEADERS', END_HEADERS, 1, post()))
  greedy.session.streams.open.get(1)!.hold()
  for (let sent = 0; sent < 5; sent++) greedy.feed(frame('DATA', 0, 1, Buffer.alloc(16_000)))
  assert.deepEqual(greedy.written().map(describe), ['RST_STREAM flags=0 id=1 length=4 3'])
})

test('GOAWAY comes in two steps: what is on its way is taken, what comes later is not', () => {
  const bench = server()
  bench.feed(frame('HEADERS', END_HEADERS | END_STREAM, 1, get()))
  bench.session.announceGoaway()
  bench.feed(frame('HEADERS', END_HEADERS | END_STREAM, 3, get()))
  bench.session.goaway()
  bench.feed(frame('HEADERS', END_HEADERS | END_STREAM, 5, get()))
  assert.deepEqual(bench.heard.opened.map(({ id }) => id), [1, 3])
  assert.deepEqual(bench.written().map(describe), ['GOAWAY flags=0 id=0 length=8 2147483647 0', 'GOAWAY flags=0 id=0 length=8 3 0', 'RST_STREAM flags=0 id=5 length=4 7'])
})

test('a head larger than a frame goes out in CONTINUATIONs, and comes in so', () => {
  const bench = server()
  bench.feed(frame('HEADERS', END_HEADERS | END_STREAM, 1, get()))
  const heard: string[] = []
  const lines = Array.from({ length: 9 }, (_, at) => `x-${at}: ${String(at).repeat(5000)}\r\n`).join('')
  const { writer } = bench.session
  const at = writer.openBlock(lines.length)
  writer.closeBlock(1, writer.encoder.lines(writer.bytes, writer.encoder.status(writer.bytes, at, 200), lines), true)
  const raw = bench.raw()
  const large = startSession('client', { limits: { fields: 100, bytes: 100_000 } })
  large.session.open({ headers: (fields, count) => heard.push(...fields.slice(0, count).map(({ name, value }) => `${name}: ${value}\r\n`)), data: () => undefined, gone: () => undefined, unblocked: () => undefined, localEnd: () => undefined, closed: () => undefined })
  large.feed(settings(), raw)
  assert.equal(heard.join(''), `:status: 200\r\n${lines}`)
})

const refusals: readonly { readonly name: string; readonly code: number; readonly send: (bench: Bench) => void }[] = [
  { name: 'rapid reset', code: 11, send: (bench) => { for (let id = 1; id < 2000; id += 2) bench.feed(frame('HEADERS', 5, id, get()), rst(id, 8)) } },
  { name: 'streams that we are made to reset (MadeYouReset)', code: 11, send: (bench) => { for (let id = 1; id < 2000; id += 2) bench.feed(frame('HEADERS', 5, id, get()), windowUpdate(id, 0)) } },
  { name: 'streams above the limit', code: 11, send: (bench) => { for (let id = 1; id < 2000; id += 2) bench.feed(frame('HEADERS', 5, id, get())) } },
  { name: 'CONTINUATION without end', code: 11, send: (bench) => { bench.feed(frame('HEADERS', 0, 1, get())); for (let at = 0; at < 100; at++) bench.feed(frame('CONTINUATION', 0, 1, '')) } },
  { name: 'a header block without end', code: 11, send: (bench) => { bench.feed(frame('HEADERS', 0, 1, Buffer.alloc(16_000))); for (let at = 0; at < 10; at++) bench.feed(frame('CONTINUATION', 0, 1, Buffer.alloc(16_000))) } },
  { name: 'SETTINGS flood', code: 11, send: (bench) => { for (let at = 0; at < 1000; at++) bench.feed(settings([4, at])) } },
  { name: 'SETTINGS with a thousand entries', code: 11, send: (bench) => bench.feed(settings(...Array.from({ length: 1000 }, () => [4, 1] as const))) },
  { name: 'PING flood', code: 11, send: (bench) => { for (let at = 0; at < 5000; at++) bench.feed(frame('PING', 0, 0, Buffer.alloc(8))) } },
  { name: 'PRIORITY flood', code: 11, send: (bench) => { for (let at = 0; at < 5000; at++) bench.feed(frame('PRIORITY', 0, 1, Buffer.alloc(5))) } },
  { name: 'empty DATA', code: 11, send: (bench) => { bench.feed(frame('HEADERS', 4, 1, post())); for (let at = 0; at < 5000; at++) bench.feed(frame('DATA', 0, 1)) } },
  { name: 'padding alone', code: 11, send: (bench) => { bench.feed(frame('HEADERS', 4, 1, post())); for (let at = 0; at < 5000; at++) bench.feed(frame('DATA', 8, 1, [0])) } },
  { name: 'windows opened by one octet at a time', code: 11, send: (bench) => { bench.feed(frame('HEADERS', 5, 1, get())); for (let at = 0; at < 5000; at++) bench.feed(windowUpdate(0, 1)) } },
  { name: 'DATA in crumbs', code: 11, send: (bench) => { bench.feed(frame('HEADERS', 4, 1, post())); for (let at = 0; at < 200; at++) bench.feed(...Array.from({ length: 1000 }, () => frame('DATA', 0, 1, 'x'))) } },
  { name: 'padded DATA on a stream that is over', code: 11, send: (bench) => { bench.feed(frame('HEADERS', 4, 1, post())); bench.session.streams.open.get(1)!.reset(0); for (let at = 0; at < 5000; at++) bench.feed(frame('DATA', 8, 1, [0])) } },
  { name: 'heads that are too large', code: 11, send: (bench) => { for (let id = 1; id < 2000 && bench.heard.failed.length === 0; id += 2) { bench.feed(frame('HEADERS', 5, id, Buffer.concat([get(), Buffer.alloc(1000, 0x82)]))); bench.session.streams.open.get(id)?.reset(0) } } },
  { name: 'a window opened by an octet for each octet of an answer', code: 11, send: (bench) => {
    bench.feed(settings([4, 0]), frame('HEADERS', 5, 1, get()))
    bench.session.streams.open.get(1)!.send(Buffer.alloc(20_000), 0, 20_000, true, '', source)
    for (let at = 0; at < 5000; at++) bench.feed(windowUpdate(1, 1))
  } },
  { name: 'unknown frames', code: 11, send: (bench) => { for (let at = 0; at < 5000; at++) { const odd = frame('PING', 0, 0, ''); odd[3] = 0x77; bench.feed(odd) } } },
  { name: 'a frame larger than we take', code: 6, send: (bench) => bench.feed(Buffer.from([0, 0x40, 1, 0, 0, 0, 0, 0, 1])) },
  { name: 'more DATA than the connection\'s window', code: 3, send: (bench) => {
    for (let id = 1; id < 100; id += 2) { bench.feed(frame('HEADERS', 4, id, post())); bench.session.streams.open.get(id)?.hold(); for (let at = 0; at < 4; at++) bench.feed(frame('DATA', 0, id, Buffer.alloc(16_000))) }
  } },
  { name: 'a window beyond 2^31-1', code: 3, send: (bench) => bench.feed(windowUpdate(0, 0x7fff_ffff)) },
  { name: 'PRIORITY_UPDATE for the connection', code: 1, send: (bench) => bench.feed(frame('PRIORITY_UPDATE', 0, 0, Buffer.concat([word(0), Buffer.from('u=1')]))) },
  { name: 'PRIORITY_UPDATE for a push that was never promised', code: 1, send: (bench) => bench.feed(frame('PRIORITY_UPDATE', 0, 0, Buffer.concat([word(2), Buffer.from('u=1')]))) },
  { name: 'no SETTINGS first', code: 1, send: () => undefined },
]
for (const { name, code, send } of refusals) {
  test(`${name}: the connection ends with ${code}, within bounds`, () => {
    const bench = name === 'no SETTINGS first' ? startSession('server') : server()
    if (name === 'no SETTINGS first') bench.feed(preface, frame('PING', 0, 0, Buffer.alloc(8)))
    send(bench)
    assert.equal(bench.heard.failed.length, 1, 'it has failed once')
    assert.equal(bench.heard.failed[0]!.code, code)
    assert.match(bench.written().map(describe).at(-1)!, new RegExp(`^GOAWAY .* ${code}$`))
    assert.ok(bench.heard.opened.length <= 600, `${bench.heard.opened.length} requests were opened`)
    assert.equal(bench.session.streams.open.size, 0)
  })
}

test('PRIORITY_UPDATE of a server is an error (RFC 9218 7.1)', () => {
  const bench = startSession('client')
  bench.feed(settings(), frame('PRIORITY_UPDATE', 0, 0, Buffer.concat([word(1), Buffer.from('u=1')])))
  assert.deepEqual(bench.heard.failed.map(({ code }) => code), [1])
})

test('who is slow, or busy with real work, is not taken for a flood', () => {
  const bench = server()
  for (let second = 0; second < 60; second++) {
    bench.now = second * 1000
    for (let at = 0; at < 100; at++) bench.feed(frame('PING', 0, 0, Buffer.alloc(8)))
    for (let at = 0; at < 20; at++) {
      const id = 1 + 2 * (second * 20 + at)
      bench.feed(frame('HEADERS', 5, id, get()), rst(id, 8))
    }
  }
  assert.deepEqual(bench.heard.failed, [])
  for (let id = 10_001; id < 30_001; id += 2) {
    bench.feed(frame('HEADERS', 5, id, get()), windowUpdate(0, 1000))
    bench.session.streams.open.get(id)!.send(Buffer.alloc(1000), 0, 1000, true, '', source)
  }
  assert.deepEqual(bench.heard.failed, [])
})

test('a PING and two windows for every message, however small (how gRPC estimates bandwidth), are no flood', () => {
  const bench = server()
  bench.feed(frame('HEADERS', 4, 1, post()))
  const stream = bench.session.streams.open.get(1)!
  for (let at = 0; at < 20_000; at++) {
    stream.send(Buffer.alloc(25), 0, 25, false, '', source)
    bench.feed(frame('PING', 0, 0, Buffer.alloc(8)), windowUpdate(0, 25), windowUpdate(1, 25))
    if (at % 100 === 0) bench.raw()
  }
  assert.deepEqual(bench.heard.failed, [])
})

test('calls that run out of time, and are reset then, are no rapid reset', () => {
  const bench = server()
  for (let tick = 0, id = 1; tick < 600; tick++) {
    bench.now = tick * 100
    const begun = [id, id + 2, id + 4, id + 6, id + 8]
    for (const each of begun) bench.feed(frame('HEADERS', 5, each, get()))
    bench.now += 300
    for (const each of begun) bench.feed(rst(each, 8))
    id += 10
  }
  assert.deepEqual(bench.heard.failed, [])
})

test('what waits in crumbs costs what it holds: an octet at a time is not copied again and again', (t) => {
  let waiting = 0
  const bench = startSession('server', { waiting: (change) => { waiting += change } })
  bench.feed(preface, settings([4, 0]), frame('HEADERS', 5, 1, get()))
  const stream = bench.session.streams.open.get(1)!
  const concat = t.mock.method(Buffer, 'concat')
  const allocate = t.mock.method(Buffer, 'allocUnsafe')
  for (let at = 0; at < 60_000; at++) stream.send(Buffer.from([at & 0xff]), 0, 1, false, '', source)
  const made = concat.mock.callCount() + allocate.mock.callCount()
  t.mock.restoreAll()
  assert.deepEqual([waiting, made < 40], [60_000, true], `${made} pieces of memory were made`)
  bench.raw()
  const read: Buffer[] = []
  for (let at = 0; at < 6; at++) {
    bench.feed(windowUpdate(1, 10_000))
    read.push(...bench.written().filter((each) => each.type === 0).map((each) => each.payload))
  }
  const all = Buffer.concat(read)
  assert.deepEqual([all.length, all.every((octet, at) => octet === (at & 0xff)), waiting], [60_000, true, 0])
})

test('what comes late on a stream that we reset is passed over; what comes on one that ended is an error', () => {
  const bench = server()
  bench.feed(frame('HEADERS', 4, 1, post()))
  bench.session.streams.open.get(1)!.reset(0)
  bench.feed(frame('DATA', 0, 1, 'late'), frame('HEADERS', 5, 1, block([['grpc-status', '0']])), windowUpdate(1, 5), rst(1, 8))
  assert.deepEqual(bench.heard.failed, [])
  bench.feed(frame('HEADERS', 5, 3, get()), rst(3, 8), frame('HEADERS', 5, 3, get()))
  assert.deepEqual(bench.heard.failed.map(({ code }) => code), [5])
})

/** The two ends of one line, in memory: what node:http2 writes is fed to the session, and the other way round. */
function wireUp(bench: Bench): Duplex {
  const duplex = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _, done) {
      bench.feed(chunk)
      done()
      setImmediate(() => duplex.push(bench.raw()))
    },
  })
  setImmediate(() => duplex.push(bench.raw()))
  return duplex
}

const fields = fc.array(fc.tuple(fc.stringMatching(/^x-[a-z]{1,8}$/), fc.stringMatching(/^([\x21-\x7e]([\x20-\x7e]{0,40}[\x21-\x7e])?)?$/)), { maxLength: 6 })

test('node:http2 as the client: what it sends is what the session reads', async (t) => {
  t.diagnostic(`FUZZ_SEED=${seed}`)
  const bench = startSession('server')
  const client = http2.connect('http://a.example.org', { createConnection: () => wireUp(bench) })
  await fc.assert(fc.asyncProperty(fields, fc.string({ maxLength: 200 }), async (list, body) => {
    const sent = Object.fromEntries(list)
    const request = client.request({ ':method': 'POST', ':path': '/x', ...sent })
    request.end(body)
    const id = bench.heard.opened.length * 2 + 1
    while (!bench.heard.data.some((each) => each.id === id && each.end) && !bench.heard.opened.some((each) => each.id === id && each.end)) await new Promise((resolve) => setImmediate(resolve))
    const opened = bench.heard.opened.find((each) => each.id === id)!
    const own = opened.fields.filter(([name]) => name.startsWith('x-'))
    assert.deepEqual(Object.fromEntries(own), sent)
    assert.equal(Buffer.from(bench.heard.data.filter((each) => each.id === id).map(({ text }) => text).join(''), 'latin1').toString(), body)
    const { writer } = bench.session
    const at = writer.openBlock(100)
    writer.closeBlock(id, writer.encoder.status(writer.bytes, at, 204), true)
    bench.session.streams.open.get(id)!.localEnded()
    const ended = once(request, 'close')
    const [headers] = (await once(request, 'response')) as [http2.IncomingHttpHeaders]
    assert.equal(headers[':status' as 'status'], 204)
    request.resume()
    await ended
  }), { seed, numRuns: 60 })
  client.destroy()
})

test('node:http2 as the server: what the session sends is what it reads, and back', async (t) => {
  t.diagnostic(`FUZZ_SEED=${seed}`)
  const bench = startSession('client')
  const far = wireUp(bench)
  const nodeServer = http2.createServer()
  nodeServer.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
    const own = Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('x-')))
    stream.respond({ ':status': 200, ...own }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-end': 'yes' }))
    stream.pipe(stream)
  })
  nodeServer.emit('connection', far)
  await fc.assert(fc.asyncProperty(fields, fc.uint8Array({ maxLength: 40_000 }), async (list, bytes) => {
    const sent = new Map(list)
    const back: Buffer[] = []
    const heads: [string, string][][] = []
    const over = Promise.withResolvers<void>()
    const stream = bench.session.open({
      headers: (each, count, _, end) => {
        heads.push(each.slice(0, count).map(({ name, value }) => [name, value]))
        if (end) over.resolve()
      },
      data: (each, from, to) => void back.push(Buffer.from(each.subarray(from, to))),
      gone: (code) => over.reject(new Error(`gone ${code}`)),
      unblocked: () => undefined,
      localEnd: () => undefined,
      closed: () => undefined,
    })
    const lines = [...sent].map(([name, value]) => `${name}: ${value}\r\n`).join('')
    const { writer } = bench.session
    let at = writer.openBlock(lines.length + 100)
    for (const [name, value] of [[':method', 'POST'], [':scheme', 'http'], [':path', '/'], [':authority', 'a.example.org']] as const) at = writer.encoder.plain(writer.bytes, at, name, value)
    writer.closeBlock(stream.id, writer.encoder.lines(writer.bytes, at, lines), false)
    const body = Buffer.from(bytes)
    stream.send(body, 0, body.length, true, '', source)
    far.push(bench.raw())
    const turn = setInterval(() => far.push(bench.raw()), 1)
    await over.promise.finally(() => clearInterval(turn))
    assert.deepEqual(Object.fromEntries(heads[0]!.filter(([name]) => name.startsWith('x-'))), Object.fromEntries(sent))
    assert.deepEqual(Buffer.concat(back), body)
    assert.deepEqual(heads.at(-1), [['x-end', 'yes']])
  }), { seed, numRuns: 40 })
  far.destroy()
})
