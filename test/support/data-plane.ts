// The data plane without a control plane: real worker threads on a free port, fed with services that the test writes.
import type { DataPlaneSettings, Service } from '#src/snapshot.ts'
import { loadConfig } from '#src/config/load.ts'
import { toDataPlaneSettings } from '#src/config/data-plane.ts'
import { claimPorts } from '#src/control/ports.ts'
import { Publisher } from '#src/control/publisher.ts'
import { Workers } from '#src/control/workers.ts'
import type { WorkerHandle } from '#src/control/worker-handle.ts'
import { createMetrics } from '#src/observe/metrics.ts'
import { until } from './until.ts'

export interface DataPlaneOptions {
  readonly workers?: number
  readonly heapMb?: number
  /** Changes the settings that the defaults give. */
  readonly settings?: (defaults: DataPlaneSettings) => DataPlaneSettings
}

export interface DataPlane extends AsyncDisposable {
  readonly port: number
  readonly workers: Workers
  readonly publisher: Publisher
  readonly settings: DataPlaneSettings
  /** How often a worker was given the whole snapshot. */
  readonly wholes: number
  /** What was logged, as `level message`. */
  readonly logs: readonly string[]
  /** Publishes a change and returns its revision; does not wait for the workers. */
  publish(changed: readonly Service[], removed?: readonly string[]): number
  /** Until every worker runs and serves the newest revision. */
  settled(): Promise<void>
  metrics(): Promise<string>
}

let slots = 0

/** A service at these addresses with one route per host; `given` replaces its parts. */
export function service(name: string, addresses: readonly string[], given: Partial<Service> = {}, hosts: readonly string[] = [`${name}.example.org`]): Service {
  const endpoints = addresses.map((address) => ({ address, host: address.slice(0, address.lastIndexOf(':')), port: Number(address.slice(address.lastIndexOf(':') + 1)), weight: 100 }))
  const policy = { retryAttempts: 2, retryTimeoutMs: 10_000, headTimeoutMs: 10_000, bodyTimeoutMs: 10_000, totalTimeoutMs: 0, upgrades: ['websocket'], ejectStatuses: [] }
  return {
    key: `${name}@test/default`,
    slot: ++slots,
    scheme: 'http',
    tls: { serverName: '', ca: '', skipVerify: false },
    balance: 'p2c',
    endpoints,
    routes: hosts.map((host) => ({ router: 'default', match: { host, path: '/', kind: 'prefix' }, refuse: '', endpoints: endpoints.map((_, at) => at), policy })),
    ...given,
  }
}

/** Starts workers that know nothing yet. */
export async function startDataPlane({ workers: count = 2, heapMb = 256, settings: change = (same) => same }: DataPlaneOptions = {}): Promise<DataPlane> {
  const loaded = loadConfig({ file: 'test.yaml', text: 'listeners: { http: { address: "127.0.0.1:0" } }', env: {} })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.mistakes))
  const defaults = toDataPlaneSettings(loaded.config, count, 'serai-test')
  const listeners = await claimPorts(defaults.listeners)
  const settings = change({ ...defaults, listeners })
  const publisher = new Publisher()
  const logs: string[] = []
  const log = (level: string) => (fields: object, message: string): void => void logs.push(`${level} ${message} ${JSON.stringify(fields)}`)
  let wholes = 0
  let slotsEnd = 1
  const workers: Workers = new Workers({
    count, heapMb,
    settings: () => settings,
    certificates: () => [],
    ticketKeys: () => new Uint8Array(48),
    handshakeFailed: () => undefined,
    whole: () => {
      wholes++
      return publisher.whole()
    },
    access: () => undefined,
    ejected: () => undefined,
    nobodyListens: () => undefined,
    retired: (worker: WorkerHandle) => metrics.retireWorker(worker),
    swapped: () => undefined,
    log: { info: log('info'), warn: log('warn'), error: log('error') },
  })
  const metrics = createMetrics({
    version: 'test', workers: () => workers.live,
    observed: () => ({ revision: publisher.revision, ready: true, draining: false, problems: 0, workerRestarts: workers.restarts, catalogs: [], certificates: [], listeners: ['http'], accessDropped: 0 }),
  })
  try {
    await workers.start()
  } catch (error) {
    await workers.terminate()
    throw error
  }
  return {
    port: listeners[0]?.port ?? 0,
    workers, publisher, settings, logs,
    get wholes() { return wholes },
    publish(changed, removed = []) {
      for (const { key, slot } of changed) if (!publisher.snapshot.services.has(key)) metrics.addService(key, slot)
      slotsEnd = Math.max(slotsEnd, ...changed.map(({ slot }) => slot + 1))
      workers.publish(publisher.publish(changed, removed, true), slotsEnd)
      return publisher.revision
    },
    async settled() {
      await until(() => workers.views.every(({ state, handle }) => state === 'running' && handle?.revision === publisher.revision), { what: 'every worker at the newest revision' })
    },
    metrics: () => metrics.render(),
    [Symbol.asyncDispose]: () => workers.terminate(),
  }
}
