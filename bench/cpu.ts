// One measurement: CPU time of a proxy per request, over a window in which the load runs at full speed.
import { existsSync, truncateSync } from 'node:fs'
import type { Backend } from './backend.ts'
import { PROXY_CORE, type Children } from './children.ts'
import { errorsOf, startLoad, type Load } from './load.ts'
import type { Proxy } from './peer.ts'
import { coreTime, cpuTime } from './process-usage.ts'
import { sleep } from './until.ts'

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
  if (existsSync(proxy.accessLog)) truncateSync(proxy.accessLog) // it may be switched off
  const before = await backend.requests()
  const generator = startLoad(children, folder, port, load)
  try {
    await firstRequests(backend, before, proxy, load)
    await sleep(SETTLE_MS)
    const pids = proxy.pids()
    const sample = async (): Promise<Sample> => ({ requests: await backend.requests(), ...cpuTime(pids), ...coreTime(PROXY_CORE), at: performance.now() })
    const begin = await sample()
    await sleep(windowMs)
    const end = await sample()
    await generator.stop('SIGINT')
    const errors = errorsOf(generator.output())
    if (errors.includes('Non-2xx')) throw new Error(`${proxy.name} on ${load.path}: ${errors}`)
    return difference(begin, end, backendRequests, errors)
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

async function firstRequests(backend: Backend, before: number, proxy: Proxy, load: Load): Promise<void> {
  const until = performance.now() + FIRST_REQUEST_MS
  for (let asked = 1; performance.now() < until; asked++) {
    if ((await backend.requests()) - before > asked) return
    await sleep(20)
  }
  throw new Error(`no request to ${load.path} got through ${proxy.name} within ${FIRST_REQUEST_MS / 1000} s`)
}
