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
  { name: 'post', title: 'POST of 100 octets, 64 connections', load: { path: '/sink', connections: 64, bodyBytes: 100 }, backendRequests: 2 },
]

/** Below this the proxy waited for something else, and its CPU time per request says less: the measurement is void. */
const MIN_BUSY = 0.95
const BUSY_CONNECTIONS = 64

export interface CpuResult {
  readonly proxy: string
  readonly micros: Spread
  readonly userMicros: number
  readonly requestsPerSecond: number
  readonly busy: number
  readonly own: number
  /** To nginx in the same pair; undefined for nginx, and where it was not measured. */
  readonly ratio: Spread | undefined
  readonly errors: readonly string[]
}

export interface CpuRowResult {
  readonly row: string
  readonly title: string
  /** Pairs that count, and those that were void. */
  readonly pairs: number
  readonly voids: number
  readonly results: readonly CpuResult[]
}

interface Subject {
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
  progress(text: string): void
}

/** Measures each proxy once in each pair, in alternating order, until enough pairs count or twice as many were tried. */
export async function runCpuRow(row: CpuRow, proxies: readonly Proxy[], options: RunOptions): Promise<CpuRowResult> {
  const subjects = proxies.flatMap((proxy): Subject[] => [
    { label: proxy.name, proxy, port: proxy.port },
    ...(row.bodies === true && proxy.unbufferedPort !== undefined ? [{ label: `${proxy.name}, unbuffered`, proxy, port: proxy.unbufferedPort }] : []),
  ])
  const measure = (subject: Subject, windowMs: number): Promise<CpuMeasurement> =>
    measureCpu(subject.proxy, subject.port, row.load, { ...options, windowMs, backendRequests: row.backendRequests ?? 1 })
  for (const subject of subjects) {
    options.progress(`${row.name}: warm-up of ${subject.label}`)
    await measure(subject, 1000)
  }
  const valid: ReadonlyMap<string, CpuMeasurement>[] = []
  const all: ReadonlyMap<string, CpuMeasurement>[] = []
  while (valid.length < options.pairs && all.length < options.pairs * 2) {
    const order = all.length % 2 === 0 ? subjects : [...subjects].reverse()
    const pair = new Map<string, CpuMeasurement>()
    for (const subject of order) {
      options.progress(`${row.name}: pair ${valid.length + 1} of ${options.pairs}, ${subject.label}`)
      pair.set(subject.label, await measure(subject, options.windowMs))
    }
    all.push(pair)
    if (row.load.connections < BUSY_CONNECTIONS || [...pair.values()].every(({ busy }) => busy >= MIN_BUSY)) valid.push(pair)
  }
  // A row with too few pairs that count is shown all the same, with the number of void ones beside it.
  const counted = valid.length * 2 > options.pairs ? valid : all
  return {
    row: row.name, title: row.title, pairs: valid.length, voids: all.length - valid.length,
    results: subjects.map(({ label }) => resultOf(label, counted)),
  }
}

function resultOf(label: string, pairs: readonly ReadonlyMap<string, CpuMeasurement>[]): CpuResult {
  const own = pairs.map((pair) => pair.get(label)!)
  const median = (value: (measurement: CpuMeasurement) => number): number => spread(own.map(value)).median
  const base = baseOf(pairs)
  return {
    proxy: label,
    micros: spread(own.map(({ microsPerRequest }) => microsPerRequest)),
    userMicros: median(({ userMicros }) => userMicros),
    requestsPerSecond: median(({ requestsPerSecond }) => requestsPerSecond),
    busy: median(({ busy }) => busy),
    own: median((measurement) => measurement.own),
    ratio: base === undefined || label === base ? undefined : spread(pairs.map((pair) => pair.get(label)!.microsPerRequest / pair.get(base)!.microsPerRequest)),
    errors: [...new Set(own.map(({ errors }) => errors).filter((errors) => errors !== ''))],
  }
}

/** nginx with the setting that costs it less. */
function baseOf(pairs: readonly ReadonlyMap<string, CpuMeasurement>[]): string | undefined {
  const labels = [...(pairs[0]?.keys() ?? [])].filter((label) => label.startsWith('nginx'))
  const micros = (label: string): number => spread(pairs.map((pair) => pair.get(label)!.microsPerRequest)).median
  return labels.sort((a, b) => micros(a) - micros(b))[0]
}
