// What must hold for any frames: HPACK and a server's session agree with the oracles, whatever the split, and nothing is left over.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { HpackDecoder, staticFields } from '#src/http2/hpack-decoder.ts'
import { describe, frame, post, PREFACE, readFrames, settings, startSession, type, type Bench, type Frame } from '#test/support/http2-frames.ts'
import { connections, cut, hpackBlocks, pieces, type Step } from './frames.ts'
import { HpackOracle } from './hpack-oracle.ts'
import { ServerOracle } from './http2-oracle.ts'
import type { Property } from './property.ts'

const kindOf = (): number => 0
const plain = staticFields(kindOf)
const STREAMS = 4
/** The most that a frame holds. */
const FULL = 16_384
const greeting = Buffer.concat([Buffer.from(PREFACE), settings()])
/** What is sent down: any octets, never the same for long. */
const pattern = Buffer.from(Array.from({ length: 512 * 1024 }, (_, at) => (at * 31) ^ (at >>> 8)))

export const http2Properties: readonly Property[] = [
  {
    dearness: 0.2,
    name: 'our HPACK decoder and the oracle agree on every block, and on the table behind it',
    check: (seed, runs) => fc.assert(fc.property(fc.array(hpackBlocks, { minLength: 1, maxLength: 6 }), fc.constantFrom(0, 33, 66, 100, 4096), (blocks, tableSize) => {
      const limits = { fields: 20, bytes: 2000 }
      const hpack = new HpackDecoder(plain, kindOf, tableSize, limits)
      const oracle = new HpackOracle(tableSize)
      for (const each of blocks) {
        const expected = oracle.decode(each)
        const count = hpack.decode(each, 0, each.length)
        assert.equal(count < 0, expected === undefined, `${each.toString('hex')} ${JSON.stringify(expected)}`)
        if (expected === undefined) return
        let size = 0
        const within = expected.filter(([name, value], at) => (size += name.length + value.length + 32) <= limits.bytes && at < limits.fields)
        assert.deepEqual(hpack.fields.slice(0, count).map(({ name, value }) => [name, value]), within)
        assert.deepEqual([hpack.tooLarge, hpack.size], [within.length < expected.length, oracle.size])
      }
    }), { seed, numRuns: runs }),
  },
  {
    dearness: 3,
    name: 'a header block in any CONTINUATIONs is what it is in one frame',
    check: (seed, runs) => fc.assert(fc.property(fc.array(fc.tuple(hpackBlocks, fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 6 }), fc.boolean()), { minLength: 1, maxLength: 6 }), (blocks) => {
      const whole = greet()
      const cutUp = greet()
      blocks.forEach(([bytes, sizes, empty], at) => {
        const id = 1 + 2 * at
        whole.feed(frame('HEADERS', 5, id, bytes))
        const parts = [...(empty ? [Buffer.alloc(0)] : []), ...cut(bytes, sizes.length > 0 ? [...sizes, bytes.length] : [])]
        if (parts.length === 0) parts.push(Buffer.alloc(0))
        const last = parts.length - 1
        parts.forEach((part, place) => cutUp.feed(place === 0 ? frame('HEADERS', last === 0 ? 5 : 1, id, part) : frame('CONTINUATION', place === last ? 4 : 0, id, part)))
      })
      assert.deepEqual(cutUp.heard, whole.heard)
      assert.deepEqual(cutUp.raw(), whole.raw())
    }), { seed, numRuns: runs }),
  },
  {
    dearness: 4,
    name: 'a server does with each frame what RFC 9113 lets it do, keeps to all windows, and has nothing left in the end',
    check: (seed, runs) => fc.assert(fc.property(connections, (steps) => new Run().all(steps)), { seed, numRuns: runs }),
  },
  {
    dearness: 4,
    name: 'the same frames come to the same, whatever pieces they come in',
    check: (seed, runs) => fc.assert(fc.property(connections, pieces, fc.boolean(), (steps, sizes, greeted) => {
      const sent = Buffer.concat([...(greeted ? [greeting] : []), ...steps.flatMap((step) => (step.kind === 'sent' ? [step.octets] : []))])
      const [whole, split] = [start(), start()]
      whole.feed(sent)
      for (const piece of cut(sent, sizes)) split.feed(piece)
      assert.deepEqual(outcome(split), outcome(whole))
    }), { seed, numRuns: runs }),
  },
]

const start = (waiting: (change: number) => void = () => undefined): Bench => startSession('server', { streams: STREAMS, waiting })

function greet(waiting?: (change: number) => void): Bench {
  const bench = start(waiting)
  bench.feed(greeting)
  bench.raw()
  return bench
}

/** All that came of a connection, but for when windows were given back, which may depend on the pieces. */
function outcome(bench: Bench): unknown {
  const { opened, failed, gone, headers, goaways, data } = bench.heard
  const bodies = new Map<number, { text: string; end: boolean }>()
  for (const { id, text, end } of data) bodies.set(id, { text: (bodies.get(id)?.text ?? '') + text, end })
  return { opened, failed, gone, headers, goaways, bodies: [...bodies].filter(([, { text, end }]) => text !== '' || end), written: bench.written().filter((each) => each.type !== type.WINDOW_UPDATE).map(describe) }
}

interface Own {
  headed: boolean
  ended: boolean
  trailers: boolean
  holds: number
  /** Octets given to the session, and those that it has written. */
  given: number
  written: number
}

/** One connection, step by step, beside the oracle. */
class Run {
  readonly #oracle = new ServerOracle(STREAMS)
  readonly #answers = new HpackOracle(4096)
  readonly #own = new Map<number, Own>()
  readonly #source = { holds: 0, hold() { this.holds++ }, unhold() { this.holds-- }, keeps: () => false, endBody: () => undefined }
  #waiting = 0
  readonly #bench = greet((change) => { this.#waiting += change })
  #over = false

  constructor() {
    this.#oracle.takes(readFrames(settings()).frames[0]!)
    this.#oracle.unacknowledged = 0
  }

  all(steps: readonly Step[]): void {
    for (const step of steps) {
      if (step.kind === 'sent') this.#send(step.octets)
      else if (!this.#over) this.#act(step)
    }
    this.#finish()
  }

  #send(octets: Buffer): void {
    const [sent] = readFrames(octets).frames
    assert.ok(sent !== undefined)
    this.#bench.feed(octets)
    if (this.#over) return assert.deepEqual(this.#bench.written(), [], 'it says nothing more')
    const { heads } = this.#oracle
    const before = heads.length
    const expected = this.#oracle.takes(sent)
    const reaction = this.#take(this.#bench.written())
    const said = `${octets.subarray(0, 40).toString('hex')}: ${reaction ?? 'nothing'}, where it must be of [${[...expected.must].join()}] or may of [${[...expected.may].join()}]`
    if (reaction === undefined) assert.equal(expected.must.size, 0, said)
    else {
      assert.ok(expected.must.has(reaction) || (expected.must.size === 0 && expected.may.has(reaction)), said)
      heads.length = before
    }
    assert.deepEqual(this.#bench.heard.failed.length, this.#over ? 1 : 0)
    if (this.#over) return
    assert.deepEqual(this.#bench.session.streams.open.all().map(({ id }) => id), [...this.#oracle.open.keys()], said)
    assert.deepEqual([this.#oracle.pings, this.#oracle.unacknowledged], [[], 0], 'PINGs and SETTINGS are answered at once')
  }

  /** Reads what the session wrote: what kind of error it was, if any. */
  #take(frames: readonly Frame[]): string | undefined {
    const oracle = this.#oracle
    let reaction: string | undefined
    for (const { type: kind, flags, id, payload } of frames) {
      assert.equal(this.#over, false, 'nothing behind GOAWAY')
      const stream = oracle.open.get(id)
      const own = this.#own.get(id)
      switch (kind) {
        case type.DATA:
          assert.ok(stream !== undefined && own !== undefined && !stream.local, 'DATA on a stream that is ours to send on')
          assert.ok(payload.length <= 16_384 && (stream.outWindow -= payload.length) >= 0 - (payload.length === 0 ? Infinity : 0) && (oracle.outWindow -= payload.length) >= 0, 'within the windows')
          assert.ok(payload.equals(pattern.subarray(own.written, own.written + payload.length)))
          own.written += payload.length
          if ((flags & 1) !== 0) this.#ended(id, own)
          break
        case type.HEADERS: {
          assert.ok(stream !== undefined && own !== undefined && !stream.local)
          const fields = this.#answers.decode(payload)
          assert.deepEqual(fields, own.headed ? [['x-trailer', String(id)]] : [[':status', '200'], ['x-own', `${id} of many`]])
          assert.ok(this.#answers.size <= oracle.table, 'the table is as small as the peer wants it')
          own.headed = true
          if ((flags & 1) !== 0) this.#ended(id, own)
          break
        }
        case type.RST_STREAM:
          reaction = `stream ${payload.readUInt32BE(0)}`
          oracle.cut(id)
          break
        case type.GOAWAY:
          reaction = `connection ${payload.readUInt32BE(4)}`
          assert.equal(payload.readUInt32BE(0), oracle.lastId)
          this.#over = true
          break
        case type.WINDOW_UPDATE: {
          const by = payload.readUInt32BE(0)
          assert.ok(by > 0)
          if (id === 0) oracle.inWindow += by
          else if (stream !== undefined) stream.inWindow += by
          assert.ok(oracle.inWindow <= 1024 * 1024 && (stream === undefined || stream.inWindow <= 256 * 1024), 'no more window than we want to give')
          break
        }
        case type.SETTINGS:
          assert.deepEqual([flags, payload.length, oracle.unacknowledged--], [1, 0, 1])
          break
        case type.PING:
          assert.deepEqual([flags, payload.toString('hex')], [1, oracle.pings.shift()])
          break
        default:
          assert.fail(`frame of type ${kind}`)
      }
    }
    return reaction
  }

  #ended(id: number, own: Own): void {
    assert.ok(own.ended && own.written === own.given, 'its end, once all of it was sent')
    this.#oracle.endLocal(id)
  }

  #act({ act, pick, size }: Step & { readonly kind: 'own' }): void {
    const { session } = this.#bench
    const ids = [...session.streams.open.all().map(({ id }) => id)]
    const id = ids[pick % ids.length]
    if (id === undefined) return
    const stream = session.streams.open.get(id)!
    const own = this.#own.get(id) ?? { headed: false, ended: false, trailers: false, holds: 0, given: 0, written: 0 }
    this.#own.set(id, own)
    if (act === 'hold' || act === 'unhold') {
      if (act === 'hold') {
        own.holds++
        stream.hold()
      } else if (own.holds > 0) {
        own.holds--
        stream.unhold()
      }
    } else if (act === 'reset') stream.reset(8)
    else if (!own.ended) {
      const began = own.headed
      if (act === 'answer' && began) return
      if (!began) {
        const { writer } = session
        const at = writer.openBlock(100)
        writer.closeBlock(id, writer.encoder.lines(writer.bytes, writer.encoder.status(writer.bytes, at, 200), `x-own: ${id} of many\r\n`), act === 'answer')
      }
      own.ended = act !== 'send'
      if (act === 'answer') stream.localEnded()
      else {
        const from = own.given
        own.given = Math.min(pattern.length, from + size)
        stream.send(pattern, from, own.given, act === 'end', act === 'end' && size === 1 ? `x-trailer: ${id}\r\n` : '', this.#source)
      }
    }
    const reaction = this.#take(this.#bench.written())
    assert.equal(reaction, act === 'reset' ? 'stream 8' : undefined)
  }

  /** Everything that was heard, and that nothing waits, is counted or is held once all streams are over. */
  #finish(): void {
    const { session, heard } = this.#bench
    const first = new Map<number, unknown>()
    const trailers: unknown[] = []
    for (const { id, fields } of this.#oracle.heads) {
      if (first.has(id)) trailers.push({ id, fields, end: true })
      else first.set(id, { id, fields })
    }
    assert.deepEqual(heard.opened.map(({ id, fields }) => ({ id, fields })), [...first.values()])
    assert.deepEqual(heard.headers, trailers)
    const bodies = new Map<number, string>()
    for (const { id, text } of heard.data) bodies.set(id, (bodies.get(id) ?? '') + text)
    for (const [id, text] of this.#oracle.bodies) assert.equal(bodies.get(id) ?? '', text, `the body of ${id}`)
    for (const stream of [...session.streams.open.all()]) stream.reset(8)
    this.#take(this.#bench.written())
    assert.deepEqual([session.streams.open.size, session.streams.blocked.size, this.#waiting, this.#source.holds], [0, 0, 0, 0])
    if (!this.#over && !session.midway) this.#fill()
  }

  /** Sends a body until the connection's window is opened again: with all that was ever taken of it. */
  #fill(): void {
    const oracle = this.#oracle
    if (oracle.received === 0 || oracle.lastId > 2 ** 20) return
    const id = oracle.lastId + 2
    this.#send(frame('HEADERS', 4, id, post()))
    let before: number
    do {
      before = oracle.inWindow - FULL
      this.#send(frame('DATA', 0, id, Buffer.alloc(FULL)))
    } while (oracle.inWindow === before)
    assert.equal(oracle.inWindow, 1024 * 1024, 'all of the connection\'s window was given back')
  }
}
