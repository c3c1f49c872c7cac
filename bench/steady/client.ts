// A process that asks at a fixed rate, whatever the answers do: an open loop, so that all who were due in a stall see it.
// Arguments: port, requests a second, milliseconds, connections. Prints a `Latency` as JSON.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { HOST } from '../peer.ts'
import { quantile } from '../statistics.ts'

/** Milliseconds from when a request was due (not from when a connection was free for it) until its answer was there. */
export interface Latency {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
  readonly answered: number
  readonly failed: number
  /** How late the client itself woke up, 99 of 100 times at most; its own part in the latencies. */
  readonly lateP99: number
}

const [port = 0, rate = 0, forMs = 0, connections = 0] = process.argv.slice(2).map(Number)
/** Not counted: until the connections to the backend are open, and the code here is compiled. */
const WARM_MS = 500
const TICK_MS = 1
const REQUEST = Buffer.from(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`)

interface Asker {
  readonly socket: Socket
  dueAt: number
  received: string
}

const free: Asker[] = []
/** When they were due: requests for which no connection is free. */
const waiting: number[] = []
const latencies: number[] = []
const lateness: number[] = []
let failed = 0
let inFlight = 0
let countFrom = Number.POSITIVE_INFINITY

async function open(): Promise<Asker> {
  const socket = connect(port, '127.0.0.1').setNoDelay(true)
  await once(socket, 'connect')
  const asker: Asker = { socket, dueAt: 0, received: '' }
  socket.on('data', (part: Buffer) => {
    asker.received += part.latin1Slice()
    if (isWhole(asker.received)) answered(asker)
  })
  socket.on('error', lost).on('close', lost)
  return asker
}

/** A lost connection spoils a run at a fixed rate. */
function lost(): void {
  process.stderr.write('a connection was lost\n')
  process.exit(1)
}

function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n')
  const length = end < 0 ? undefined : /\r\ncontent-length: *([0-9]+)/i.exec(text)?.[1]
  return length !== undefined && text.length >= end + 4 + Number(length)
}

function ask(asker: Asker, dueAt: number): void {
  asker.dueAt = dueAt
  asker.received = ''
  inFlight++
  asker.socket.write(REQUEST)
}

function answered(asker: Asker): void {
  inFlight--
  if (asker.dueAt >= countFrom) {
    if (asker.received.startsWith('HTTP/1.1 200 ')) latencies.push(performance.now() - asker.dueAt)
    else failed++
  }
  const due = waiting.shift()
  if (due === undefined) free.push(asker)
  else ask(asker, due)
}

free.push(...await Promise.all(Array.from({ length: connections }, open)))
const begin = performance.now()
countFrom = begin + WARM_MS
let issued = 0
let last = begin

function tick(): void {
  const now = performance.now()
  if (now >= countFrom) lateness.push(Math.max(0, now - last - TICK_MS))
  last = now
  if (now - begin > WARM_MS + forMs) {
    finish(now)
    return
  }
  for (const due = ((now - begin) * rate) / 1000; issued < due; issued++) {
    const asker = free.pop()
    if (asker === undefined) waiting.push(now)
    else ask(asker, now)
  }
  setTimeout(tick, TICK_MS)
}

/** What is still on its way gets a second; then it has failed. */
function finish(endedAt: number): void {
  if (inFlight > 0 && performance.now() - endedAt < 1000) {
    setTimeout(finish, 10, endedAt)
    return
  }
  const sorted = Float64Array.from(latencies).sort()
  const at = (part: number): number => quantile(sorted, part)
  const late = Float64Array.from(lateness).sort()
  const latency: Latency = {
    p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: sorted.at(-1) ?? Number.NaN,
    answered: sorted.length, failed: failed + inFlight + waiting.length, lateP99: quantile(late, 0.99),
  }
  process.stdout.write(`${JSON.stringify(latency)}\n`, () => process.exit(0))
}

tick()
