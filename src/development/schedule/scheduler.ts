// Makes the state what jobs want: plans, applies them, hears from the clients, and watches deployments.
import type { AllocationReport, Client } from '#src/development/client/client.ts'
import type { Cancel } from '#src/development/clock.ts'
import { makeId } from '#src/development/identifiers.ts'
import type { Random } from '#src/development/identifiers.ts'
import { groupOf } from '#src/development/job/specification.ts'
import type { Job } from '#src/development/job/specification.ts'
import type { Pace } from '#src/development/pace.ts'
import { isTerminal, jobKey } from '#src/development/state/rows.ts'
import type { Allocation, ClientStatus, Deployment, Node, Port, TaskState } from '#src/development/state/rows.ts'
import type { Store, Transaction } from '#src/development/state/store.ts'
import { awaitsPromotion, counted, deploys, differs, FAILED_PROGRESS, isComplete, newDeployment, promoted, STOPPED, SUCCESSFUL, SUPERSEDED } from './deployment.ts'
import { choosePorts } from './ports.ts'
import { reconcile } from './reconcile.ts'
import type { Placement, Plan } from './reconcile.ts'

export interface SchedulerOptions {
  readonly store: Store
  readonly random: Random
  readonly pace: Pace
  readonly clients: ReadonlyMap<string, Client>
  /** The last version before this one whose deployment succeeded. */
  stableBefore(job: Job): Job | undefined
  /** A deployment failed and its group asks for that version again. */
  revert(job: Job): void
}

interface Placed {
  readonly placement: Placement
  readonly node: Node
  readonly ports: readonly Port[]
}

export class Scheduler {
  readonly #options: SchedulerOptions
  readonly #due = new Map<string, Job>()
  readonly #again = new Map<string, Cancel>()
  readonly #watched = new Map<string, Cancel>()
  #cancelPlans: Cancel | undefined
  #planning: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(options: SchedulerOptions) {
    this.#options = options
  }

  /** Looks at a job soon; many calls are one look. */
  evaluate(job: Job): void {
    if (this.#stopped) return
    this.#due.set(jobKey(job.Namespace, job.ID), job)
    this.#cancelPlans ??= this.#options.store.clock.after(this.#options.pace.planMs, () => {
      this.#cancelPlans = undefined
      const due = [...this.#due.keys()]
      this.#due.clear()
      for (const key of due) this.#planning = this.#planning.then(() => this.#plan(key))
    })
  }

  evaluateAll(): void {
    for (const job of this.#options.store.all('jobs')) this.evaluate(job)
  }

  stop(): void {
    this.#stopped = true
    this.#cancelPlans?.()
    for (const cancel of [...this.#again.values(), ...this.#watched.values()]) cancel()
  }

  /** What clients tell of their allocations: one commit. */
  report(reports: readonly AllocationReport[]): void {
    const { store } = this.#options
    const now = store.clock.now()
    const known = reports.flatMap((report) => {
      const row = store.get('allocations', report.id)
      return row === undefined ? [] : { report, row, change: changeOf(row, report, now) }
    }).filter(({ change }) => change !== undefined)
    if (known.length === 0) return
    store.commit('AllocationUpdated', (transaction) => {
      for (const { row, report, change } of known) {
        const judged = report.healthy !== undefined && report.version === row.job.Version && (row.health?.healthy ?? null) === null
        const health = judged ? { healthy: report.healthy, canary: row.health?.canary ?? false, modifyIndex: transaction.index, ...(report.healthy ? { judgedAt: now } : {}) } : row.health
        transaction.put('allocations', { ...row, ...change, health, modifyIndex: transaction.index, modifiedAt: now })
      }
      this.#count(known.map(({ row }) => row.deploymentId), transaction)
    })
    for (const { row } of known) {
      const after = store.get('allocations', row.id)
      if (after !== undefined && (isTerminal(after) !== isTerminal(row) || after.health !== row.health)) this.#evaluateById(row.namespace, row.job.ID)
      this.#watch(row.deploymentId)
    }
  }

  /** Promotes all canaries of a deployment: same allocations, other tags. */
  promote(deployment: Deployment): void {
    const { store, clients } = this.#options
    const canaries = Object.values(deployment.groups).flatMap(({ canaries: ids }) => ids ?? [])
    store.commit('DeploymentPromotion', (transaction) => {
      const { index, now } = transaction
      transaction.put('deployments', promoted(deployment, index, now))
      for (const id of canaries) {
        const row = store.get('allocations', id)
        if (row?.health === undefined || row.desired !== 'run') continue
        transaction.put('allocations', { ...row, health: { ...row.health, canary: false, modifyIndex: index }, modifyIndex: index, serverModifyIndex: index, modifiedAt: now })
      }
    })
    for (const id of canaries) {
      const row = store.get('allocations', id)
      if (row !== undefined) clients.get(row.nodeId)?.take(row)
    }
    this.#evaluateById(deployment.namespace, deployment.job.ID)
    this.#watch(deployment.id)
  }

  fail(deployment: Deployment, description: string): void {
    const reverts = Object.values(deployment.groups).some(({ autoRevert }) => autoRevert)
    const stable = reverts ? this.#options.stableBefore(deployment.job) : undefined
    const then = stable === undefined ? 'no stable job version to auto revert to' : `rolling back to job version ${stable.Version}`
    this.#options.store.commit('DeploymentStatusUpdate', ({ put, index, now }) => {
      put('deployments', { ...deployment, status: 'failed', description: reverts ? `${description} - ${then}` : description, modifyIndex: index, modifiedAt: now })
    })
    this.#evaluateById(deployment.namespace, deployment.job.ID)
    if (stable !== undefined) this.#options.revert(stable)
  }

  async #plan(key: string): Promise<void> {
    const { store } = this.#options
    const job = store.get('jobs', key)
    if (job === undefined || this.#stopped) return
    const allocations = store.allocationsOf(job.Namespace, job.ID)
    const deployment = this.#deploymentOf(job)
    const nodes = new Map(store.all('nodes').map((node) => [node.id, node]))
    const plan = reconcile({ job, allocations, deployment, nodes, now: store.clock.now() })
    this.#lookAgain(key, job, plan.again)
    const placed = await this.#place(job, plan.placements, [...nodes.values()])
    // The choice of ports took time: a plan for what is no longer so is made again.
    if (store.get('jobs', key) !== job || this.#stopped) this.evaluate(job)
    else this.#apply(job, plan, placed, deployment, allocations)
  }

  #apply(job: Job, plan: Plan, placed: readonly Placed[], before: Deployment | undefined, allocations: readonly Allocation[]): void {
    const { store, clients } = this.#options
    const changes = plan.stops.length + plan.updates.length + plan.unknown.length + placed.length
    const active = store.deploymentsOf(job.Namespace, job.ID).filter((each) => each.status === 'running')
    const cancelled = active.filter((each) => job.Stop || each.job.Version !== job.Version)
    const status = job.Stop ? 'dead' : allocations.some((each) => !isTerminal(each)) || placed.length > 0 ? 'running' : 'pending'
    if (changes === 0 && cancelled.length === 0 && status === job.Status) return
    const touched: string[] = []
    let deploymentId = before?.status === 'running' ? before.id : ''
    if (changes > 0 || cancelled.length > 0) store.commit('PlanResult', (transaction) => {
      const { index, now } = transaction
      const put = (row: Allocation): void => {
        transaction.put('allocations', { ...row, modifyIndex: index, serverModifyIndex: index, modifiedAt: now })
        touched.push(row.id)
      }
      if (before === undefined && !job.Stop && deploys(job) && changes > 0) {
        const old = allocations.some((each) => !isTerminal(each) && each.desired === 'run' && each.job.Version !== job.Version && !plan.updates.includes(each))
        const created = newDeployment(makeId(this.#options.random), job, old, (group) => (job.Type === 'system' ? this.#readyNodes().length : group.Count), index, now)
        deploymentId = created.id
        transaction.put('deployments', created)
      }
      for (const { allocation, description, client } of plan.stops) {
        put({ ...allocation, desired: 'stop', desiredDescription: description, ...(client === undefined ? {} : { client }) })
        if (client === 'lost') for (const registration of store.services.filter(({ AllocID }) => AllocID === allocation.id)) transaction.deregister(registration)
      }
      for (const allocation of plan.unknown) put({ ...allocation, client: 'unknown', clientDescription: 'alloc is unknown since its node is disconnected' })
      for (const allocation of plan.updates) put({ ...allocation, job, deploymentId, health: undefined })
      for (const each of placed) {
        const row = this.#newAllocation(job, each, deploymentId, index, now)
        put(row)
        const previous = store.get('allocations', row.previous)
        if (previous !== undefined) put({ ...previous, desired: 'stop', next: row.id })
      }
      this.#count([deploymentId], transaction)
      for (const each of cancelled) transaction.put('deployments', { ...each, status: 'cancelled', description: job.Stop ? STOPPED : SUPERSEDED, modifyIndex: index, modifiedAt: now })
      if (status !== job.Status) transaction.put('jobs', { ...job, Status: job.Stop ? 'pending' : status, ModifyIndex: index })
    })
    const stored = store.get('jobs', jobKey(job.Namespace, job.ID))
    if (job.Stop && stored !== undefined && stored.Status !== 'dead') store.commit('EvaluationUpdated', ({ index, put }) => { put('jobs', { ...stored, Status: 'dead', ModifyIndex: index }) })
    for (const id of new Set(touched)) {
      const row = store.get('allocations', id)
      if (row !== undefined) clients.get(row.nodeId)?.take(row)
    }
    this.#watch(deploymentId)
  }

  #newAllocation(job: Job, { placement, node, ports }: Placed, deploymentId: string, index: number, now: number): Allocation {
    return {
      id: makeId(this.#options.random), namespace: job.Namespace, job, group: placement.group, slot: placement.slot, nodeId: node.id, nodeName: node.name, ports,
      desired: 'run', desiredDescription: '', client: 'pending', clientDescription: '', tasks: undefined, deploymentId,
      health: placement.canary ? { healthy: null, canary: true, modifyIndex: index } : undefined,
      migrate: false, noShutdownDelay: false, reschedule: false, previous: placement.previous?.id ?? '', next: '', evaluationId: makeId(this.#options.random),
      createIndex: index, modifyIndex: index, serverModifyIndex: index, createdAt: now, modifiedAt: now,
    }
  }

  /** A node and ports for each placement; those that find no node wait for one. */
  async #place(job: Job, placements: readonly Placement[], nodes: readonly Node[]): Promise<Placed[]> {
    if (placements.length === 0) return []
    const { store, random } = this.#options
    const load = new Map(nodes.map(({ id }) => [id, store.liveOn(id).size]))
    const placed: Placed[] = []
    for (const placement of placements) {
      const usable = nodes.filter(({ id, status, eligible, datacenter }) => status === 'ready' && eligible && (placement.nodeId ?? id) === id
        && job.Datacenters.some((each) => each === '*' || each === datacenter))
      const node = usable.toSorted((a, b) => (load.get(a.id) ?? 0) - (load.get(b.id) ?? 0))[0]
      if (node === undefined) continue
      load.set(node.id, (load.get(node.id) ?? 0) + 1)
      const group = groupOf(job, placement.group)
      const taken = (): Set<number> => new Set([
        ...[...store.liveOn(node.id)].flatMap((id) => store.get('allocations', id)?.ports ?? []),
        ...placed.filter((each) => each.node === node).flatMap((each) => each.ports),
      ].map(({ value }) => value))
      placed.push({ placement, node, ports: group.Networks === null ? [] : await choosePorts(group, node, taken(), random) })
    }
    return placed
  }

  #count(deploymentIds: readonly string[], transaction: Transaction): void {
    const { store } = this.#options
    for (const id of new Set(deploymentIds)) {
      const deployment = store.get('deployments', id)
      if (deployment === undefined) continue
      const next = counted(deployment, store.allocationsOf(deployment.namespace, deployment.job.ID), transaction.index, transaction.now)
      if (differs(deployment, next)) transaction.put('deployments', next)
    }
  }

  /** Ends the deployment when it is complete, promotes it when it may, fails it when it makes no progress. */
  #watch(id: string): void {
    const { store, pace } = this.#options
    const deployment = store.get('deployments', id)
    if (deployment === undefined) return
    this.#watched.get(id)?.()
    this.#watched.delete(id)
    if (deployment.status !== 'running') return
    const allocations = store.allocationsOf(deployment.namespace, deployment.job.ID)
    const ready = awaitsPromotion(deployment, allocations)
    const groups = Object.values(deployment.groups)
    const later = (ms: number, run: (now: Deployment) => void): void => {
      this.#watched.set(id, store.clock.after(ms, () => {
        const present = store.get('deployments', id)
        if (present?.status === 'running') run(present)
      }))
    }
    if (isComplete(deployment)) later(pace.deploymentMs, (present) => { this.#succeed(present) })
    else if (ready && groups.every(({ autoPromote, desiredCanaries }) => autoPromote || desiredCanaries === 0)) later(pace.deploymentMs, (present) => { this.promote(present) })
    else if (!ready) later(Math.min(...groups.map(({ requireProgressBy }) => requireProgressBy)) - store.clock.now(), (present) => { this.fail(present, FAILED_PROGRESS) })
  }

  #succeed(deployment: Deployment): void {
    const { store } = this.#options
    const job = store.get('jobs', jobKey(deployment.namespace, deployment.job.ID))
    store.commit('PlanResult', ({ put, index, now }) => {
      put('deployments', { ...deployment, status: 'successful', description: SUCCESSFUL, modifyIndex: index, modifiedAt: now })
      if (job?.Version === deployment.job.Version) put('jobs', { ...job, Stable: true, ModifyIndex: index })
    })
  }

  #deploymentOf(job: Job): Deployment | undefined {
    return this.#options.store.deploymentsOf(job.Namespace, job.ID).find(({ job: { Version, CreateIndex } }) => Version === job.Version && CreateIndex === job.CreateIndex)
  }

  #readyNodes(): Node[] {
    return this.#options.store.all('nodes').filter(({ status, eligible }) => status === 'ready' && eligible)
  }

  #evaluateById(namespace: string, id: string): void {
    const job = this.#options.store.get('jobs', jobKey(namespace, id))
    if (job !== undefined) this.evaluate(job)
  }

  #lookAgain(key: string, job: Job, at: number | undefined): void {
    this.#again.get(key)?.()
    this.#again.delete(key)
    const { clock } = this.#options.store
    if (at !== undefined) this.#again.set(key, clock.after(Math.max(1, at - clock.now()), () => { this.#evaluateById(job.Namespace, job.ID) }))
  }
}

/** What a report changes in a row; undefined where nothing. */
function changeOf(row: Allocation, { tasks, healthy, version }: AllocationReport, now: number): Partial<Allocation> | undefined {
  const { client, clientDescription } = statusOf(Object.values(tasks))
  const judged = healthy !== undefined && version === row.job.Version && (row.health?.healthy ?? null) === null
  if (!judged && client === row.client && JSON.stringify(tasks) === JSON.stringify(row.tasks)) return undefined
  return { client, clientDescription, tasks, modifiedAt: now }
}

function statusOf(tasks: readonly TaskState[]): { readonly client: ClientStatus; readonly clientDescription: string } {
  if (tasks.some(({ state, failed }) => state === 'dead' && failed)) return { client: 'failed', clientDescription: 'Failed tasks' }
  if (tasks.every(({ state }) => state === 'dead')) return { client: 'complete', clientDescription: 'All tasks have completed' }
  if (tasks.some(({ state }) => state === 'running')) return { client: 'running', clientDescription: 'Tasks are running' }
  return { client: 'pending', clientDescription: 'No tasks have started' }
}
