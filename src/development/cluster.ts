// One small Nomad without its HTTP side: the servers' state, the scheduler, and the agents of its nodes.
import { Acl } from './acl.ts'
import { Client } from './client/client.ts'
import { mockDriver, rawExec } from './client/driver.ts'
import type { Driver } from './client/driver.ts'
import type { Clock } from './clock.ts'
import { makeId } from './identifiers.ts'
import type { Random } from './identifiers.ts'
import type { Pace } from './pace.ts'
import { Operations } from './schedule/operations.ts'
import { Scheduler } from './schedule/scheduler.ts'
import { Store } from './state/store.ts'

export interface ClusterOptions {
  readonly clock: Clock
  readonly random: Random
  readonly pace: Pace
  /** Beside `raw_exec` and `mock_driver`. */
  readonly drivers: Readonly<Record<string, Driver>>
  /** The nodes' names. */
  readonly nodes: readonly string[]
  /** Address of all nodes. */
  readonly nodeAddress: string
  readonly acl: boolean
}

export class Cluster {
  readonly store: Store
  readonly acl: Acl
  readonly random: Random
  readonly region = 'global'
  readonly scheduler: Scheduler
  readonly operations: Operations
  readonly clients = new Map<string, Client>()
  readonly #options: ClusterOptions
  #address = ''

  constructor(options: ClusterOptions) {
    const { clock, random, pace } = options
    this.#options = options
    this.random = random
    this.store = new Store(clock)
    this.acl = new Acl(clock, options.acl)
    this.scheduler = new Scheduler({ store: this.store, random, pace, clients: this.clients, stableBefore: (job) => this.operations.stableBefore(job), revert: (job) => { this.operations.register(job) } })
    this.operations = new Operations(this.store, this.scheduler, this.clients, random)
  }

  /** `host:port` of the API. */
  get address(): string {
    return this.#address
  }

  /** Once the API listens: the namespace `default`, and the nodes with their agents. */
  begin(address: string): void {
    this.#address = address
    const { clock, random, pace, drivers, nodes, nodeAddress } = this.#options
    this.store.commit('NodeRegistration', ({ index, now, put }) => {
      put('namespaces', { name: 'default', description: 'Default shared namespace', createIndex: 1, modifyIndex: 1 })
      for (const name of nodes) {
        put('nodes', { id: makeId(random), name, address: nodeAddress, httpAddress: address, datacenter: 'dc1', status: 'ready', eligible: true, draining: false, registeredAt: now, createIndex: index, modifyIndex: index })
      }
    })
    for (const { id } of this.store.all('nodes')) {
      this.clients.set(id, new Client({
        nodeId: id, store: this.store, clock, random, pace,
        drivers: { raw_exec: rawExec, mock_driver: mockDriver, ...drivers },
        report: (reports) => {
          this.scheduler.report(reports)
          this.operations.continueDrains()
        },
      }))
    }
  }

  /** Ends all tasks. */
  async end(): Promise<void> {
    this.scheduler.stop()
    await Promise.all([...this.clients.values()].map((client) => client.end()))
  }
}
