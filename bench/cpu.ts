// One measurement: CPU time of a proxy per request, over a window in which the load runs at full speed.
import { truncateSync } from 'node:fs'
import type { Backend } from './backend.ts'
import { PROXY_CORE, type Children } from './children.ts'
import { errorsOf, startLoad, type Load } from './load.ts'
import type { Proxy } from './peer.ts'
import { coreTime, cpuTime } from './process-usage.ts'

export interface CpuMeasurement {
  readonly microsPerRequest: number
  /** Of them in user mode. */
  readonly userMicros: number
  readonly requestsPerSecond: number
  /** Share of the window in which the proxy's core did anything, 0–1. */
  readonly busy: number
  /** Share in which it was the proxy that ran. */
  readonly own: number
  /** What the load generator complained of. */
  readonly errors: string
}

export interface CpuOptions {
  readonly children: Children
  readonly backend: Backend
  readonly folder: string
  readonly windowMs: number
  /** Requests that the backend counts for one of the client's. */
  readonly backendRequests: number
}

/** From the start of the load until all connections are up and the first requests are through. */
const SETTLE_MS = 400
const FIRST_REQUEST_MS = 5000

/** Loads a proxy for a moment and measures it. Throws when no request gets through. */
export async function measureCpu(proxy: Proxy, port: number, load: Load, { children, backend, folder, windowMs, backendRequests }: CpuOptions): Promise<CpuMeasurement> {
  truncateSync(proxy.accessLog)
  const before = await backend.requests()
  const generator = startLoad(children, folder, port, load)
  try {
    await firstRequests(backend, before)
    await sleep(SETTLE_MS)
    const pids = proxy.pids()
    const sample = async (): Promise<Sample> => ({ requests: await backend.requests(), ...cpuTime(pids), ...coreTime(PROXY_CORE), at: performance.now() })
    const begin = await sample()
    await sleep(windowMs)
    const end = await sample()
    await generator.stop('SIGINT')
    return difference(begin, end, backendRequests, errorsOf(generator.output()))
  } finally {
    if (generator.running) await generator.stop('SIGKILL')
  }
}

interface Sample {
  readonly requests: number
  readonly userMs: number
  readonly systemMs: number
  readonly busyMs: number
  readonly totalMs: number
  readonly at: number
}

function difference(begin: Sample, end: Sample, backendRequests: number, errors: string): CpuMeasurement {
  const requests = (end.requests - begin.requests - 1) / backendRequests // the counter counts the question too
  const userMs = end.userMs - begin.userMs
  const cpuMs = userMs + end.systemMs - begin.systemMs
  const windowMs = end.at - begin.at
  return {
    microsPerRequest: (cpuMs * 1000) / requests,
    userMicros: (userMs * 1000) / requests,
    requestsPerSecond: (requests * 1000) / windowMs,
    busy: (end.busyMs - begin.busyMs) / (end.totalMs - begin.totalMs),
    own: cpuMs / windowMs,
    errors,
  }
}

async function firstRequests(backend: Backend, before: number): Promise<void> {
  const until = performance.now() + FIRST_REQUEST_MS
  for (let asked = 1; performance.now() < until; asked++) {
    if ((await backend.requests()) - before > asked) return
    await sleep(20)
  }
  throw new Error(`no request got through within ${FIRST_REQUEST_MS / 1000} s`)
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
