// What HTTP/2 is fuzzed with: frames that are nearly right, in an order that nearly makes sense, and what our side does meanwhile.
import fc from 'fast-check'
import { frame, get, post, type, word } from '#test/support/http2-frames.ts'

const PADDED = 8
const PRIORITY = 0x20

/** What the peer of a server sends, octets and all, or what the server does with one of its streams. */
export type Step =
  | { readonly kind: 'sent'; readonly octets: Buffer }
  | { readonly kind: 'own'; readonly act: 'answer' | 'send' | 'end' | 'hold' | 'unhold' | 'reset'; readonly pick: number; readonly size: number }

const of = <T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values)
const octets = (maxLength: number): fc.Arbitrary<Buffer> => fc.uint8Array({ maxLength }).map((each) => Buffer.from(each))
const mostly = <T>(usual: fc.Arbitrary<T>, other: fc.Arbitrary<T>, weight = 12): fc.Arbitrary<T> => fc.oneof({ weight, arbitrary: usual }, { weight: 1, arbitrary: other })

// ── header blocks ──

const integer = (value: number, bits: number, high: number): Buffer => {
  const most = 2 ** bits - 1
  if (value < most) return Buffer.from([high | value])
  const out = [high | most]
  let rest = value - most
  for (; rest >= 128; rest >>>= 7) out.push((rest & 127) | 128)
  return Buffer.from([...out, rest])
}
const text = fc.tuple(fc.oneof(of('a', 'b'), of('', 'a', 'x-name', ':path', '/', 'b'.repeat(40)), octets(6).map((each) => each.toString('latin1'))), fc.integer({ min: 0, max: 12 }))
  .map(([value, coded]) => Buffer.concat([integer(value.length, 7, coded === 0 ? 128 : 0), Buffer.from(value, 'latin1')]))
const index = fc.oneof({ weight: 3, arbitrary: fc.nat(61) }, { weight: 3, arbitrary: fc.integer({ min: 62, max: 70 }) }, { weight: 1, arbitrary: of(127, 128, 16_383, 2 ** 28) })
/** Some sizes of the table are those that one or two small fields just fill. */
const representation = fc.oneof(
  { weight: 6, arbitrary: index.map((each) => integer(each, 7, 128)) },
  { weight: 4, arbitrary: fc.tuple(index, text).map(([name, value]) => Buffer.concat([integer(name, 6, 64), value])) },
  { weight: 4, arbitrary: fc.tuple(text, text).map(([name, value]) => Buffer.concat([Buffer.from([64]), name, value])) },
  { weight: 2, arbitrary: fc.tuple(of(0, 16), index, text).map(([high, name, value]) => Buffer.concat([integer(name, 4, high), value])) },
  { weight: 1, arbitrary: of(0, 31, 33, 34, 66, 100, 4096, 4097).map((size) => integer(size, 5, 32)) },
  { weight: 1, arbitrary: octets(5) },
)
/** Blocks of HPACK, most of them good, whose meaning depends on the blocks before them. */
export const hpackBlocks: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 10, arbitrary: fc.array(representation, { maxLength: 8 }).map((each) => Buffer.concat(each)) },
  { weight: 1, arbitrary: octets(60) },
)

// ── frames ──

const padding = fc.nat(20)
/** The payload of a frame that has padding, and priority where its flags say so. */
function padded(content: Buffer, flags: number, pad: number, dependsOn: number): Buffer {
  const head = [...((flags & PADDED) === 0 ? [] : [Buffer.from([pad])]), ...((flags & PRIORITY) === 0 ? [] : [word(dependsOn), Buffer.from([16])])]
  return Buffer.concat([...head, content, Buffer.alloc((flags & PADDED) === 0 ? 0 : pad)])
}

/** Which stream a frame is on: the next, one that was opened already, or any number. */
type Place = { readonly of: 'next' } | { readonly of: 'opened'; readonly pick: number } | { readonly of: 'number'; readonly id: number }
const next: fc.Arbitrary<Place> = fc.constant({ of: 'next' })
const number = (...ids: readonly number[]): fc.Arbitrary<Place> => of(...ids).map((id) => ({ of: 'number', id }))
const opened: fc.Arbitrary<Place> = mostly(fc.nat(7).map((pick) => ({ of: 'opened', pick })), number(0, 1, 2, 3, 9, 11, 2 ** 31 - 1), 40)
const connection = mostly(number(0), opened, 60)

type Kind = keyof typeof type
interface Sent {
  readonly kind: Kind
  readonly flags: number
  readonly place: Place
  readonly payload: Buffer
}
const sent = (kind: Kind, flags: fc.Arbitrary<number>, place: fc.Arbitrary<Place>, payload: fc.Arbitrary<Buffer>): fc.Arbitrary<readonly Sent[]> =>
  fc.record({ kind: fc.constant(kind), flags, place, payload }).map((each) => [each])
const bodies = mostly(fc.oneof(octets(30), of(0, 9, 10, 300, 16_000).map((size) => Buffer.alloc(size, 'd'))), of(Buffer.alloc(16_384, 'D'), Buffer.alloc(16_385, 'D')), 40)
const heads = mostly(of(get(), post(), Buffer.from([0x82, 0x86, 0x84, 0x41, 1, 0x61])), hpackBlocks, 8)
const headers = (flags: fc.Arbitrary<number>, place: fc.Arbitrary<Place>): fc.Arbitrary<readonly Sent[]> =>
  fc.tuple(flags, place, heads, padding, mostly(of(0), of(1, 3, 5), 20)).map(([bits, where, block, pad, dependsOn]) => [{ kind: 'HEADERS', flags: bits, place: where, payload: padded(block, bits, pad, dependsOn) }])
const inPieces = fc.tuple(of(0, 1, PADDED, 1 | PRIORITY), heads, fc.nat(30), fc.nat(30), mostly(of(4), of(0), 20)).map(([flags, block, first, second, last]): readonly Sent[] => {
  const place: Place = { of: 'opened', pick: -1 } // that of the HEADERS before it
  return [
    { kind: 'HEADERS', flags, place: { of: 'next' }, payload: padded(block.subarray(0, first), flags, 3, 0) },
    { kind: 'CONTINUATION', flags: 0, place, payload: block.subarray(first, first + second) },
    { kind: 'CONTINUATION', flags: last, place, payload: block.subarray(first + second) },
  ]
})

const good: fc.Arbitrary<readonly Sent[]> = fc.oneof(
  { weight: 10, arbitrary: headers(of(4, 5, 4, 5, 4 | PADDED, 5 | PRIORITY, 5 | PADDED | PRIORITY), next) },
  { weight: 2, arbitrary: headers(of(5), opened) },
  { weight: 2, arbitrary: inPieces },
  { weight: 10, arbitrary: fc.tuple(of(0, 0, 1, PADDED, 1 | PADDED), opened, bodies, padding).map(([flags, place, body, pad]): readonly Sent[] => [{ kind: 'DATA', flags, place, payload: padded(body, flags, pad, 0) }]) },
  { weight: 2, arbitrary: sent('RST_STREAM', of(0), opened, of(0, 5, 8, 99).map(word)) },
  { weight: 4, arbitrary: sent('WINDOW_UPDATE', of(0), fc.oneof(opened, number(0)), mostly(of(1, 100, 20_000), of(0, 2 ** 31 - 1, 2 ** 31, 2 ** 30), 20).map(word)) },
  { weight: 3, arbitrary: sent('SETTINGS', mostly(of(0), of(1), 30), connection, fc.array(fc.tuple(of(1, 3, 4, 4, 6, 9, 77), mostly(of(0, 1, 100, 4096, 16_384, 65_535), of(2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1), 40)), { maxLength: 3 }).map(entries)) },
  { weight: 1, arbitrary: sent('SETTINGS', of(0), connection, mostly(of([2, 0], [2, 1], [5, 16_384], [5, 2 ** 24 - 1], [8, 0], [8, 1]), of([2, 2], [5, 16_383], [5, 2 ** 24], [8, 2]), 6).map(([key = 0, value = 0]) => entries([[key, value]]))) },
  { weight: 1, arbitrary: sent('SETTINGS', of(1), connection, of(Buffer.alloc(0))) },
  { weight: 2, arbitrary: sent('PING', of(0, 0, 1), connection, octets(8).map((each) => Buffer.concat([each, Buffer.alloc(8)]).subarray(0, 8))) },
  { weight: 2, arbitrary: sent('PRIORITY', of(0), opened, of(0, 1, 3).map((id) => Buffer.concat([word(id), Buffer.from([1])]))) },
  { weight: 1, arbitrary: sent('PRIORITY_UPDATE', of(0), connection, fc.tuple(mostly(of(1, 3, 5), of(0, 2), 8), of('u=0', 'u=7, i', 'i', '?', '')).map(([id, value]) => Buffer.concat([word(id), Buffer.from(value)]))) },
  { weight: 1, arbitrary: sent('GOAWAY', of(0), connection, octets(4).map((debug) => Buffer.concat([word(0), word(0), debug]))) },
)
const bad: fc.Arbitrary<readonly Sent[]> = fc.oneof(
  sent('PUSH_PROMISE', of(4), opened, octets(10)),
  sent('CONTINUATION', of(0, 4), opened, hpackBlocks),
  fc.record({ kind: of(...(Object.keys(type) as Kind[])), flags: fc.nat(255), place: opened, payload: octets(20) }).map((each) => [each]),
  fc.tuple(good, octets(6)).map(([[each], more]) => [{ ...each!, payload: Buffer.concat([each!.payload.subarray(0, 16_000), more]) }]),
  fc.tuple(good, fc.nat(20)).map(([[each], size]) => [{ ...each!, payload: each!.payload.subarray(0, size) }]),
)
const own: fc.Arbitrary<Step> = fc.record({ kind: fc.constant('own' as const), act: of<'answer' | 'send' | 'end' | 'hold' | 'unhold' | 'reset'>('answer', 'send', 'send', 'end', 'hold', 'unhold', 'reset'), pick: fc.nat(7), size: of(0, 1, 100, 5000, 40_000) })

function entries(list: readonly (readonly number[])[]): Buffer {
  return Buffer.concat(list.map(([key = 0, value = 0]) => Buffer.concat([Buffer.from([0, key]), word(value)])))
}

/** Steps on one connection to a server. */
export const connections: fc.Arbitrary<readonly Step[]> = fc.array(fc.oneof(
  { weight: 100, arbitrary: good }, { weight: 1, arbitrary: bad }, { weight: 40, arbitrary: own },
), { maxLength: 60, size: 'max' }).map((all) => {
  const streams: number[] = []
  return all.flatMap((each): Step[] => {
    if (!isSent(each)) return [each]
    return each.flatMap(({ kind, flags, place, payload }) => {
      const id = place.of === 'number' ? place.id : place.of === 'next' ? 1 + 2 * streams.length : streams.at(place.pick < 0 ? -1 : place.pick % Math.max(1, streams.length))
      if (id === undefined) return []
      if (kind === 'HEADERS' && place.of === 'next') streams.push(id)
      return [{ kind: 'sent', octets: frame(kind, flags, id, payload) }]
    })
  })
})
const isSent = (step: readonly Sent[] | Step): step is readonly Sent[] => Array.isArray(step)

/** The pieces in which a connection's octets come: sizes, the last again and again; none: all at once. */
export const pieces: fc.Arbitrary<readonly number[]> = fc.oneof({ weight: 1, arbitrary: of([1]) }, { weight: 3, arbitrary: fc.array(fc.integer({ min: 1, max: 30_000 }), { maxLength: 6 }) }, { weight: 3, arbitrary: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 30 }) })

const MOST_PIECES = 1000

/** Cuts octets so. */
export function cut(whole: Buffer, sizes: readonly number[]): Buffer[] {
  const out: Buffer[] = []
  for (let at = 0, turn = 0; at < whole.length; turn++) {
    const size = turn < MOST_PIECES ? (sizes[Math.min(turn, sizes.length - 1)] ?? whole.length) : whole.length
    out.push(whole.subarray(at, at + size))
    at += size
  }
  return out
}
