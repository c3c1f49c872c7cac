// What long-lived parts keep of the many that come and go: a roster, the streams of a connection, the wheel of deadlines.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import v8 from 'node:v8'
import vm from 'node:vm'
import fc from 'fast-check'
import { Deadlines, type Timed } from '#src/io/deadlines.ts'
import { Roster, type Member } from '#src/io/roster.ts'
import { StreamTable } from '#src/http2/stream-table.ts'
import { nobody, type Stream } from '#src/http2/stream.ts'
import { frame, post, PREFACE, rst, settings, startSession } from '#test/support/http2-frames.ts'

const streamOf = (id: number): Stream => ({ id, next: null }) as unknown as Stream

test('a roster has the members that a set would have', () => {
  fc.assert(fc.property(fc.array(fc.record({ who: fc.nat(30), joins: fc.boolean() }), { maxLength: 200 }), (steps) => {
    const members = Array.from({ length: 31 }, (): Member => ({ place: -1 }))
    const roster = new Roster<Member>()
    const set = new Set<Member>()
    for (const { who, joins } of steps) {
      const member = members[who]!
      if (!joins) assert.equal(roster.delete(member), set.delete(member))
      else if (!set.has(member)) {
        set.add(member)
        roster.add(member)
      }
      assert.equal(roster.size, set.size)
    }
    assert.deepEqual(new Set(roster.all()), set)
    assert.deepEqual(new Set(Array.from({ length: roster.size }, (_, turn) => roster.inTurn(7 + turn))), set, 'each has its turn')
    for (const member of members) assert.equal(member.place === -1, !set.has(member))
  }))
})

test('a table of streams finds those that a map would find, however their ids collide', () => {
  const id = fc.oneof(fc.nat(300), fc.nat(40).map((at) => at * 4096)).map((at) => 2 * at + 1)
  fc.assert(fc.property(fc.array(fc.record({ id, opens: fc.boolean() }), { maxLength: 400 }), (steps) => {
    const table = new StreamTable()
    const map = new Map<number, Stream>()
    for (const { id, opens } of steps) {
      const known = map.get(id)
      assert.equal(table.get(id), known)
      if (opens && known === undefined) {
        const stream = streamOf(id)
        map.set(id, stream)
        table.add(stream)
      } else if (!opens && known !== undefined) {
        map.delete(id)
        table.delete(known)
        assert.equal(known.next, null)
      }
      assert.equal(table.size, map.size)
    }
    assert.deepEqual(table.all().map((stream) => stream.id), [...map.keys()].sort((a, b) => a - b))
  }))
})

interface Keeper<M> {
  make(number: number): M
  enter(member: M): void
  leave(member: M): void
}

const wheel = new Deadlines(0)
const roster = new Roster<Member>()
const table = new StreamTable()
const set = new Set<object>()
const { feed, session } = startSession('client')
feed(settings([4, 0])) // no window: whatever is sent has to wait
const octets = Buffer.alloc(10)

describe('what has left is gone with the next small collection, however old the keeper is', () => {
  const kept = {
    roster: (): Promise<number> => stillThere<Member>({ make: () => ({ place: -1 }), enter: (member) => roster.add(member), leave: (member) => roster.delete(member) }),
    table: (): Promise<number> => stillThere<Stream>({ make: (number) => streamOf(2 * number + 1), enter: (stream) => table.add(stream), leave: (stream) => table.delete(stream) }),
    wheel: (): Promise<number> => stillThere<Timed>({
      make: () => ({ deadline: 0, bucketTick: 0, bucketPlace: 0, expired: () => undefined }), enter: (timed) => wheel.arm(timed, 30_000), leave: (timed) => wheel.remove(timed),
    }),
    'streams that wait for a window': (): Promise<number> => stillThere<Stream>({
      make: () => session.open({ ...nobody }), enter: (stream) => stream.send(octets, 0, 10, false, '', stream), leave: (stream) => stream.reset(8),
    }),
  }
  for (const [name, measure] of Object.entries(kept)) {
    test(name, async () => {
      const count = await measure()
      assert.ok(count <= 4, `${count} of 40 were still there`)
    })
  }

  test('a set, for comparison, keeps them', async (t) => {
    const count = await stillThere<object>({ make: () => ({}), enter: (member) => set.add(member), leave: (member) => set.delete(member) })
    t.diagnostic(`${count} of 40 were still there`) // when it is 0, V8 has changed, and sets would do
  })
})

test('a connection keeps nothing of a stream that is over, though its body was the last that came', async () => {
  v8.setFlagsFromString('--expose-gc')
  const collect = vm.runInNewContext('gc') as () => void
  const bench = startSession('server')
  bench.feed(Buffer.from(PREFACE), settings())
  const upload = (id: number): WeakRef<Stream> => {
    bench.feed(frame('HEADERS', 4, id, post()))
    const stream = new WeakRef(bench.session.streams.open.get(id)!)
    bench.feed(frame('DATA', 0, id, 'some'), rst(id, 8))
    return stream
  }
  const over = upload(1)
  await turn()
  collect()
  assert.equal(over.deref(), undefined)
})

/** Of 40 among 4,000 that came and went while 100 stayed: how many a collection of young objects has left. */
async function stillThere<M extends object>({ make, enter, leave }: Keeper<M>): Promise<number> {
  v8.setFlagsFromString('--expose-gc')
  const collect = vm.runInNewContext('gc') as (options?: { type: 'minor' }) => void
  let number = 0
  const live = Array.from({ length: 100 }, () => make(number++))
  for (const member of live) enter(member)
  collect()
  const gone: WeakRef<M>[] = []
  for (let round = 0; round < 40; round++) {
    for (let at = 0; at < 100; at++) {
      const member = make(number++)
      if (at === 7) gone.push(new WeakRef(member))
      enter(member)
      leave(live.shift()!)
      live.push(member)
    }
    await turn() // what a WeakRef has been made of stays for this turn
    if (round % 4 === 3) collect({ type: 'minor' })
  }
  for (const member of live.splice(0)) leave(member)
  for (let round = 0; round < 2; round++) {
    await turn()
    collect({ type: 'minor' })
  }
  await turn()
  return gone.filter((each) => each.deref() !== undefined).length
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
