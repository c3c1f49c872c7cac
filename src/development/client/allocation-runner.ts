// One allocation on its node, from its first registration to the end of its tasks, in the order that was recorded of Nomad 2.0.
import type { Cancel, Clock } from '#src/development/clock.ts'
import { toMs } from '#src/development/duration.ts'
import { checkId } from '#src/development/identifiers.ts'
import type { Random } from '#src/development/identifiers.ts'
import { groupOf, servicesOf } from '#src/development/job/specification.ts'
import type { TaskGroup } from '#src/development/job/specification.ts'
import type { Pace } from '#src/development/pace.ts'
import { nameOf } from '#src/development/state/rows.ts'
import type { Allocation, Node, TaskState } from '#src/development/state/rows.ts'
import { CheckRunner } from './check.ts'
import type { CheckResult } from './check.ts'
import type { Driver } from './driver.ts'
import { environmentOf, interpolate, nodeVariables } from './environment.ts'
import { HealthWatch } from './health-watch.ts'
import { addressOf, registrationsOf } from './registration.ts'
import type { Draft } from './registration.ts'
import { TaskRunner } from './task-runner.ts'

export interface AllocationHost {
  readonly clock: Clock
  readonly random: Random
  readonly pace: Pace
  readonly drivers: Readonly<Record<string, Driver>>
  node(): Node
  register(drafts: readonly Draft[]): void
  deregister(ids: readonly string[]): void
  /** Its tasks' states, or its health, are to be told to the servers. */
  changed(runner: AllocationRunner): void
  /** Its tasks have ended for good. */
  ended(runner: AllocationRunner): void
}

/** The scope of the group's own services, beside those of each task. */
const GROUP = ''

export class AllocationRunner {
  readonly #host: AllocationHost
  readonly #registered = new Map<string, readonly Draft[]>()
  readonly #tasks: readonly TaskRunner[]
  readonly #health: HealthWatch
  #allocation: Allocation
  #checks: CheckRunner[] = []
  #failuresOf = new Map<CheckRunner, number>()
  #startedAt = Infinity
  #stopping = false
  #begun = false
  #cancelBegin: Cancel | undefined
  #ended = false

  constructor(allocation: Allocation, host: AllocationHost) {
    this.#allocation = allocation
    this.#host = host
    const { clock, random } = host
    this.#tasks = this.#group.Tasks.map((task) => new TaskRunner(task, {
      clock,
      random,
      driver: host.drivers[task.Driver] ?? (() => Promise.reject(new Error(`Missing task driver "${task.Driver}"`))),
      batch: allocation.job.Type === 'batch' || allocation.job.Type === 'sysbatch',
      start: () => {
        const env = environmentOf(this.#allocation, host.node(), task.Name)
        const variables = { ...nodeVariables(host.node()), ...env }
        return { job: allocation.job.ID, task: task.Name, allocation: allocation.id, clock, config: interpolate(task.Config, variables), env: { ...env, ...interpolate(task.Env ?? {}, variables) } }
      },
      running: () => {
        this.#startedAt = clock.now()
        this.#sync(task.Name)
      },
      leaving: () => { this.#withdraw(task.Name) },
      changed: () => { this.#changed() },
      dead: (failed) => { this.#taskDied(failed) },
    }))
    this.#health = new HealthWatch(clock, () => { host.changed(this) })
    this.#health.judge(allocation)
  }

  get allocation(): Allocation {
    return this.#allocation
  }

  /** Whether all of it is over. */
  get ended(): boolean {
    return this.#ended
  }

  /** What the client tells of it. */
  get report(): { readonly tasks: Readonly<Record<string, TaskState>>; readonly healthy: boolean | undefined } {
    return { tasks: Object.fromEntries(this.#tasks.map((runner) => [runner.task.Name, runner.state])), healthy: this.#health.verdict }
  }

  /** Process ids of its tasks. */
  get pids(): readonly number[] {
    return this.#tasks.flatMap(({ pid }) => pid ?? [])
  }

  /** By check id; undefined where there is nothing to say: no checks, or its end has begun. */
  get checkResults(): Readonly<Record<string, CheckResult>> | undefined {
    return this.#checks.length === 0 ? undefined : Object.fromEntries(this.#checks.map(({ result }) => [result.ID, result]))
  }

  /** Registers the group's services, then starts the tasks. */
  begin(delayMs: number): void {
    if (this.#stopping) return
    const { clock, pace } = this.#host
    this.#cancelBegin = clock.after(delayMs, () => {
      this.#begun = true
      this.#startChecks()
      this.#sync(GROUP)
      this.#cancelBegin = clock.after(pace.startMs, () => { for (const task of this.#tasks) void task.start() })
    })
  }

  /** The servers changed it: promoted, updated in place, or to be stopped. */
  update(allocation: Allocation): void {
    const before = this.#allocation
    this.#allocation = allocation
    if (allocation.desired !== 'run') this.#stop(allocation.noShutdownDelay)
    else if (!this.#stopping && this.#begun && (before.job !== allocation.job || before.health?.canary !== allocation.health?.canary)) {
      if (before.job !== allocation.job) {
        this.#startChecks()
        this.#health.judge(allocation)
      }
      this.#sync(GROUP)
      for (const { task, state } of this.#tasks) if (state.state === 'running') this.#sync(task.Name)
    }
    this.#health.observe(this.#isHealthy())
  }

  /** `POST /v1/client/allocation/:id/restart`: the services go, the delay passes, and they come back before the process is signalled. */
  restart(): void {
    if (this.#stopping) return
    this.#withdraw(GROUP)
    this.#host.clock.after(toMs(this.#group.ShutdownDelay ?? 0), () => {
      if (this.#stopping) return
      this.#sync(GROUP)
      for (const task of this.#tasks) {
        this.#withdraw(task.task.Name)
        task.restart('User requested running tasks to restart', { policy: false })
      }
    })
  }

  /** Tells the servers everything again, as after a time without contact. */
  registerAgain(): void {
    for (const drafts of this.#registered.values()) this.#host.register(drafts)
  }

  /** Ends its processes at once. */
  async end(): Promise<void> {
    this.#cancelBegin?.()
    this.#stopChecks()
    this.#health.stop()
    await Promise.all(this.#tasks.map((task) => task.end()))
  }

  get #group(): TaskGroup {
    return groupOf(this.#allocation.job, this.#allocation.group)
  }

  #stop(atOnce: boolean): void {
    if (this.#stopping) return
    this.#stopping = true
    this.#cancelBegin?.()
    this.#stopChecks()
    this.#health.stop()
    this.#withdraw(GROUP)
    const delayMs = atOnce || !this.#begun ? 0 : toMs(this.#group.ShutdownDelay ?? 0)
    const kill = (): void => { for (const task of this.#tasks) task.kill({ delay: !atOnce }) }
    if (delayMs === 0) kill()
    else this.#host.clock.after(delayMs, kill)
  }

  #taskDied(failed: boolean): void {
    if (failed && !this.#stopping) {
      this.#stopping = true
      this.#stopChecks()
      this.#withdraw(GROUP)
      this.#health.fail()
      for (const task of this.#tasks) if (task.state.state !== 'dead') task.kill({ delay: false })
    }
    if (this.#ended || !this.#tasks.every(({ state }) => state.state === 'dead')) return
    this.#ended = true
    this.#stopChecks()
    this.#withdraw(GROUP)
    this.#host.changed(this)
    this.#host.ended(this)
  }

  #changed(): void {
    this.#health.observe(this.#isHealthy())
    this.#host.changed(this)
  }

  /** Brings the registrations of a scope to what the job says now: only what differs is sent. */
  #sync(scope: string): void {
    const wanted = registrationsOf(this.#allocation, this.#host.node(), scope)
    const known = new Map((this.#registered.get(scope) ?? []).map((draft) => [draft.ID, JSON.stringify(draft)]))
    const changed = wanted.filter((draft) => known.get(draft.ID) !== JSON.stringify(draft))
    const gone = [...known.keys()].filter((id) => !wanted.some(({ ID }) => ID === id))
    this.#registered.set(scope, wanted)
    if (changed.length > 0) this.#host.register(changed)
    if (gone.length > 0) this.#host.deregister(gone)
  }

  #withdraw(scope: string): void {
    const ids = (this.#registered.get(scope) ?? []).map(({ ID }) => ID)
    this.#registered.delete(scope)
    if (ids.length > 0) this.#host.deregister(ids)
  }

  /** Starts the job's checks. Those that run already, and are still wanted, go on with their results. */
  #startChecks(): void {
    const { clock } = this.#host
    const before = new Map(this.#checks.map((runner) => [JSON.stringify(runner.subject), runner]))
    const node = this.#host.node()
    const variables = { ...nodeVariables(node), ...environmentOf(this.#allocation, node, '') }
    this.#checks = servicesOf(this.#group).flatMap(({ service, task }) => (service.Checks ?? []).map((check) => {
      const { address, port } = addressOf(this.#allocation, node, { Address: service.Address, PortLabel: check.PortLabel === '' ? service.PortLabel : check.PortLabel })
      const name = interpolate(service.Name, variables)
      const subject = { id: checkId(this.#allocation.id, task, name, check.Name), check, group: nameOf(this.#allocation), task, service: name, host: address === '' ? node.address : address, port }
      return before.get(JSON.stringify(subject)) ?? new CheckRunner(subject, clock, (runner) => { this.#checked(runner) })
    }))
    for (const runner of before.values()) if (!this.#checks.includes(runner)) runner.stop()
  }

  #stopChecks(): void {
    for (const check of this.#checks) check.stop()
    this.#checks = []
    this.#failuresOf.clear()
  }

  #checked(runner: CheckRunner): void {
    this.#health.observe(this.#isHealthy())
    const { CheckRestart, Name, TaskName } = runner.subject.check
    if (CheckRestart === null) return
    const failures = runner.result.Status === 'failure' ? (this.#failuresOf.get(runner) ?? 0) + 1 : 0
    const grace = this.#host.clock.now() < this.#startedAt + toMs(CheckRestart.Grace)
    this.#failuresOf.set(runner, grace ? 0 : failures)
    if (grace || failures < CheckRestart.Limit) return
    this.#failuresOf.set(runner, 0)
    // Deregistered and registered again within a millisecond, just before the signal.
    this.#withdraw(GROUP)
    this.#sync(GROUP)
    const owner = TaskName === '' ? runner.subject.task : TaskName
    for (const task of this.#tasks) {
      if (owner === '' || task.task.Name === owner) task.restart(`healthcheck: check "${Name}" unhealthy`, { policy: true })
    }
  }

  #isHealthy(): boolean {
    const checks = this.#group.Update.HealthCheck !== 'checks' || this.#checks.every(({ result, subject }) => result.Status === 'success' || subject.check.OnUpdate === 'ignore')
    return checks && this.#tasks.every(({ state }) => state.state === 'running')
  }
}
