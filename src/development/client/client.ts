// The agent of one node: runs its allocations, registers their services with the servers, and tells their states in batches.
import type { Cancel, Clock } from '#src/development/clock.ts'
import type { Random } from '#src/development/identifiers.ts'
import type { Pace } from '#src/development/pace.ts'
import type { Allocation, Node, TaskState } from '#src/development/state/rows.ts'
import type { Store } from '#src/development/state/store.ts'
import { AllocationRunner } from './allocation-runner.ts'
import type { Driver } from './driver.ts'
import type { Draft } from './registration.ts'

/** What a client says of an allocation. */
export interface AllocationReport {
  readonly id: string
  readonly tasks: Readonly<Record<string, TaskState>>
  /** The verdict on its deployment, once there is one. */
  readonly healthy: boolean | undefined
  readonly version: number
}

export interface ClientOptions {
  readonly nodeId: string
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly pace: Pace
  readonly drivers: Readonly<Record<string, Driver>>
  /** Takes what changed; called at most once in `pace.clientUpdateMs`. */
  report(reports: readonly AllocationReport[]): void
}

export class Client {
  readonly #options: ClientOptions
  readonly #runners = new Map<string, AllocationRunner>()
  readonly #dropped = new Set<string>()
  readonly #waiting = new Map<string, Allocation[]>()
  readonly #changed = new Set<AllocationRunner>()
  #cancelReport: Cancel | undefined
  #connected = true

  constructor(options: ClientOptions) {
    this.#options = options
  }

  runner(id: string): AllocationRunner | undefined {
    return this.#runners.get(id)
  }

  get connected(): boolean {
    return this.#connected
  }

  /** Takes the servers' row of an allocation: starts it, updates it, or stops it. */
  take(allocation: Allocation): void {
    if (!this.#connected) return
    const runner = this.#runners.get(allocation.id)
    if (runner !== undefined) runner.update(allocation)
    else if (allocation.desired === 'run' && allocation.client === 'pending') this.#start(allocation)
  }

  /** Forgets an allocation that the servers no longer know, ending its tasks in order. */
  drop(allocation: Allocation): void {
    const runner = this.#runners.get(allocation.id)
    if (runner === undefined || runner.ended) this.#runners.delete(allocation.id)
    else {
      this.#dropped.add(allocation.id)
      runner.update({ ...allocation, desired: 'stop' })
    }
  }

  /** Cuts it off from the servers: its tasks go on, nothing is told. */
  disconnect(): void {
    this.#connected = false
  }

  /** Registers everything again, then takes the servers' rows: what is to be stopped is registered for some milliseconds. */
  reconnect(): void {
    this.#connected = true
    for (const runner of this.#runners.values()) if (!runner.ended) runner.registerAgain()
    this.#options.clock.after(this.#options.pace.registerMs, () => {
      for (const [id, runner] of this.#runners) {
        this.#change(runner)
        const row = this.#options.store.get('allocations', id)
        if (row !== undefined) this.take(row)
      }
    })
  }

  /** Ends all tasks at once. */
  async end(): Promise<void> {
    this.#cancelReport?.()
    await Promise.all([...this.#runners.values()].map((runner) => runner.end()))
  }

  #start(allocation: Allocation): void {
    const { store, clock, random, pace, drivers, nodeId } = this.#options
    const previous = this.#runners.get(allocation.previous)
    const runner = new AllocationRunner(allocation, {
      clock, random, pace, drivers,
      node: () => store.get('nodes', nodeId) as Node,
      register: (drafts) => { this.#register(drafts) },
      deregister: (ids) => { this.#deregister(ids) },
      changed: (each) => { this.#change(each) },
      ended: ({ allocation: { id } }) => { this.#wakeWaiting(id) },
    })
    this.#runners.set(allocation.id, runner)
    if (previous === undefined || previous.ended) runner.begin(pace.registerMs)
    else this.#waiting.set(allocation.previous, [...(this.#waiting.get(allocation.previous) ?? []), allocation])
  }

  #wakeWaiting(id: string): void {
    if (this.#dropped.delete(id)) this.#runners.delete(id)
    for (const allocation of this.#waiting.get(id) ?? []) this.#runners.get(allocation.id)?.begin(this.#options.pace.replaceMs)
    this.#waiting.delete(id)
  }

  #register(drafts: readonly Draft[]): void {
    const { store } = this.#options
    if (!this.#connected) return
    store.commit('ServiceRegistration', ({ index, register }) => {
      for (const draft of drafts) register({ ...draft, CreateIndex: store.services.get(draft.ID)?.CreateIndex ?? index, ModifyIndex: index })
    })
  }

  #deregister(ids: readonly string[]): void {
    const { store } = this.#options
    if (!this.#connected) return
    for (const id of ids) {
      const registration = store.services.get(id)
      if (registration !== undefined) store.commit('ServiceDeregistration', ({ deregister }) => { deregister(registration) })
    }
  }

  #change(runner: AllocationRunner): void {
    this.#changed.add(runner)
    this.#cancelReport ??= this.#options.clock.after(this.#options.pace.clientUpdateMs, () => {
      this.#cancelReport = undefined
      if (!this.#connected) return
      const reports = [...this.#changed].map(({ allocation, report }) => ({ id: allocation.id, version: allocation.job.Version, ...report }))
      this.#changed.clear()
      this.#options.report(reports)
    })
  }
}
