// The window of an HTTP/2 connection: what is not used yet stops nobody as long as there is something to lend, and no longer than it must.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CONNECTION_WINDOW, ReceiveWindow, WindowLoans } from '#src/http2/receive-window.ts'
import { nobody } from '#src/http2/stream.ts'
import { frame, post, PREFACE, readFrames, settings, startSession, type, type Bench } from '#test/support/http2-frames.ts'

const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const STREAM_WINDOW = 65_535
const MIB = 1024 * 1024

/** The other side of a session, which keeps to its windows. */
class Peer {
  readonly bench: Bench
  /** What it may send on the connection. */
  window = 65_535
  #next = 1

  constructor(bench: Bench) {
    this.bench = bench
    this.hear()
  }

  /** A server's: opens a stream, which does not use what comes if it is `held`. */
  open(held: boolean): number {
    const id = this.#next
    this.#next += 2
    this.bench.feed(frame('HEADERS', 4, id, post()))
    if (held) this.bench.session.streams.open.get(id)!.hold()
    this.hear()
    return id
  }

  /** Sends up to `size` octets; returns how many the connection's window let through. */
  send(id: number, size: number): number {
    let sent = 0
    while (sent < size && this.window > 0) {
      const piece = Math.min(16_384, size - sent, this.window)
      this.bench.feed(frame('DATA', 0, id, Buffer.alloc(piece)))
      this.window -= piece
      sent += piece
      this.hear()
    }
    return sent
  }

  /** Takes note of the windows that it was given. */
  hear(): void {
    const raw = this.bench.raw()
    const from = raw.subarray(0, PREFACE.length).toString() === PREFACE ? PREFACE.length : 0
    for (const each of readFrames(raw.subarray(from)).frames) if (each.type === type.WINDOW_UPDATE && each.id === 0) this.window += each.payload.readUInt32BE(0)
    assert.ok(this.window <= CONNECTION_WINDOW, 'no more window than we want to give')
    assert.deepEqual(this.bench.heard.failed, [])
  }
}

function client(loans: WindowLoans): Peer {
  const bench = startSession('server', { loans })
  bench.feed(Buffer.from(PREFACE), settings())
  return new Peer(bench)
}

test('what nobody reads of a service\'s answers takes nothing of its connection\'s window', () => {
  const bench = startSession('client', { loans: new WindowLoans(Number.POSITIVE_INFINITY) })
  bench.feed(settings())
  const peer = new Peer(bench)
  for (let at = 0; at < 100; at++) {
    const stream = bench.session.open(nobody)
    stream.hold()
    assert.equal(peer.send(stream.id, STREAM_WINDOW), STREAM_WINDOW)
    assert.ok(peer.window >= CONNECTION_WINDOW / 4)
  }
  const { id } = bench.session.open(nobody)
  for (let sent = 0; sent < 10; sent++) assert.equal(peer.send(id, 16_384), 16_384)
})

test('clients share what is lent: beyond it a connection has its own window, and what is used or over is free for others', () => {
  const loans = new WindowLoans(3 * MIB)
  const [one, two] = [client(loans), client(loans)]
  const stall = (peer: Peer): number => {
    let all = 0
    for (let sent = 1; sent > 0; all += sent) sent = peer.send(peer.open(true), STREAM_WINDOW)
    return all
  }
  assert.equal(stall(one), 4 * MIB, 'its window, and all that is lent')
  assert.equal(stall(two), MIB, 'its window')
  assert.equal(loans.lend(1), 0)
  const { open } = one.bench.session.streams
  for (const id of [1, 3, 5]) open.get(id)!.unhold()
  assert.ok(one.send(one.open(false), 2 * MIB) === 2 * MIB, 'what is used gives room')
  one.bench.session.end(0)
  assert.equal(stall(two), 3 * MIB, 'what the other has given back')
  two.bench.session.end(0)
  assert.equal(loans.lend(4 * MIB), 3 * MIB, 'all of it has come back')
})

for (const ends of ['is used', 'ends'] as const) {
  test(`what a connection was lent too little of it gets as soon as something of another's ${ends}, without asking for it`, () => {
    const loans = new WindowLoans(2 * MIB)
    const [rich, ...poor] = [client(loans), client(loans), client(loans)]
    while (rich.send(rich.open(true), STREAM_WINDOW) > 0);
    const moving = poor.map((peer) => {
      const id = peer.open(false)
      while (peer.send(peer.open(true), STREAM_WINDOW) > 0);
      return id
    })
    assert.deepEqual([loans.lend(1), ...poor.map(({ window }) => window)], [0, 0, 0])
    if (ends === 'ends') rich.bench.session.end(0)
    else for (const stream of rich.bench.session.streams.open.all()) stream.unhold()
    for (const [at, peer] of poor.entries()) {
      peer.hear()
      assert.equal(peer.send(moving[at]!, 4 * MIB), 4 * MIB, 'an upload that is taken moves on')
    }
    for (const peer of [rich, ...poor]) peer.bench.session.end(0)
    assert.equal(loans.lend(3 * MIB), 2 * MIB)
  })
}

test('a connection whose window is nearly used up moves on with what is left of it', () => {
  for (let stalled = 1; stalled < 16; stalled++) {
    const peer = client(new WindowLoans(0))
    for (let at = 0; at < stalled; at++) assert.equal(peer.send(peer.open(true), STREAM_WINDOW), STREAM_WINDOW)
    const id = peer.open(false)
    assert.equal(peer.send(id, 4 * MIB), 4 * MIB, `beside ${stalled}`)
  }
})

test('whatever comes, is used and ends: a peer never has more than its window, together they keep no more than is lent, and all comes back', (t) => {
  t.diagnostic(`FUZZ_SEED=${seed}`)
  const MOST = 2 * MIB
  const steps = fc.array(fc.tuple(fc.nat(2), fc.constantFrom('take', 'take', 'give', 'refill', 'end'), fc.nat(MIB)), { maxLength: 200 })
  fc.assert(fc.property(steps, (list) => {
    const loans = new WindowLoans(MOST)
    const all = Array.from({ length: 3 }, () => {
      const peer = { left: CONNECTION_WINDOW, unused: 0, over: false, window: new ReceiveWindow(loans, (increment) => { peer.left += increment }) }
      return peer
    })
    for (const [which, act, size] of list) {
      const peer = all[which]!
      if (peer.over) continue
      if (act === 'take') {
        const some = Math.min(size, peer.left)
        peer.left -= some
        peer.unused += some
        assert.equal(peer.window.take(some), true)
      } else if (act === 'give') {
        const some = Math.min(size, peer.unused)
        peer.unused -= some
        peer.window.give(some)
      } else if (act === 'refill') peer.window.refill()
      else if (size < MIB / 8) {
        peer.window.end()
        peer.over = true
      }
      assert.ok(peer.left >= 0 && peer.left <= CONNECTION_WINDOW)
      assert.ok(peer.over || peer.left > 0 || peer.unused >= CONNECTION_WINDOW, 'who has used enough may send')
      const spare = loans.lend(1)
      loans.repay(spare)
      assert.ok(spare === 0 || all.every((each) => each.over || each.left > 0), 'nobody has to stop while something is left to lend')
      assert.ok(all.reduce((sum, each) => sum + (each.over ? 0 : Math.max(0, each.unused + each.left - CONNECTION_WINDOW)), 0) <= MOST)
    }
    for (const each of all) if (!each.over) each.window.end()
    assert.equal(loans.lend(2 * MOST), MOST)
    const narrow = new ReceiveWindow(loans, () => undefined)
    assert.equal(narrow.take(CONNECTION_WINDOW + 1), false, 'more than the window is refused')
  }), { seed, numRuns: 500 })
})
