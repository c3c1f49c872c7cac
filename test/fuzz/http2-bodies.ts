// Two sessions of ours on one line, bodies both ways at once, readers that stop and lines that stall: all of it arrives, and nothing is left.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Source } from '#src/io/wire.ts'
import type { SessionOwner } from '#src/http2/session.ts'
import { nobody, type Stream, type StreamOwner } from '#src/http2/stream.ts'
import { block, post, startSession, type Bench } from '#test/support/http2-frames.ts'
import type { Property } from './property.ts'

interface Plan {
  readonly up: number
  readonly down: number
  /** Octets that a sender has at once. */
  readonly piece: number
  readonly trailers: boolean
}
/** What happens between two deliveries: a side takes so many octets of the line, or a reader or a line stops or goes on. */
type Event =
  | { readonly kind: 'deliver'; readonly to: 0 | 1; readonly size: number }
  | { readonly kind: 'reader' | 'line'; readonly of: 0 | 1; readonly pick: number; readonly goes: boolean }

const side = fc.constantFrom<0 | 1>(0, 1)
const plans = fc.array(fc.record<Plan>({ up: fc.constantFrom(0, 1, 500, 70_000, 300_000), down: fc.constantFrom(0, 1, 500, 70_000, 300_000), piece: fc.constantFrom(1000, 20_000, 65_536), trailers: fc.boolean() }), { minLength: 1, maxLength: 8, size: 'max' })
const events = fc.array(fc.oneof(
  fc.record({ kind: fc.constant('deliver' as const), to: side, size: fc.constantFrom(1, 9, 100, 9000, 100_000) }),
  fc.record({ kind: fc.constantFrom<'reader' | 'line'>('reader', 'line'), of: side, pick: fc.nat(7), goes: fc.boolean() }),
), { maxLength: 60, size: 'max' })
const content = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7) ^ (at >> 9)))
/** More than any of them can need: 16 bodies of 300 kB through windows of 64 KiB. */
const MOST_TURNS = 400

export const bodies: Property = {
  name: 'bodies both ways over one connection, whoever stops reading in between, arrive whole once all read',
  dearness: 30,
  check: (seed, runs) => fc.assert(fc.property(plans, events, (planned, between) => {
    const line = new Line(planned)
    for (const event of between) line.happens(event)
    line.finish()
  }), { seed, numRuns: runs }),
}

/** One body on its way: a source that waits while it is told to. */
class Sender implements Source {
  sent = 0
  holds = 0
  stream: Stream | undefined
  readonly #size: number
  readonly #piece: number
  readonly #trailers: string

  constructor(size: number, piece: number, trailers: boolean) {
    this.#size = size
    this.#piece = piece
    this.#trailers = trailers ? 'x-trailer: yes\r\n' : ''
  }

  hold(): void { this.holds++ }
  unhold(): void { this.holds-- }
  keeps(): boolean { return false }
  endBody(): void { /* nothing is kept */ }

  /** Sends as long as nobody makes it wait. */
  go(): void {
    while (this.stream !== undefined && !this.stream.localClosed && this.holds === 0 && !this.stream.blocked) {
      const to = Math.min(this.#size, this.sent + this.#piece)
      const end = to === this.#size
      const from = this.sent
      this.sent = to
      this.stream.send(content, from, to, end, end ? this.#trailers : '', this)
      if (end) return
    }
  }
}

/** What came of a body. */
class Reader {
  size = 0
  ended = false
  readonly trailers: string[] = []
  /** Its streams do not give the window back: nobody uses what came. */
  stopped = false

  owner(sender: Sender): StreamOwner {
    return {
      headers: (fields, count, _, end) => {
        if (fields[0]?.name === 'x-trailer') this.trailers.push(fields.slice(0, count).map(({ line }) => line).join(''))
        this.ended ||= end
      },
      data: (bytes, from, to, end) => {
        assert.ok(bytes.subarray(from, to).equals(content.subarray(this.size, this.size + to - from)), 'in their order')
        this.size += to - from
        this.ended ||= end
      },
      gone: (code) => assert.fail(`gone with ${code}`),
      unblocked: () => sender.go(),
      localEnd: () => undefined,
      closed: () => undefined,
    }
  }
}

interface Exchange {
  /** Of the client and of the server. */
  readonly senders: readonly [Sender, Sender]
  readonly readers: readonly [Reader, Reader]
}

class Line {
  readonly #plans: readonly Plan[]
  readonly #exchanges: readonly Exchange[]
  readonly #benches: readonly [Bench, Bench]
  /** What each side has still to read. */
  readonly #unread: [Buffer, Buffer] = [Buffer.alloc(0), Buffer.alloc(0)]
  /** Nothing that it writes is taken. */
  readonly #stalled: [boolean, boolean] = [false, false]
  readonly #waiting: [number, number] = [0, 0]

  constructor(plans: readonly Plan[]) {
    this.#plans = plans
    this.#exchanges = plans.map(({ up, down, piece, trailers }) => ({ senders: [new Sender(up, piece, trailers), new Sender(down, piece, trailers)], readers: [new Reader(), new Reader()] }))
    const owner: SessionOwner = {
      opened: (stream) => this.#begin(1, stream, this.#exchanges[(stream.id - 1) / 2]!),
      failed: (code, reason) => assert.fail(`${code} ${reason}`),
      goaway: () => undefined, settled: () => undefined, pong: () => undefined, emptied: () => undefined,
    }
    const start = (of: 0 | 1): Bench => startSession(of === 0 ? 'client' : 'server', { owner, waiting: (change) => { this.#waiting[of] += change } }, () => !this.#stalled[of])
    this.#benches = [start(0), start(1)]
    for (const exchange of this.#exchanges) this.#begin(0, this.#benches[0].session.open(nobody), exchange)
  }

  /** A side writes its head and begins with its body. */
  #begin(of: 0 | 1, stream: Stream, { senders, readers }: Exchange): void {
    stream.owner = readers[of].owner(senders[of])
    const { writer } = this.#benches[of].session
    const head = of === 0 ? post() : block([[':status', '200']])
    const at = writer.openBlock(head.length)
    head.copy(writer.bytes, at)
    writer.closeBlock(stream.id, at + head.length, false)
    senders[of].stream = stream
    senders[of].go()
  }

  happens(event: Event): void {
    if (event.kind === 'deliver') this.#deliver(event.to, event.size)
    else if (event.kind === 'line') this.#setLine(event.of, event.goes)
    else this.#setReader(event.of, this.#exchanges[event.pick % this.#exchanges.length]!, event.goes)
  }

  #setLine(of: 0 | 1, goes: boolean): void {
    this.#stalled[of] = !goes
    if (!goes || !this.#benches[of].outbox.busy) return
    this.#benches[of].outbox.written()
    this.#benches[of].session.drained()
  }

  #setReader(of: 0 | 1, { senders, readers }: Exchange, goes: boolean): void {
    const { stream } = senders[of]
    if (stream === undefined || readers[of].stopped === !goes) return
    readers[of].stopped = !goes
    if (goes) stream.unhold()
    else stream.hold()
  }

  #deliver(to: 0 | 1, size: number): void {
    const from = to === 0 ? 1 : 0
    const all = Buffer.concat([this.#unread[to], this.#benches[from].raw()])
    this.#unread[to] = all.subarray(size)
    if (all.length > 0) this.#benches[to].feed(all.subarray(0, size))
    for (const { senders } of this.#exchanges) senders[to].go()
  }

  /** Everything goes on; then it has to come to its end, and to nothing that is kept. */
  finish(): void {
    for (const each of [0, 1] as const) {
      this.#setLine(each, true)
      for (const exchange of this.#exchanges) this.#setReader(each, exchange, true)
    }
    const open = (): number => this.#benches[0].session.streams.open.size + this.#benches[1].session.streams.open.size
    for (let turns = 0; turns < MOST_TURNS && open() > 0; turns++) for (const to of [1, 0] as const) this.#deliver(to, Infinity)
    assert.equal(open(), 0, 'all is over')
    this.#exchanges.forEach(({ readers, senders }, index) => {
      const { up, down, trailers } = this.#plans[index]!
      const told = trailers ? ['x-trailer: yes\r\n'] : []
      assert.deepEqual(readers.map(({ size, ended, trailers }) => ({ size, ended, trailers })), [{ size: down, ended: true, trailers: told }, { size: up, ended: true, trailers: told }])
      assert.deepEqual(senders.map(({ holds }) => holds), [0, 0])
    })
    assert.deepEqual(this.#waiting, [0, 0])
    for (const { session } of this.#benches) assert.equal(session.streams.blocked.size, 0)
  }
}
