// One task of an allocation: started, restarted by its policy, and killed after its delay.
import type { Cancel, Clock } from '#src/development/clock.ts'
import { formatDuration, toMs } from '#src/development/duration.ts'
import type { Random } from '#src/development/identifiers.ts'
import type { Task } from '#src/development/job/specification.ts'
import type { TaskEvent, TaskState } from '#src/development/state/rows.ts'
import type { Driver, Exit, RunningTask, TaskStart } from './driver.ts'

export interface TaskHost {
  readonly clock: Clock
  readonly random: Random
  readonly driver: Driver
  readonly batch: boolean
  /** Everything the driver needs. */
  start(): TaskStart
  /** The process runs: its services are to be registered. */
  running(): void
  /** The process ended, or is about to be killed: its services are to be taken back. */
  leaving(): void
  /** The state has changed. */
  changed(): void
  /** It will not run again. */
  dead(failed: boolean): void
}

const DEFAULT_SIGNAL = 'SIGINT'
/** Restarts come up to a quarter later than the policy says. */
const JITTER = 0.25

/** A restart that somebody asked for: with the policy's delay and count, or at once. */
type Asked = { readonly reason: string; readonly policy: boolean }

export class TaskRunner {
  readonly task: Task
  readonly #host: TaskHost
  #state: TaskState
  #running: RunningTask | undefined
  #cancelStart: Cancel | undefined
  #asked: Asked | undefined
  #killing = false
  #windowBegan = -Infinity
  #windowCount = 0

  constructor(task: Task, host: TaskHost) {
    this.task = task
    this.#host = host
    const now = host.clock.now()
    const events: TaskEvent[] = [
      { type: 'Received', time: now, message: 'Task received by client', details: {} },
      { type: 'Task Setup', time: now, message: 'Building Task Directory', details: { message: 'Building Task Directory' } },
    ]
    this.#state = { state: 'pending', failed: false, restarts: 0, events }
  }

  get state(): TaskState {
    return this.#state
  }

  /** Of its process, while there is one. */
  get pid(): number | undefined {
    return this.#running?.pid
  }

  async start(): Promise<void> {
    if (this.#killing) return
    try {
      this.#running = await this.#host.driver(this.#host.start())
    } catch (error) {
      this.#note('Driver Failure', error instanceof Error ? error.message : String(error), {})
      this.#restartOrFail({ code: 1, signal: 0 })
      return
    }
    const running = this.#running
    void running.exited.then((exit) => { this.#ended(exit) })
    const now = this.#host.clock.now()
    this.#note('Started', 'Task started by client', {}, { state: 'running', startedAt: this.#state.startedAt ?? now })
    if (this.#killing) running.signal('SIGKILL')
    else this.#host.running()
    this.#host.changed()
  }

  /** Asks the process to end, to be started again at once, or with `policy` as if it had failed. */
  restart(reason: string, { policy }: { readonly policy: boolean }): void {
    if (this.#killing || this.#running === undefined) return
    this.#asked = { reason, policy }
    this.#note('Restart Signaled', reason, { restart_reason: reason })
    this.#signalThenKill()
  }

  /** Deregisters, waits for the task's shutdown delay, sends the signal, and SIGKILL after the timeout. */
  kill({ delay }: { readonly delay: boolean }): void {
    if (this.#killing) return
    this.#killing = true
    this.#cancelStart?.()
    this.#host.leaving()
    const running = this.#running
    if (running === undefined) {
      this.#finish(false, 'Killed', 'Task successfully killed')
      return
    }
    const timeout = formatDuration(toMs(this.task.KillTimeout))
    this.#note('Killing', `Sent interrupt. Waiting ${timeout} before force killing`, { kill_timeout: timeout }, {}, { killTimeoutMs: toMs(this.task.KillTimeout) })
    const delayMs = toMs(this.task.ShutdownDelay)
    if (delayMs === 0) this.#signalThenKill()
    else if (!delay) {
      this.#note('Skipping shutdown delay', 'Skipping shutdown_delay before killing the task.', {}, { state: 'pending' })
      this.#signalThenKill()
    } else {
      // Nomad shows a task that waits for this as pending.
      this.#note('Waiting for shutdown delay', `Waiting for shutdown_delay of ${formatDuration(delayMs)} before killing the task.`, {}, { state: 'pending' })
      this.#host.clock.after(delayMs, () => { this.#signalThenKill() })
    }
    this.#host.changed()
  }

  /** Ends the process at once, whatever it does: the registry itself ends. */
  async end(): Promise<void> {
    this.#killing = true
    this.#cancelStart?.()
    this.#running?.signal('SIGKILL')
    await this.#running?.exited
  }

  #signalThenKill(): void {
    const running = this.#running
    if (running === undefined) return
    running.signal(this.task.KillSignal === '' ? DEFAULT_SIGNAL : this.task.KillSignal as NodeJS.Signals)
    const cancel = this.#host.clock.after(toMs(this.task.KillTimeout), () => { running.signal('SIGKILL') })
    void running.exited.then(cancel)
  }

  #ended(exit: Exit): void {
    this.#running = undefined
    const { code, signal } = exit
    const message = signal === 0 ? `Exit Code: ${code}` : `Exit Code: ${code}, Signal: ${signal}`
    this.#note('Terminated', message, { exit_code: String(code), signal: String(signal), oom_killed: 'false' }, {}, { exitCode: code, signal })
    if (this.#killing) {
      this.#finish(false, 'Killed', 'Task successfully killed')
      return
    }
    this.#host.leaving()
    if (this.#host.batch && code === 0 && this.#asked === undefined) this.#finish(false)
    else this.#restartOrFail(exit)
  }

  #restartOrFail(exit: Exit): void {
    const asked = this.#asked
    this.#asked = undefined
    if (asked?.policy === false) {
      this.#restartAfter(0, '')
      return
    }
    const { Attempts, Delay, Interval, Mode } = this.task.RestartPolicy
    const now = this.#host.clock.now()
    if (now - this.#windowBegan > toMs(Interval)) {
      this.#windowBegan = now
      this.#windowCount = 0
    }
    if (++this.#windowCount <= Attempts) {
      this.#restartAfter(toMs(Delay) * (1 + this.#host.random() * JITTER), 'Restart within policy')
    } else if (Mode === 'delay') {
      this.#restartAfter(this.#windowBegan + toMs(Interval) - now, `Exceeded allowed attempts ${Attempts} in interval ${formatDuration(toMs(Interval))}, applying a delay`)
    } else {
      const reason = `Exceeded allowed attempts ${Attempts} in interval ${formatDuration(toMs(Interval))} and mode is "fail"`
      this.#note('Not Restarting', reason, { restart_reason: reason, fails_task: 'true' }, { failed: true }, { failsTask: true, exitCode: exit.code })
      this.#finish(true)
    }
  }

  #restartAfter(delayMs: number, reason: string): void {
    const { restarts } = this.#state
    const now = this.#host.clock.now()
    const details = { restart_reason: reason, start_delay: String(Math.round(delayMs * 1e6)) }
    this.#note('Restarting', `Task restarting in ${formatDuration(delayMs)}`, details, { state: 'pending', restarts: restarts + 1, lastRestart: now })
    this.#cancelStart = this.#host.clock.after(delayMs, () => { void this.start() })
    this.#host.changed()
  }

  #finish(failed: boolean, type?: string, message = ''): void {
    const end = { state: 'dead', failed, finishedAt: this.#host.clock.now() } as const
    if (type === undefined) this.#state = { ...this.#state, ...end }
    else this.#note(type, message, {}, end)
    this.#host.changed()
    this.#host.dead(failed)
  }

  #note(type: string, message: string, details: Readonly<Record<string, string>>, state: Partial<TaskState> = {}, event: Partial<TaskEvent> = {}): void {
    const events = [...this.#state.events, { type, time: this.#host.clock.now(), message, details, ...event }].slice(-10)
    this.#state = { ...this.#state, ...state, events }
  }
}
