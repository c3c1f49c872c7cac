// The development registry: one process that speaks Nomad's HTTP API as far as a service catalog uses it, for the demo and for tests.
//
//   await using nomad = await startRegistry()
//   nomad.run({ ID: 'web', TaskGroups: [{ Name: 'web', Services: [{ Name: 'web', Provider: 'nomad', PortLabel: 'http' }], … }] })
//   … ask `http://${nomad.address}/v1/services` …
//
// Jobs are Nomad's own JSON, so that what runs here runs there. Tasks run for real: `raw_exec` starts processes, `mock_driver` nothing,
// `drivers` adds others. Everything that can be done here by a method can be done over HTTP too. On purpose not as Nomad does: checks more
// often than every second are accepted, and nothing is written to disk.
import { serveApi } from './http/server.ts'
import type { ApiServer } from './http/server.ts'
import type { Policy, Token, TokenKind } from './acl.ts'
import { systemClock } from './clock.ts'
import type { Clock } from './clock.ts'
import type { Driver } from './client/driver.ts'
import { Cluster } from './cluster.ts'
import { makeId } from './identifiers.ts'
import type { Random } from './identifiers.ts'
import type { SubmittedJob } from './job/canonical.ts'
import { quick } from './pace.ts'
import type { Pace } from './pace.ts'
import { Refused } from './schedule/operations.ts'
import type { Evaluation } from './schedule/operations.ts'
import type { Allocation, Node } from './state/rows.ts'
import type { Saved } from './state/store.ts'

export interface RegistryOptions {
  /** Where the API listens (127.0.0.1, any free port). */
  readonly host?: string
  readonly port?: number
  readonly clock?: Clock
  readonly random?: Random
  /** How long the registry's own work takes (`quick`). */
  readonly pace?: Pace
  readonly drivers?: Readonly<Record<string, Driver>>
  /** Names of the nodes (one, `node-1`). */
  readonly nodes?: readonly string[]
  /** Address of the nodes, which is that of their tasks' ports (127.0.0.1). */
  readonly nodeAddress?: string
  /** Whether tokens are asked for (no). */
  readonly acl?: boolean
  /** How many connections one client address may have (100). */
  readonly connectionsPerClient?: number
}

export interface Registry extends AsyncDisposable {
  /** `host:port`. */
  readonly address: string
  readonly nodes: readonly Node[]
  /** Requests begun so far, at the API and the Task API. */
  readonly requests: number
  /** Registers a job. Throws Refused. */
  run(job: SubmittedJob): Evaluation
  /** Stops a job of a namespace (`default`); with `purge` it is forgotten at once. */
  stop(job: string, options?: { readonly namespace?: string; readonly purge?: boolean; readonly noShutdownDelay?: boolean }): Evaluation
  /** Sets the count of a group (the first). Refused while a deployment runs. */
  scale(job: string, count: number, options?: { readonly namespace?: string; readonly group?: string }): Evaluation
  /** Promotes the canaries of a job's running deployment. Refused while they are not healthy. */
  promote(job: string, options?: { readonly namespace?: string }): Evaluation
  /** All allocations of a job that are not forgotten, by name. */
  allocations(job: string, options?: { readonly namespace?: string }): readonly Allocation[]
  /** Process ids of an allocation's tasks. */
  pids(allocation: string): readonly number[]
  /** Changes of several jobs as one event after another, without tasks: see `Cluster`. */
  readonly cluster: Cluster
  /** Adds a token and returns it; with `acl` only. */
  addToken(kind: TokenKind, options?: { readonly policies?: readonly Policy[]; readonly secret?: string; readonly expiresAt?: number }): Token
  /** Listens at a path as a task's `secrets/api.sock`. */
  listenAtSocket(path: string): Promise<void>
  /** A snapshot of the servers' state, and back to it: indexes go down, running tasks go on. */
  save(): Saved
  restore(saved: Saved): void
}

/** Starts a registry without jobs. Disposal ends the API and all tasks. */
export async function startRegistry(options: RegistryOptions = {}): Promise<Registry> {
  const { host = '127.0.0.1', port = 0, clock = systemClock, random = Math.random, pace = quick, drivers = {}, nodes = ['node-1'], nodeAddress = '127.0.0.1', acl = false, connectionsPerClient = 100 } = options
  const cluster = new Cluster({ clock, random, pace, drivers, nodes, nodeAddress, acl })
  const servers: ApiServer[] = [await serveApi(cluster, { host, port, connectionsPerClient })]
  const address = servers[0]?.address ?? ''
  cluster.begin(address)
  const { store, operations } = cluster
  const ofJob = (job: string, namespace: string): readonly Allocation[] => store.allocationsOf(namespace, job).toSorted((a, b) => a.slot - b.slot || a.createIndex - b.createIndex)
  return {
    address,
    cluster,
    get nodes() { return store.all('nodes') },
    get requests() { return servers.reduce((sum, server) => sum + server.requests, 0) },
    run: (job) => operations.register(job),
    stop: (job, { namespace = 'default', ...how } = {}) => operations.deregister(namespace, job, how),
    scale(job, count, { namespace = 'default', group } = {}) {
      const first = store.allocationsOf(namespace, job)[0]?.group ?? job
      return operations.scale(namespace, job, group ?? first, count)
    },
    promote(job, { namespace = 'default' } = {}) {
      const deployment = store.deploymentsOf(namespace, job).find(({ status }) => status === 'running')
      if (deployment === undefined) throw new Refused(404, `no deployment of ${job} is running`)
      return operations.promote(deployment.id)
    },
    allocations: (job, { namespace = 'default' } = {}) => ofJob(job, namespace),
    pids(id) {
      const allocation = store.get('allocations', id)
      return allocation === undefined ? [] : cluster.clients.get(allocation.nodeId)?.runner(id)?.pids ?? []
    },
    addToken(kind, { policies = [], secret = makeId(random), expiresAt } = {}) {
      const token: Token = { secret, kind, policies, ...(expiresAt === undefined ? {} : { expiresAt }) }
      cluster.acl.add(token)
      return token
    },
    async listenAtSocket(path) { servers.push(await serveApi(cluster, { path })) },
    save: () => store.save(),
    restore: (saved) => { store.restore(saved) },
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()))
      await cluster.end()
    },
  }
}
