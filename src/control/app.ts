// The control plane put together: catalogs → snapshots → workers, and the view of it all for the admin server.
import { randomBytes } from 'node:crypto'
import type { Logger } from 'pino'
import { LastGood } from '#src/catalog/last-good.ts'
import { formatAddress } from '#src/config/address.ts'
import { toDataPlaneSettings } from '#src/config/data-plane.ts'
import type { Config } from '#src/config/schema.ts'
import { version } from '#src/config/version.ts'
import type { LineSink } from '#src/observe/line-sink.ts'
import { createMetrics, type Metrics } from '#src/observe/metrics.ts'
import { endpointKey } from '#src/messages.ts'
import type { DataPlaneSettings, ListenerSettings } from '#src/snapshot.ts'
import { assemblyOptions } from './assembly-options.ts'
import { createCatalogs, type Catalogs } from './catalogs.ts'
import { nodeAddresses } from './node-addresses.ts'
import { claimPorts, reusePortWorks } from './ports.ts'
import { keepRestartOnly, needRestart } from './restart-keys.ts'
import { sameData } from './diff.ts'
import type { CatalogAnswer, CatalogStateName } from './known-catalog.ts'
import { systemClock } from '#src/registry/clock.ts'
import { TableSource } from './table-source.ts'
import { TlsControl, type CertificateRow } from './tls-control.ts'
import { listenerView, routeViews, serviceViews, type HeardEjection, type RouteRow, type ServiceRow } from './views.ts'
import { workerHeapMb } from './worker-count.ts'
import { Workers } from './workers.ts'

export interface AppOptions {
  readonly config: Config
  /** The config's file, or undefined for defaults. */
  readonly source: string | undefined
  readonly workers: number
  readonly log: Logger
  readonly access: LineSink
  /** Where a Nomad task and its tools say how to reach Nomad; none unless given. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Whether the platform lets workers share a port; a test stands in for one that does not. */
  readonly reusePortWorks?: () => Promise<boolean>
}

export type AppState = 'starting' | 'ready' | 'lame duck' | 'draining'

export class App {
  readonly #lastGood: LastGood
  readonly #catalogs: Catalogs
  #config: Config
  #source: string | undefined
  #settings: DataPlaneSettings
  #configProblem = ''
  readonly #log: Logger
  readonly #access: LineSink
  readonly #workers: Workers
  readonly #table: TableSource
  readonly #tls: TlsControl
  readonly #metrics: Metrics
  readonly #stop = new AbortController()
  readonly #ejections = new Map<string, HeardEjection>()
  readonly #firstSeen = new Map<string, number>()
  readonly #startedAt = Date.now()
  #loadedAt = this.#startedAt
  #following: Promise<void> = Promise.resolve()
  #state: AppState = 'starting'

  get listeners(): readonly ListenerSettings[] {
    return this.#settings.listeners
  }

  /** Binds, starts the workers and begins to follow the catalogs. Rejects with a message for people when it cannot listen. */
  static async start(options: AppOptions): Promise<App> {
    const workers = await this.#workersFor(options)
    const via = `serai-${randomBytes(6).toString('hex')}`
    const settings = toDataPlaneSettings(options.config, workers, via)
    const listeners = await claimPorts(settings.listeners)
    const app = new App({ ...options, workers }, { ...settings, listeners })
    try {
      await app.#tls.configure(options.config)
      await app.#workers.start()
    } catch (error) {
      await app.#workers.terminate()
      throw error
    }
    app.#following = Promise.all([app.#table.follow(app.#stop.signal), app.#tls.follow(app.#stop.signal)]).then(() => undefined)
    return app
  }

  static async #workersFor({ workers, log, reusePortWorks: works = reusePortWorks }: AppOptions): Promise<number> {
    if (workers === 1 || await works()) return workers
    log.warn({ workers }, 'this platform does not spread the connections of one port over threads (SO_REUSEPORT): one worker serves all')
    return 1
  }

  private constructor({ config, source, workers, log, access, env = {} }: AppOptions, settings: DataPlaneSettings) {
    this.#config = config
    this.#source = source
    this.#log = log
    this.#access = access
    this.#settings = settings
    this.#lastGood = new LastGood({ path: config.state.path, maxAgeMs: config.state.maxAgeMs, log })
    this.#metrics = createMetrics({ version, workers: () => this.#workers.live, observed: () => this.#observed() })
    this.#tls = new TlsControl({ tell: (message) => this.#workers.tell(message), log })
    this.#workers = new Workers({
      count: workers,
      heapMb: workerHeapMb(workers),
      settings: () => this.#settings,
      certificates: () => this.#tls.certificates,
      ticketKeys: () => this.#tls.ticketKeys,
      handshakeFailed: (failure) => log.debug(failure, 'a client did not get as far as HTTP'),
      whole: () => this.#table.publisher.whole(),
      access: (lines, records, used) => access.write(lines, records, used),
      ejected: (ejection) => {
        this.#ejections.set(ejection.key, { ejection, at: Date.now() })
        log.warn({ endpoint: ejection.key, forMs: ejection.forMs, why: ejection.why }, 'endpoint ejected')
      },
      nobodyListens: (key) => this.#table.refused(key.slice(key.indexOf('://') + 3)),
      retired: (worker) => this.#metrics.retireWorker(worker),
      swapped: () => this.#noteReady(),
      log,
    })
    this.#catalogs = createCatalogs({ config, env, log })
    this.#table = new TableSource({
      catalogs: this.#catalogs.list,
      assembly: assemblyOptions(config, settings.listeners),
      lastGood: this.#lastGood,
      clock: systemClock,
      nodeAddresses: nodeAddresses(),
      publish: (slices, slotsEnd) => {
        this.#workers.publish(slices, slotsEnd)
        this.#noteEndpoints()
      },
      serviceAdded: (key, slot) => this.#metrics.addService(key, slot),
      serviceRemoved: (slot) => this.#metrics.removeService(slot),
      log,
    })
  }

  /**
   * Takes a new config as far as it can be taken while running; what needs a restart keeps its old value and is named in the log.
   * Rejects, with nothing changed, when a new listener cannot be bound or the end has begun.
   */
  async reconfigure(asked: Config, source: string | undefined): Promise<void> {
    if (this.#ending) throw new Error(`it is read no more: ${this.#state}`)
    const waiting = needRestart(this.#config, asked)
    const config = keepRestartOnly(this.#config, asked)
    const settings = toDataPlaneSettings(config, this.#workers.count, this.#settings.via)
    const listeners = await this.#rebind(settings.listeners)
    const changed = (Object.keys(config) as (keyof Config)[]).filter((key) => !sameData(config[key], this.#config[key]))
    this.#settings = { ...settings, listeners }
    this.#config = config
    this.#source = source
    this.#loadedAt = Date.now()
    this.#log.level = config.log.level
    this.#table.reassemble(assemblyOptions(config, listeners))
    await this.#tls.configure(config)
    const refusals = await this.#workers.configure()
    this.#configProblem = [...waiting.map((key) => `${key} needs a restart`), ...refusals].join('; ')
    if (refusals.length > 0) this.#log.error({ changed, reasons: refusals }, 'the config was read again, but not every worker listens as it says')
    else if (waiting.length > 0) this.#log.warn({ changed, needRestart: waiting }, 'the config was read again; some keys need a restart')
    else this.#log.info({ changed }, 'the config was read again')
  }

  /** Whether all of this config is in force. */
  runs(config: Config): boolean {
    return this.#configProblem === '' && sameData(config, this.#config)
  }

  /** The newest config file is not in force. */
  configRefused(reason: string): void {
    this.#configProblem = reason
    this.#log.error({ reason }, 'the new config is not taken; the running one stays in force')
  }

  /** Listeners that are there keep their sockets; new addresses are tried first, so that a port in use changes nothing. */
  async #rebind(wanted: readonly ListenerSettings[]): Promise<readonly ListenerSettings[]> {
    const bound = (settings: ListenerSettings): ListenerSettings | undefined => {
      if (settings.port !== 0) return this.listeners.find(({ host, port }) => host === settings.host && port === settings.port)
      const written = this.#config.listeners[settings.name]?.address
      return written?.port === 0 && written.host === settings.host ? this.listeners.find(({ name }) => name === settings.name) : undefined
    }
    const fresh = wanted.filter((settings) => bound(settings) === undefined)
    const blocked = fresh.map((settings) => [settings, this.listeners.find(({ port }) => port === settings.port)] as const)
    for (const [{ name }, holder] of blocked) {
      if (holder !== undefined) throw new Error(`listener ${name}: its port is held by the running listener ${holder.name} on ${formatAddress(holder)}; changing only the host needs a restart`)
    }
    const claimed = new Map((await claimPorts(fresh)).map((settings) => [settings.name, settings]))
    return wanted.flatMap((settings) => {
      const there = claimed.get(settings.name) ?? bound(settings)
      return there === undefined ? [] : [{ ...settings, port: there.port }]
    })
  }

  get #ending(): boolean {
    return this.#state === 'lame duck' || this.#state === 'draining'
  }

  /** Lame duck, then drain; resolves when everything has ended. `atOnce`: nobody was told yet that we serve. */
  async stop({ atOnce = false }: { readonly atOnce?: boolean } = {}): Promise<void> {
    const { lameDuckMs, drainMs } = atOnce ? { lameDuckMs: 0, drainMs: 0 } : this.#config.stop
    if (lameDuckMs > 0) {
      this.#state = 'lame duck'
      this.#log.info({ forMs: lameDuckMs }, 'lame duck: still serving, /ready says no')
      await new Promise((resolve) => setTimeout(resolve, lameDuckMs))
    }
    this.#state = 'draining'
    this.#log.info({ atMostMs: drainMs }, 'draining')
    await this.#workers.drain(drainMs)
    this.#stop.abort()
    await this.#workers.terminate()
    await this.#following
    await this.#catalogs[Symbol.asyncDispose]()
    await this.#lastGood.close()
    await this.#access.close(FLUSH_MS)
    this.#log.info({}, 'ended')
  }

  status(): Status {
    const now = Date.now()
    const { publisher } = this.#table
    return {
      version,
      pid: process.pid,
      startedAt: new Date(this.#startedAt).toISOString(),
      uptimeSeconds: (now - this.#startedAt) / 1000,
      state: this.#state,
      revision: publisher.revision,
      complete: publisher.snapshot.complete,
      workers: this.#workers.views.map(({ id, state, restarts, handle }) => ({
        id, state, restarts,
        revision: handle?.revision ?? 0,
        connections: handle?.connections ?? 0,
        exchanges: handle?.counter('exchanges') ?? 0,
      })),
      catalogs: this.#table.catalogs.map(({ name, state, answer, readAt, errors, problem }) => ({
        name, state, answer, errors,
        readAt: readAt === undefined ? null : new Date(readAt).toISOString(),
        ageSeconds: readAt === undefined ? null : Math.max(0, now - readAt) / 1000,
        ...(problem === '' ? {} : { problem }),
      })),
      listeners: this.listeners.map(listenerView),
      config: {
        source: this.#source ?? 'defaults',
        loadedAt: new Date(this.#loadedAt).toISOString(),
        ...(this.#configProblem === '' ? {} : { problem: this.#configProblem }),
      },
    }
  }

  readiness(): { ready: boolean; reasons: string[] } {
    const reasons: string[] = []
    if (this.#ending) reasons.push(this.#state)
    if (this.#state === 'starting') {
      for (const { name, state, problem } of this.#table.catalogs) {
        if (state === 'waiting') reasons.push(`the catalog ${name} was not read yet${problem === '' ? '' : `: ${problem}`}`)
      }
      if (reasons.length === 0) reasons.push('the workers do not have the routes yet')
    }
    for (const { id, state } of this.#workers.views) if (state !== 'running') reasons.push(`worker ${id} is ${state}`)
    return { ready: reasons.length === 0, reasons }
  }

  routes(): RouteRow[] {
    return routeViews(this.#table.publisher.snapshot, this.#table.waiting())
  }

  services(): ServiceRow[] {
    return serviceViews({
      snapshot: this.#table.publisher.snapshot, heard: this.#ejections, since: this.#firstSeen, standings: this.#table.standings(),
      slowStartMs: this.#config.defaults.eject.slowStartMs, now: Date.now(),
    })
  }

  problems(): TableSource['problems'] {
    return [...this.#table.problems, ...this.#tls.problems()]
  }

  certificates(): CertificateRow[] {
    return this.#tls.views()
  }

  metrics(): Promise<string> {
    return this.#metrics.render()
  }

  /** Once ready, only draining or a dead worker takes it back: catalog errors are shown, not un-ready. */
  #noteReady(): void {
    const { publisher } = this.#table
    if (this.#state !== 'starting' || !publisher.snapshot.complete) return
    if (this.#workers.live.some((worker) => worker.revision < publisher.revision)) return
    this.#state = 'ready'
    this.#log.info({ revision: publisher.revision, services: publisher.snapshot.services.size }, 'ready')
  }

  /** Remembers since when each endpoint is known; what is gone is forgotten. */
  #noteEndpoints(): void {
    const now = Date.now()
    const named = new Set<string>()
    for (const service of this.#table.publisher.snapshot.services.values()) for (const endpoint of service.endpoints) named.add(endpointKey(service, endpoint))
    for (const key of named) if (!this.#firstSeen.has(key)) this.#firstSeen.set(key, now)
    for (const key of this.#firstSeen.keys()) {
      if (named.has(key)) continue
      this.#firstSeen.delete(key)
      this.#ejections.delete(key)
    }
  }

  #observed(): Parameters<typeof createMetrics>[0]['observed'] extends () => infer Observed ? Observed : never {
    const now = Date.now()
    return {
      revision: this.#table.publisher.revision,
      ready: this.readiness().ready,
      draining: this.#ending,
      problems: this.problems().length,
      certificates: this.#tls.expiries(),
      workerRestarts: this.#workers.restarts,
      catalogs: this.#table.catalogs.map(({ name, readAt, errors, forbiddenSince, calls }) => ({
        name, errors, calls,
        ageSeconds: secondsSince(readAt, now),
        forbiddenSeconds: secondsSince(forbiddenSince, now) ?? 0,
      })),
      listeners: this.listeners.map(({ name }) => name),
      accessDropped: this.#access.dropped,
    }
  }
}

const FLUSH_MS = 1000

const secondsSince = (at: number | undefined, now: number): number | undefined => (at === undefined ? undefined : Math.max(0, now - at) / 1000)

export interface Status {
  readonly version: string
  readonly pid: number
  readonly startedAt: string
  readonly uptimeSeconds: number
  readonly state: AppState
  readonly revision: number
  readonly complete: boolean
  readonly workers: { id: number; state: 'starting' | 'running' | 'restarting'; revision: number; restarts: number; connections: number; exchanges: number }[]
  readonly catalogs: { name: string; state: CatalogStateName; answer: CatalogAnswer; readAt: string | null; ageSeconds: number | null; errors: number; problem?: string }[]
  readonly listeners: ReturnType<typeof listenerView>[]
  readonly config: { source: string; loadedAt: string; problem?: string }
}
