// The registry's memory: tables of rows under one rising index, watches on them, and an event for each change.
import type { Clock } from '#src/development/clock.ts'
import type { Job } from '#src/development/job/specification.ts'
import { EventBuffer } from './event-buffer.ts'
import type { Topic } from './event-buffer.ts'
import { isTerminal, jobKey } from './rows.ts'
import type { Allocation, Deployment, Namespace, Node, Registration } from './rows.ts'
import { ServiceTable } from './service-table.ts'
import { Watches } from './watches.ts'

interface Rows {
  readonly namespaces: Namespace
  readonly nodes: Node
  readonly jobs: Job
  readonly allocations: Allocation
  readonly deployments: Deployment
}

export type Table = keyof Rows | 'services'

/** All state at one moment, as a snapshot of a server has it. */
export interface Saved {
  readonly index: number
  readonly indexes: ReadonlyMap<Table, number>
  readonly tables: { readonly [T in keyof Rows]: ReadonlyMap<string, Rows[T]> }
  readonly services: ServiceTable
}

interface Change {
  readonly topic: Topic
  readonly row: unknown
  readonly removed: boolean
}

/** What a commit may do. Rows get the commit's index from whoever makes them. */
export interface Transaction {
  readonly index: number
  readonly now: number
  put<T extends keyof Rows>(table: T, row: Rows[T]): void
  remove<T extends keyof Rows>(table: T, row: Rows[T], options?: { readonly quiet: boolean }): void
  register(registration: Registration): void
  deregister(registration: Registration): void
}

const topics = { namespaces: undefined, nodes: 'Node', jobs: 'Job', allocations: 'Allocation', deployments: 'Deployment' } as const satisfies Record<keyof Rows, Topic | undefined>

export class Store {
  readonly clock: Clock
  readonly events: EventBuffer
  readonly watches = new Watches()
  readonly services = new ServiceTable()
  readonly #tables = {
    namespaces: new Map<string, Namespace>(), nodes: new Map<string, Node>(), jobs: new Map<string, Job>(), allocations: new Map<string, Allocation>(), deployments: new Map<string, Deployment>(),
  }
  readonly #allocationsOfJob = new Map<string, Set<string>>()
  readonly #deploymentsOfJob = new Map<string, Set<string>>()
  /** Allocations that are not over, by node. */
  readonly #liveOnNode = new Map<string, Set<string>>()
  #indexes = new Map<Table, number>()
  #index = 1

  constructor(clock: Clock) {
    this.clock = clock
    this.events = new EventBuffer()
  }

  /** Of the last change of a table; 1 for one that never changed. */
  indexOf(table: Table): number {
    return this.#indexes.get(table) ?? 1
  }

  get<T extends keyof Rows>(table: T, key: string): Rows[T] | undefined {
    return (this.#tables[table] as unknown as ReadonlyMap<string, Rows[T]>).get(key)
  }

  all<T extends keyof Rows>(table: T): Rows[T][] {
    return [...(this.#tables[table] as unknown as ReadonlyMap<string, Rows[T]>).values()]
  }

  allocationsOf(namespace: string, jobId: string): Allocation[] {
    const ids = this.#allocationsOfJob.get(jobKey(namespace, jobId)) ?? []
    return [...ids].map((id) => this.#tables.allocations.get(id)!)
  }

  deploymentsOf(namespace: string, jobId: string): Deployment[] {
    const ids = this.#deploymentsOfJob.get(jobKey(namespace, jobId)) ?? []
    return [...ids].map((id) => this.#tables.deployments.get(id)!)
  }

  /** Ids of the allocations of a node that are not over. */
  liveOn(nodeId: string): ReadonlySet<string> {
    return this.#liveOnNode.get(nodeId) ?? new Set()
  }

  /** One change of the state under one index; `type` is the message's, which its events carry. */
  commit(type: string, write: (transaction: Transaction) => void): number {
    const index = ++this.#index
    // A row that is written twice is one event, of its last state.
    const changes = new Map<string, Change>()
    const touched = new Set<string>()
    const mark = (table: Table, ...keys: readonly string[]): void => {
      this.#indexes.set(table, index)
      touched.add(table)
      for (const key of keys) touched.add(`${table}/${key}`)
    }
    const note = (topic: Topic | undefined, key: string, row: unknown, removed: boolean): void => {
      if (topic !== undefined) changes.set(`${topic}/${key}`, { topic, row, removed })
    }
    write({
      index,
      now: this.clock.now(),
      put: (table, row) => {
        this.#set(table, row)
        mark(table, keyOf(table, row))
        note(topics[table], keyOf(table, row), row, false)
      },
      remove: (table, row, options) => {
        this.#delete(table, row)
        mark(table, keyOf(table, row))
        if (options?.quiet !== true) note(topics[table], keyOf(table, row), row, true)
      },
      register: (registration) => {
        this.services.put(registration)
        mark('services', registration.Namespace, `${registration.Namespace}/${registration.ServiceName}`)
        note('Service', registration.ID, registration, false)
      },
      deregister: (registration) => {
        this.services.delete(registration.ID)
        mark('services', registration.Namespace, `${registration.Namespace}/${registration.ServiceName}`)
        note('Service', registration.ID, registration, true)
      },
    })
    this.events.publish(index, type, [...changes.values()])
    this.watches.fire(touched)
    return index
  }

  /** A copy of everything, as `nomad operator snapshot save` takes. */
  save(): Saved {
    const services = new ServiceTable()
    services.become(this.services)
    const { namespaces, nodes, jobs, allocations, deployments } = this.#tables
    const tables = { namespaces: new Map(namespaces), nodes: new Map(nodes), jobs: new Map(jobs), allocations: new Map(allocations), deployments: new Map(deployments) }
    return { index: this.#index, indexes: new Map(this.#indexes), tables, services }
  }

  /** Goes back to what was saved, indexes included: who waits looks again, sees a lower index, and goes on waiting. */
  restore(saved: Saved): void {
    this.#index = saved.index
    this.#indexes = new Map(saved.indexes)
    for (const table of Object.keys(this.#tables) as (keyof Rows)[]) {
      const rows = this.#tables[table] as Map<string, unknown>
      rows.clear()
      for (const [key, row] of saved.tables[table]) rows.set(key, row)
    }
    for (const index of [this.#allocationsOfJob, this.#deploymentsOfJob, this.#liveOnNode]) index.clear()
    for (const allocation of this.#tables.allocations.values()) this.#link('allocations', allocation)
    for (const deployment of this.#tables.deployments.values()) this.#link('deployments', deployment)
    this.services.become(saved.services)
    this.events.reset()
    this.watches.fireAll()
  }

  #set<T extends keyof Rows>(table: T, row: Rows[T]): void {
    (this.#tables[table] as unknown as Map<string, Rows[T]>).set(keyOf(table, row), row)
    this.#link(table, row)
  }

  #delete<T extends keyof Rows>(table: T, row: Rows[T]): void {
    (this.#tables[table] as unknown as Map<string, Rows[T]>).delete(keyOf(table, row))
    if (table !== 'allocations' && table !== 'deployments') return
    const { namespace, job, id } = row as Allocation | Deployment
    const index = table === 'allocations' ? this.#allocationsOfJob : this.#deploymentsOfJob
    index.get(jobKey(namespace, job.ID))?.delete(id)
    if (table === 'allocations') this.#liveOnNode.get((row as Allocation).nodeId)?.delete(id)
  }

  #link<T extends keyof Rows>(table: T, row: Rows[T]): void {
    if (table !== 'allocations' && table !== 'deployments') return
    const { namespace, job, id } = row as Allocation | Deployment
    member(table === 'allocations' ? this.#allocationsOfJob : this.#deploymentsOfJob, jobKey(namespace, job.ID), id, true)
    if (table === 'allocations') member(this.#liveOnNode, (row as Allocation).nodeId, id, !isTerminal(row as Allocation))
  }
}

function member(sets: Map<string, Set<string>>, key: string, id: string, present: boolean): void {
  const ids = sets.get(key) ?? new Set()
  sets.set(key, ids)
  if (present) ids.add(id)
  else ids.delete(id)
}

function keyOf<T extends keyof Rows>(table: T, row: Rows[T]): string {
  if (table === 'namespaces') return (row as Namespace).name
  if (table === 'jobs') return jobKey((row as Job).Namespace, (row as Job).ID)
  return (row as Node | Allocation | Deployment).id
}
