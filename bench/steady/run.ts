// The row `steady`: latency at a fixed rate, half of what Serai can do at most, with the table changing and without.
import { renameSync, writeFileSync } from 'node:fs'
import { startChangeProgram, type ChangeProgram } from '../change/start.ts'
import type { RunOptions } from '../cpu-rows.ts'
import { HOSTS, type Proxy } from '../peer.ts'
import { servicesFile } from '../services.ts'
import { spread, type Spread } from '../statistics.ts'
import type { Latency } from './client.ts'
import { halfOfMost, startSteadyLoad } from './load.ts'

export interface SteadySubject {
  readonly subject: string
  readonly p50: Spread
  readonly p99: Spread
  readonly p999: Spread
  readonly max: Spread
  readonly failed: number
  /** p99 beside the same without changes, in the same pair. */
  readonly ratio: Spread | undefined
}

export interface SteadyResult {
  readonly requestsPerSecond: number
  readonly pairs: number
  /** Milliseconds from when a request was due. */
  readonly subjects: readonly SteadySubject[]
  /** p99 of how late the load generator itself woke up. */
  readonly lateP99: Spread
}

interface Subject {
  readonly label: string
  readonly port: number
  /** The subject that does the same without changes. */
  readonly calm?: string
  /** Makes one change. */
  change?(): void
}

const FOR_MS = 3000
const CHANGE_EVERY_MS = 500

/** nginx and HAProxy where they run, Serai with a services file, and Serai's table of 5,000 services, each calm and with a change every 500 ms. */
export async function runSteady(proxies: readonly Proxy[], options: RunOptions): Promise<SteadyResult> {
  const { children, backend, progress } = options
  const serai = proxies.find(({ name }) => name === 'serai')!
  const program = await startChangeProgram(children, backend, options.folder, { workers: 1 })
  try {
    const subjects = subjectsOf(proxies, serai, program, backend.ports)
    let rate = 0
    for (const port of new Set(subjects.map((subject) => subject.port))) {
      progress('steady: warm-up, and how much Serai can do')
      const half = await halfOfMost(port, options)
      if (port === serai.port) rate = half
    }
    const until = performance.now() + options.rowMs
    const pairs: ReadonlyMap<string, Latency>[] = []
    while (pairs.length < options.pairs && performance.now() < until) {
      const pair = new Map<string, Latency>()
      for (const subject of pairs.length % 2 === 0 ? subjects : subjects.toReversed()) {
        progress(`steady: pair ${pairs.length + 1} of ${options.pairs}, ${subject.label}`)
        pair.set(subject.label, await measure(subject, rate, options))
      }
      pairs.push(pair)
    }
    return {
      requestsPerSecond: rate,
      pairs: pairs.length,
      subjects: subjects.map((subject) => resultOf(subject, pairs)),
      lateP99: spread(pairs.flatMap((pair) => [...pair.values()].map(({ lateP99 }) => lateP99))),
    }
  } finally {
    await program.child.stop()
  }
}

function subjectsOf(proxies: readonly Proxy[], serai: Proxy, program: ChangeProgram, backends: readonly number[]): Subject[] {
  const peers = proxies.filter(({ name }) => name === 'nginx' || name === 'haproxy').map(({ name, port }) => ({ label: name, port }))
  return [
    ...peers,
    { label: 'serai', port: serai.port },
    { label: 'serai, services file changes', port: serai.port, calm: 'serai', change: fileChanger(serai.services!, backends) },
    { label: 'serai, 5,000 services', port: program.port },
    { label: 'serai, one of 5,000 services changes', port: program.port, calm: 'serai, 5,000 services', change: () => program.change() },
  ]
}

/** Replaces the services file by one in which the first service has another endpoint. */
function fileChanger(path: string, backends: readonly number[]): () => void {
  const real = backends.map((port) => `127.0.0.1:${port}`)
  const texts = [1, 2].map((end) => servicesFile(HOSTS, (index) => (index === 0 ? [`127.0.0.${end}:9`] : real)))
  let at = 0
  return () => {
    writeFileSync(`${path}.new`, texts[at++ % 2]!)
    renameSync(`${path}.new`, path)
  }
}

async function measure({ label, port, change }: Subject, rate: number, { children }: RunOptions): Promise<Latency> {
  const child = startSteadyLoad(children, port, rate, FOR_MS)
  const changing = change === undefined ? undefined : setInterval(change, CHANGE_EVERY_MS)
  const limit = setTimeout(() => void child.stop('SIGKILL'), FOR_MS * 2 + 5000)
  await child.exited
  clearInterval(changing)
  clearTimeout(limit)
  try {
    return JSON.parse(child.output()) as Latency
  } catch {
    throw new Error(`${label} at ${rate} requests a second: ${child.output() || 'no end'}`)
  }
}

function resultOf({ label, calm }: Subject, pairs: readonly ReadonlyMap<string, Latency>[]): SteadySubject {
  const own = pairs.map((pair) => pair.get(label)!)
  return {
    subject: label,
    p50: spread(own.map(({ p50 }) => p50)),
    p99: spread(own.map(({ p99 }) => p99)),
    p999: spread(own.map(({ p999 }) => p999)),
    max: spread(own.map(({ max }) => max)),
    failed: own.reduce((sum, { failed }) => sum + failed, 0),
    ratio: calm === undefined ? undefined : spread(pairs.map((pair) => pair.get(label)!.p99 / pair.get(calm)!.p99)),
  }
}
