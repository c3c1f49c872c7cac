// `npm run fuzz -- --minutes 60 --seed N`: every property and the wire, again and again with the seeds that follow, until the time is over.
import { parseArgs } from 'node:util'
import { fuzzGrpcWeb } from './grpc-web-wire.ts'
import { fuzzHttp2Wire } from './http2-wire.ts'
import { fuzzPlanned } from './planned-wire.ts'
import { properties } from './properties.ts'
import { runsOf } from './property.ts'
import { fuzzWire } from './wire.ts'

const PROPERTY_RUNS = 20_000
const WIRE_STREAMS = 3000
const HTTP2_CONNECTIONS = 1500
const PLANNED_ROUNDS = 500
const GRPC_WEB_CALLS = 1000

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '5' }, seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) } } })
const end = performance.now() + Number(values.minutes) * 60_000
const first = Number(values.seed)
if (!Number.isFinite(end) || !Number.isSafeInteger(first)) throw new Error('--minutes and --seed are numbers')

let inputs = 0
let requests = 0
let http2Streams = 0
let http2Answers = 0
let exchanges = 0
let tunnels = 0
let calls = 0
console.log(`fuzzing for ${values.minutes} minutes from seed ${first}; a failure is replayed with --seed and the number that it names`)
try {
  for (let seed = first; performance.now() < end; seed++) {
    for (const property of properties) {
      try {
        property.check(seed, runsOf(property, PROPERTY_RUNS))
      } catch (error) {
        throw new Error(`seed ${seed}: ${property.name}`, { cause: error })
      }
    }
    const wire = await fuzzWire(seed, WIRE_STREAMS)
    inputs += properties.reduce((sum, property) => sum + runsOf(property, PROPERTY_RUNS), 0) + wire.streams
    requests += wire.requests
    const over2 = await fuzzHttp2Wire(seed, HTTP2_CONNECTIONS)
    http2Streams += over2.streams
    http2Answers += over2.answers
    const planned = await fuzzPlanned(seed, PLANNED_ROUNDS)
    exchanges += planned.exchanges
    tunnels += planned.tunnels
    const web = await fuzzGrpcWeb(seed, GRPC_WEB_CALLS)
    calls += web.calls
    console.log(`seed ${seed}: ${wire.streams} streams, ${wire.requests} requests forwarded, ${wire.refused} answered by Serai alone; HTTP/2: ${over2.streams} streams, ${over2.requests} requests forwarded, ${over2.answers} answers, ${over2.whole} whole; planned: ${planned.exchanges} exchanges, ${planned.tunnels} tunnels, ${planned.whole} whole; gRPC-Web: ${web.calls} calls, ${web.whole} whole`)
  }
  console.log(`✔ ${inputs} inputs, ${requests} requests over the wire; HTTP/2: ${http2Streams} streams, ${http2Answers} answers; planned: ${exchanges} exchanges, ${tunnels} tunnels; gRPC-Web: ${calls} calls`)
} catch (error) {
  console.error('✖', error)
  process.exitCode = 1
}
