// The rows whose result is CPU time per request, and how pairs of measurements become one.
import { LARGE_BYTES, type Backend } from './backend.ts'
import type { Children } from './children.ts'
import { measureCpu, type CpuMeasurement } from './cpu.ts'
import type { Load } from './load.ts'
import type { Proxy } from './peer.ts'
import { spread, type Spread } from './statistics.ts'

export interface CpuRow {
  readonly name: string
  readonly title: string
  readonly load: Load
  /** Requests that the backend counts for one of the client's: 2 where it reads bodies (peers/backend.conf). */
  readonly backendRequests?: number
  /** nginx is measured without its buffers as well, and the better counts. */
  readonly bodies?: boolean
}

export const cpuRows: readonly CpuRow[] = [
  { name: 'small-1', title: 'small response, 1 connection', load: { path: '/', connections: 1 } },
  { name: 'small-64', title: 'small response, 64 connections', load: { path: '/', connections: 64 } },
  { name: 'small-512', title: 'small response, 512 connections', load: { path: '/', connections: 512 } },
  { name: '10k', title: '10 KiB response, 64 connections', load: { path: '/10k', connections: 64 } },
  { name: '1m', title: '1 MiB response, 16 connections', load: { path: '/1m', connections: 16 }, bodies: true },
  { name: 'upload', title: '1 MiB upload, 16 connections', load: { path: '/sink', connections: 16, bodyBytes: LARGE_BYTES }, backendRequests: 2, bodies: true },
  { name: 'chunked', title: 'chunked response of 16 KiB, 64 connections', load: { path: '/chunked', connections: 64 } },
  { name: 'new', title: 'a new connection for each request, 64 at once', load: { path: '/', connections: 64, close: true } },
  { name: 'pipelined', title: '16 requests at once on 64 connections', load: { path: '/', connections: 64, pipelined: 16 } },
  { name: 'tls-64', title: 'TLS: small response, 64 connections', load: { path: '/', connections: 64, tls: 'kept' } },
  { name: 'h2-8x16', title: 'HTTP/2 over TLS: small response, 8 connections with 16 streams each', load: { path: '/', connections: 8, tls: 'kept', streams: 16 } },
  { name: 'h2-1x100', title: 'HTTP/2 over TLS: small response, 1 connection with 100 streams', load: { path: '/', connections: 1, tls: 'kept', streams: 100 } },
  { name: 'grpc', title: 'gRPC over TLS: unary calls, 8 connections with 16 streams each, to an HTTP/2 service', load: { path: '/bench.Echo/Call', connections: 8, tls: 'kept', streams: 16, grpc: true }, backendRequests: 2 },
  { name: 'handshake', title: 'TLS: a new connection with a full handshake for each request, 16 at once', load: { path: '/', connections: 16, tls: 'full' } },
  { name: 'resumed', title: 'TLS: a new connection with a resumed session for each request, 16 at once', load: { path: '/', connections: 16, tls: 'resumed' } },
  { name: 'post', title: 'POST of 100 octets, 64 connections', load: { path: '/sink', connections: 64, bodyBytes: 100 }, backendRequests: 2 },
]

/** The small row with Serai's workers two instead of one; its ratio is to Serai with one. */
export const workersRow: CpuRow = { name: 'workers', title: 'two workers on one core, small response, 64 connections', load: { path: '/', connections: 64 } }

/** Below this the proxy waited for something else, and its CPU time per request says less: the measurement is void. */
const MIN_BUSY = 0.95
const BUSY_CONNECTIONS = 64
/** Above this somebody else ran on the proxy's core, and emptied its caches: void as well, in every row. */
const MAX_FOREIGN = 0.1

export interface CpuResult {
  readonly proxy: string
  readonly micros: Spread
  readonly userMicros: number
  readonly requestsPerSecond: number
  readonly busy: number
  readonly own: number
  /** To the row's base in the same pair; undefined for the base itself, and where that was not measured. */
  readonly ratio: Spread | undefined
  readonly errors: readonly string[]
}

/** Each proxy measured once. */
export interface Pair {
  readonly void: boolean
  readonly measurements: Readonly<Record<string, CpuMeasurement>>
}

export interface CpuRowResult {
  readonly row: string
  readonly title: string
  /** What the ratios are to. */
  readonly base: string | undefined
  readonly asked: number
  /** Too few pairs count: `results`, of all pairs, are no results to be shown. */
  readonly void: boolean
  readonly results: readonly CpuResult[]
  /** In the order in which they were measured, void ones too. */
  readonly pairs: readonly Pair[]
}

export interface Subject {
  readonly label: string
  readonly proxy: Proxy
  readonly port: number
}

export interface RunOptions {
  readonly children: Children
  readonly backend: Backend
  readonly folder: string
  readonly pairs: number
  readonly windowMs: number
  /** No further pair begins when a row has taken this long. */
  readonly rowMs: number
  progress(text: string): void
}

/** The proxies as a row measures them. */
export function subjectsOf(row: CpuRow, proxies: readonly Proxy[]): Subject[] {
  if (row.load.tls !== undefined) return proxies.flatMap((proxy) => (proxy.tlsPort === undefined ? [] : { label: proxy.name, proxy, port: proxy.tlsPort }))
  return proxies.flatMap((proxy): Subject[] => [
    { label: proxy.name, proxy, port: proxy.port },
    ...(row.bodies === true && proxy.unbufferedPort !== undefined ? [{ label: `${proxy.name}, unbuffered`, proxy, port: proxy.unbufferedPort }] : []),
  ])
}

/** Measures each subject once in each pair, in alternating order, until enough pairs count, twice as many were tried or the time is up. */
export async function runCpuRow(row: CpuRow, subjects: readonly Subject[], base: string, options: RunOptions): Promise<CpuRowResult> {
  const until = performance.now() + options.rowMs
  const measure = (subject: Subject, windowMs: number): Promise<CpuMeasurement> =>
    measureCpu(subject.proxy, subject.port, row.load, { ...options, windowMs, backendRequests: row.backendRequests ?? 1 })
  for (const subject of subjects) {
    options.progress(`${row.name}: warm-up of ${subject.label}`)
    await measure(subject, 1000)
  }
  const pairs: Pair[] = []
  const valid = (): Pair[] => pairs.filter((pair) => !pair.void)
  while (valid().length < options.pairs && pairs.length < options.pairs * 2 && performance.now() < until) {
    const measurements: Record<string, CpuMeasurement> = {}
    for (const subject of pairs.length % 2 === 0 ? subjects : subjects.toReversed()) {
      options.progress(`${row.name}: pair ${valid().length + 1} of ${options.pairs}, ${subject.label}`)
      measurements[subject.label] = await measure(subject, options.windowMs)
    }
    pairs.push({ void: !counts(row, Object.values(measurements)), measurements })
  }
  const enough = valid().length * 2 > options.pairs
  const taken = (enough ? valid() : pairs).map(({ measurements }) => measurements)
  const to = cheapest(base, taken)
  return {
    row: row.name, title: row.title, base: to, asked: options.pairs, void: !enough, pairs,
    results: subjects.map(({ label }) => resultOf(label, to, taken)),
  }
}

function counts({ load }: CpuRow, measurements: readonly CpuMeasurement[]): boolean {
  const leastBusy = load.connections < BUSY_CONNECTIONS ? 0 : MIN_BUSY
  return measurements.every(({ busy, own }) => busy >= leastBusy && busy - own <= MAX_FOREIGN)
}

type Measurements = Pair['measurements']

function resultOf(label: string, base: string | undefined, pairs: readonly Measurements[]): CpuResult {
  const own = pairs.map((pair) => pair[label]!)
  const median = (value: (measurement: CpuMeasurement) => number): number => spread(own.map(value)).median
  return {
    proxy: label,
    micros: spread(own.map(({ microsPerRequest }) => microsPerRequest)),
    userMicros: median(({ userMicros }) => userMicros),
    requestsPerSecond: median(({ requestsPerSecond }) => requestsPerSecond),
    busy: median(({ busy }) => busy),
    own: median((measurement) => measurement.own),
    ratio: base === undefined || label === base ? undefined : spread(pairs.map((pair) => pair[label]!.microsPerRequest / pair[base]!.microsPerRequest)),
    errors: [...new Set(own.map(({ errors }) => errors).filter((errors) => errors !== ''))],
  }
}

/** The label that begins with `name` and costs least: nginx with the better setting of its buffers. */
function cheapest(name: string, pairs: readonly Measurements[]): string | undefined {
  const micros = (label: string): number => spread(pairs.map((pair) => pair[label]!.microsPerRequest)).median
  return Object.keys(pairs[0] ?? {}).filter((label) => label === name || label.startsWith(`${name},`)).sort((a, b) => micros(a) - micros(b))[0]
}
