// What operators do to jobs, allocations, deployments and nodes: each a change of the state that the scheduler then acts on.
import type { Client } from '#src/development/client/client.ts'
import { toNanoseconds } from '#src/development/clock.ts'
import { makeId } from '#src/development/identifiers.ts'
import type { Random } from '#src/development/identifiers.ts'
import { canonicalJob, findMistake } from '#src/development/job/canonical.ts'
import type { SubmittedJob } from '#src/development/job/canonical.ts'
import type { Job } from '#src/development/job/specification.ts'
import { isTerminal, jobKey } from '#src/development/state/rows.ts'
import type { Allocation, Deployment, Node } from '#src/development/state/rows.ts'
import type { Store } from '#src/development/state/store.ts'
import { FAILED_BY_USER, healthyCanaries } from './deployment.ts'
import type { Scheduler } from './scheduler.ts'

/** Nomad refuses: the status it answers, and its words. */
export class Refused extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** What an operation on a job answers. */
export interface Evaluation {
  readonly id: string
  readonly index: number
  readonly job: Job
}

/** Versions of a job that are remembered. */
const TRACKED = 6

export class Operations {
  readonly #store: Store
  readonly #scheduler: Scheduler
  readonly #clients: ReadonlyMap<string, Client>
  readonly #random: Random
  readonly #versions = new Map<string, readonly Job[]>()

  constructor(store: Store, scheduler: Scheduler, clients: ReadonlyMap<string, Client>, random: Random) {
    this.#store = store
    this.#scheduler = scheduler
    this.#clients = clients
    this.#random = random
  }

  /** Registers a job or a new version of it. The same job again changes nothing. */
  register(given: SubmittedJob): Evaluation {
    const job = canonicalJob(given)
    if (job.ID === '') throw new Refused(400, 'Job ID hasn\'t been provided')
    const mistake = job.TaskGroups.length === 0 ? '1 error occurred:\n\t* Missing job task groups\n\n' : findMistake(job)
    if (mistake !== undefined) throw new Refused(500, mistake)
    if (this.#store.get('namespaces', job.Namespace) === undefined) throw new Refused(500, `nonexistent namespace "${job.Namespace}"`)
    const key = jobKey(job.Namespace, job.ID)
    const before = this.#store.get('jobs', key)
    if (before !== undefined && !before.Stop && specification(before) === specification(job)) return this.#evaluated(before, before.ModifyIndex)
    const versions = this.#versions.get(key) ?? []
    const index = this.#store.commit('JobRegistered', ({ index: at, put, now }) => {
      const status = before === undefined || before.Stop ? 'pending' : before.Status
      const stored = { ...job, CreateIndex: before?.CreateIndex ?? at, ModifyIndex: at, JobModifyIndex: at, Version: before === undefined ? 0 : before.Version + 1, Status: status, SubmitTime: toNanoseconds(now) }
      put('jobs', stored)
      this.#versions.set(key, [...(before === undefined ? [] : versions), stored].slice(-TRACKED))
    })
    return this.#evaluated(this.#job(job.Namespace, job.ID), index)
  }

  /** The last version before this one whose deployment succeeded. */
  stableBefore({ Namespace, ID, Version }: Job): Job | undefined {
    const deployed = (version: number): boolean => this.#store.deploymentsOf(Namespace, ID).some(({ job, status }) => job.Version === version && status === 'successful')
    return (this.#versions.get(jobKey(Namespace, ID)) ?? []).findLast((job) => job.Version < Version && deployed(job.Version))
  }

  /** Stops a job; with `purge` it and its allocations are forgotten at once. */
  deregister(namespace: string, id: string, { purge = false, noShutdownDelay = false } = {}): Evaluation {
    const job = this.#job(namespace, id)
    const allocations = this.#store.allocationsOf(namespace, id)
    if (noShutdownDelay) this.#mark(allocations.filter((each) => !isTerminal(each)), { noShutdownDelay: true })
    const index = this.#store.commit('JobDeregistered', ({ index: at, put, remove }) => {
      const stopped = { ...job, Stop: true, Version: job.Version + 1, ModifyIndex: at, JobModifyIndex: at }
      if (purge) remove('jobs', stopped)
      else put('jobs', stopped)
    })
    if (!purge) return this.#evaluated(this.#job(namespace, id), index)
    this.#forget(allocations, this.#store.deploymentsOf(namespace, id))
    this.#versions.delete(jobKey(namespace, id))
    return { id: makeId(this.#random), index, job }
  }

  scale(namespace: string, id: string, group: string, count: number): Evaluation {
    const job = this.#job(namespace, id)
    if (!job.TaskGroups.some(({ Name }) => Name === group)) throw new Refused(400, `task group "${group}" specified for scaling does not exist in job`)
    if (this.#store.deploymentsOf(namespace, id).some(({ status }) => status === 'running')) throw new Refused(400, 'job scaling blocked due to active deployment')
    return this.register({ ...job, TaskGroups: job.TaskGroups.map((each) => (each.Name === group ? { ...each, Count: count } : each)) })
  }

  promote(id: string): Evaluation {
    const deployment = this.deployment(id)
    const allocations = this.#store.allocationsOf(deployment.namespace, deployment.job.ID)
    if (deployment.status !== 'running') throw new Refused(500, 'can\'t promote terminal deployment')
    if (Object.values(deployment.groups).every(({ desiredCanaries, promoted }) => desiredCanaries === 0 || promoted)) throw new Refused(500, 'no canaries to promote')
    const lacking = Object.entries(deployment.groups).filter(([, group]) => group.desiredCanaries > 0 && healthyCanaries(group, allocations) < group.desiredCanaries)
    if (lacking.length > 0) {
      const lines = lacking.map(([name, group]) => `\t* Task group "${name}" has ${healthyCanaries(group, allocations)}/${group.desiredCanaries} healthy allocations`)
      throw new Refused(500, `${lines.length} error${lines.length === 1 ? '' : 's'} occurred:\n${lines.join('\n')}\n\n`)
    }
    this.#scheduler.promote(deployment)
    return this.#evaluated(this.#job(deployment.namespace, deployment.job.ID), this.#store.indexOf('deployments'))
  }

  fail(id: string): Evaluation {
    const deployment = this.deployment(id)
    this.#scheduler.fail(deployment, FAILED_BY_USER)
    return this.#evaluated(this.#job(deployment.namespace, deployment.job.ID), this.#store.indexOf('deployments'))
  }

  /** Stops an allocation and places another in its stead. */
  stopAllocation(allocation: Allocation, { noShutdownDelay = false } = {}): Evaluation {
    const index = this.#mark([allocation], { migrate: true, noShutdownDelay })
    return this.#evaluated(this.#job(allocation.namespace, allocation.job.ID), index)
  }

  restartAllocation({ nodeId, id }: Allocation): void {
    this.#clients.get(nodeId)?.runner(id)?.restart()
  }

  /** Takes work away from a node, as much at once as each group allows, or takes it back into service. */
  drain(node: Node, on: boolean): void {
    this.#changeNode('NodeUpdateDrain', node.id, { draining: on, eligible: !on })
    if (on) this.#drainStep(node.id)
    else this.#scheduler.evaluateAll()
  }

  /** The servers hear no heartbeat of a node any more; its tasks go on. */
  loseNode(id: string): void {
    this.#clients.get(id)?.disconnect()
    const waits = [...this.#store.liveOn(id)].some((each) => {
      const row = this.#store.get('allocations', each)
      return (row?.job.TaskGroups.find(({ Name }) => Name === row.group)?.Disconnect?.LostAfter ?? 0) > 0
    })
    this.#changeNode('NodeStreamEvent', id, { status: waits ? 'disconnected' : 'down' })
    this.#scheduler.evaluateAll()
  }

  /** The node's agent is back. */
  recoverNode(id: string): void {
    this.#changeNode('NodeStreamEvent', id, { status: 'ready' })
    this.#clients.get(id)?.reconnect()
    this.#scheduler.evaluateAll()
  }

  /** `nomad system gc`: forgets stopped jobs with their allocations; only the jobs are told. */
  collectGarbage(): void {
    for (const job of this.#store.all('jobs').filter(({ Stop, Status }) => Stop && Status === 'dead')) {
      const allocations = this.#store.allocationsOf(job.Namespace, job.ID)
      if (!allocations.every(isTerminal)) continue
      this.#store.commit('JobBatchDeregistered', ({ remove }) => { remove('jobs', job) })
      this.#forget(allocations, this.#store.deploymentsOf(job.Namespace, job.ID))
    }
  }

  putNamespace(name: string, description: string): number {
    const before = this.#store.get('namespaces', name)
    return this.#store.commit('NamespaceUpsert', ({ index, put }) => { put('namespaces', { name, description, createIndex: before?.createIndex ?? index, modifyIndex: index }) })
  }

  deleteNamespace(name: string): number {
    const row = this.#store.get('namespaces', name)
    if (row === undefined) throw new Refused(500, `namespace "${name}" does not exist`)
    if (this.#store.all('jobs').some(({ Namespace, Status }) => Namespace === name && Status !== 'dead')) throw new Refused(500, `namespace "${name}" has non-terminal jobs`)
    return this.#store.commit('NamespaceDelete', ({ remove }) => { remove('namespaces', row) })
  }

  /** Throws where there is none. */
  deployment(id: string): Deployment {
    const deployment = this.#store.get('deployments', id)
    if (deployment === undefined) throw new Refused(404, 'deployment not found')
    return deployment
  }

  /** To be called when allocations have changed: the next ones of a draining node may go. */
  continueDrains(): void {
    for (const node of this.#store.all('nodes')) if (node.draining) this.#drainStep(node.id)
  }

  #drainStep(nodeId: string): void {
    const live = [...this.#store.liveOn(nodeId)].flatMap((id) => this.#store.get('allocations', id) ?? [])
    const services = live.filter(({ job }) => job.Type !== 'system')
    // The ingress and its like stay until everything else has gone.
    const candidates = (services.length > 0 ? services : live).filter(({ desired, migrate }) => desired === 'run' && !migrate)
    if (live.length === 0) this.#changeNode('NodeUpdateDrain', nodeId, { draining: false })
    for (const key of new Set(candidates.map(({ job, group }) => `${jobKey(job.Namespace, job.ID)}\0${group}`))) {
      const [namespace = '', id = '', group = ''] = key.split('\0')
      const all = this.#store.allocationsOf(namespace, id).filter((each) => each.group === group)
      const moving = all.filter((each) => each.desired === 'run' && !isTerminal(each) && (each.migrate || each.client !== 'running')).length
      const limit = candidates[0]?.job.TaskGroups.find(({ Name }) => Name === group)?.Migrate.MaxParallel ?? 1
      const next = candidates.filter((each) => each.namespace === namespace && each.job.ID === id && each.group === group).slice(0, Math.max(0, limit - moving))
      if (next.length > 0) this.#mark(next, { migrate: true })
      if (next.length > 0) this.#scheduler.evaluate(this.#job(namespace, id))
    }
  }

  #mark(allocations: readonly Allocation[], change: Partial<Allocation>): number {
    return this.#store.commit('AllocationUpdateDesiredStatus', ({ index, now, put }) => {
      for (const row of allocations) put('allocations', { ...row, ...change, modifyIndex: index, serverModifyIndex: index, modifiedAt: now })
    })
  }

  #forget(allocations: readonly Allocation[], deployments: readonly Deployment[]): void {
    for (const allocation of allocations) this.#clients.get(allocation.nodeId)?.drop(allocation)
    if (allocations.length + deployments.length === 0) return
    this.#store.commit('EvalDelete', ({ remove }) => {
      for (const allocation of allocations) remove('allocations', allocation, { quiet: true })
      for (const deployment of deployments) remove('deployments', deployment, { quiet: true })
    })
  }

  #changeNode(type: string, id: string, change: Partial<Node>): void {
    const node = this.#store.get('nodes', id)
    if (node === undefined) throw new Refused(404, 'node not found')
    this.#store.commit(type, ({ index, put }) => { put('nodes', { ...node, ...change, modifyIndex: index }) })
  }

  #job(namespace: string, id: string): Job {
    const job = this.#store.get('jobs', jobKey(namespace, id))
    if (job === undefined) throw new Refused(404, 'job not found')
    return job
  }

  #evaluated(job: Job, index: number): Evaluation {
    this.#scheduler.evaluate(job)
    return { id: makeId(this.#random), index, job }
  }
}

/** What makes two versions of a job differ, as text. */
function specification(job: Job): string {
  return JSON.stringify({ ...job, Stop: false, Stable: false, Status: '', Version: 0, CreateIndex: 0, ModifyIndex: 0, JobModifyIndex: 0, SubmitTime: 0 })
}
