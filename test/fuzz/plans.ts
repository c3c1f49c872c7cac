// What is fuzzed with between two peers that keep the protocol: rounds of exchanges and tunnels, planned by a seed, and the octets of each.
import { createCipheriv, createHash } from 'node:crypto'
import fc from 'fast-check'

/** One direction of an exchange or a tunnel. */
export interface Flow {
  /** Sizes of the writes, in octets. */
  readonly pieces: readonly number[]
  /** Milliseconds before each piece, in turn. */
  readonly pauses: readonly number[]
  /** By `content-length`. */
  readonly announced: boolean
  readonly trailers: boolean
  /** It is given up before this piece (their count: before its end); undefined: it comes to its end. */
  readonly stop: number | undefined
}

export interface Plan {
  readonly kind: 'exchange' | 'tunnel'
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly status: number
  /** When the service answers: once it has the request, beside reading it (and ends behind its end), or in place of reading it. */
  readonly answers: 'after' | 'beside' | 'instead'
  readonly up: Flow
  readonly down: Flow
  /** Answers of 103 before the answer. */
  readonly hints: number
  /** The client leaves when it has got so many octets of the answer. */
  readonly leaves: number | undefined
  /** Of RST_STREAM, by whoever resets. */
  readonly code: number
  /** Both sides read with pauses. */
  readonly slow: boolean
  /** What a service whose connections may end does when it gives up: it cuts all of them. */
  readonly cutsAll: boolean
}

export type ServiceKind = 'h1' | 'h1-tls' | 'h2c' | 'h2'

/** How a connection ends in the middle: by FIN or reset without a word of TLS, or by close_notify (in the clear: FIN). */
export type Kill = { readonly after: number; readonly how: 'fin' | 'reset' | 'close_notify' }

/** One client with one connection of HTTP/2 (or as many of HTTP/1.1 as it needs), and what it does at once. */
export interface Round {
  readonly client: 'h1' | 'h2'
  readonly tls: 'TLSv1.2' | 'TLSv1.3' | undefined
  /** The most that a record of TLS from the client holds. */
  readonly fragment: number
  /** What crosses the network is cut into pieces of these sizes, in turn, both ways. */
  readonly cuts: readonly number[]
  /** Of a stream, as the client announces it. */
  readonly window: number
  readonly service: ServiceKind
  /** The service is one whose connections end at times. */
  readonly fragile: boolean
  readonly kill: Kill | undefined
  readonly plans: readonly Plan[]
}

const sizes = fc.oneof(
  { weight: 4, arbitrary: fc.nat(3000) },
  { weight: 4, arbitrary: fc.constantFrom(0, 1, 8, 9, 1023, 1024, 16_375, 16_383, 16_384, 16_385, 32_768, 65_534, 65_535, 65_536, 65_537) },
  { weight: 1, arbitrary: fc.constantFrom(131_072, 262_144, 262_145, 300_000) },
)
const pieces = fc.array(sizes, { maxLength: 6 })
const pauses = fc.oneof({ weight: 2, arbitrary: fc.constant([0]) }, { weight: 1, arbitrary: fc.array(fc.nat(3), { minLength: 1, maxLength: 5 }) })
/** Once in so many times. */
const sometimes = <T>(arbitrary: fc.Arbitrary<T>, times: number): fc.Arbitrary<T | undefined> => fc.oneof({ weight: times - 1, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary })

const flow: fc.Arbitrary<Flow> = fc.record({ pieces, pauses, announced: fc.boolean(), trailers: fc.boolean(), stop: sometimes(fc.nat(6), 7) })
  .map((each) => ({ ...each, trailers: each.trailers && !each.announced, stop: each.stop === undefined ? undefined : Math.min(each.stop, each.pieces.length) }))

/** INTERNAL_ERROR and CANCEL, which are those that Node can be made to say. */
const codes = fc.constantFrom(2, 8)

const plan: fc.Arbitrary<Plan> = fc.record({
  kind: fc.constantFrom('exchange' as const, 'exchange' as const, 'exchange' as const, 'tunnel' as const),
  method: fc.constantFrom('GET' as const, 'POST' as const, 'PUT' as const),
  status: fc.constantFrom(200, 201, 404, 500),
  answers: fc.constantFrom('after' as const, 'after' as const, 'beside' as const, 'beside' as const, 'instead' as const),
  up: flow, down: flow,
  hints: fc.constantFrom(0, 0, 0, 1, 2),
  leaves: sometimes(fc.nat(100_000), 12),
  code: codes,
  slow: fc.constantFrom(false, false, true),
  cutsAll: fc.constantFrom(false, true),
}).map(planned)

/** Keeps a plan within what its kind can say. */
function planned(plan: Plan): Plan {
  if (plan.kind === 'tunnel') {
    const bare = (each: Flow): Flow => ({ ...each, announced: false, trailers: false })
    return { ...plan, up: bare(plan.up), down: bare(plan.down), hints: 0, answers: 'beside' }
  }
  // An announced answer has its end with its last octet, which is not to come before the request's.
  if (plan.answers === 'beside' && plan.method !== 'GET') return { ...plan, down: { ...plan.down, announced: false } }
  return plan.method === 'GET' ? { ...plan, up: { ...plan.up, pieces: [], announced: false, trailers: false, stop: undefined } } : plan
}

const kill = fc.record({ after: fc.oneof(fc.nat(3000), fc.nat(200_000)), how: fc.constantFrom('fin' as const, 'reset' as const, 'close_notify' as const) })

export const rounds: fc.Arbitrary<Round> = fc.record({
  client: fc.constantFrom('h1' as const, 'h2' as const, 'h2' as const),
  tls: fc.constantFrom(undefined, 'TLSv1.2' as const, 'TLSv1.3' as const),
  fragment: fc.constantFrom(512, 1000, 4096, 16_384),
  cuts: fc.tuple(fc.array(fc.constantFrom(1, 2, 5, 9, 29, 500, 1460), { maxLength: 6 }), fc.integer({ min: 8000, max: 70_000 })).map(([small, large]) => [...small, large]),
  window: fc.constantFrom(16_384, 65_535, 65_536, 200_000, 1_048_576),
  service: fc.constantFrom('h1' as const, 'h1-tls' as const, 'h2c' as const, 'h2' as const),
  fragile: fc.constantFrom(false, false, false, false, false, true),
  kill: sometimes(kill, 7),
  plans: fc.array(plan, { minLength: 1, maxLength: 8 }),
})

const total = (flow: Flow): number => flow.pieces.reduce((sum, size) => sum + size, 0)

/** The octets of a flow: nobody else's are like them. */
export function octetsOf(serial: string, direction: 'up' | 'down', { pieces }: Pick<Flow, 'pieces'>): Buffer {
  const key = createHash('sha256').update(`${serial} ${direction}`).digest().subarray(0, 16)
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(pieces.reduce((sum, size) => sum + size, 0)))
}

/** Fields that say how long a flow is, where it is announced. */
export const lengthOf = (flow: Flow): Readonly<Record<string, string>> => flow.announced ? { 'content-length': String(total(flow)) } : {}

/** What the trailers of a flow say. */
export const trailersOf = (serial: string, flow: Flow): Readonly<Record<string, string>> => flow.trailers ? { 'x-sum': `${serial}-${total(flow)}` } : {}
