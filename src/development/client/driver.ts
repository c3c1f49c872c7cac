// How tasks are run: as processes, as nothing at all, or as whoever embeds the registry likes.
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import type { Clock } from '#src/development/clock.ts'
import { parseDuration } from '#src/development/duration.ts'

/** What a driver is given: the task's configuration with variables replaced, and its environment. */
export interface TaskStart {
  readonly job: string
  readonly task: string
  readonly allocation: string
  readonly config: Readonly<Record<string, unknown>>
  readonly env: Readonly<Record<string, string>>
  readonly clock: Clock
}

export interface Exit {
  readonly code: number
  /** The number of the signal that ended it, or 0. */
  readonly signal: number
}

export interface RunningTask {
  /** Of the process, where there is one. */
  readonly pid: number | undefined
  readonly exited: Promise<Exit>
  signal(name: NodeJS.Signals): void
}

/** Starts a task; a rejected promise is a task that could not be started. */
export type Driver = (start: TaskStart) => Promise<RunningTask>

/** Nomad's `raw_exec`: a process as the agent's user. `config`: command, args. */
export const rawExec: Driver = ({ config, env }) => new Promise((resolve, reject) => {
  const args = Array.isArray(config['args']) ? config['args'].map(String) : []
  const child = spawn(String(config['command']), args, { env: { ...process.env, ...env }, stdio: 'ignore', detached: true })
  const exited = new Promise<Exit>((ended) => {
    child.once('exit', (code, signal) => {
      const number = signal === null ? 0 : constants.signals[signal]
      ended({ code: code ?? 128 + number, signal: number })
    })
  })
  child.once('error', reject)
  child.once('spawn', () => {
    const { pid } = child
    // The process leads a group, so that what it started ends with it.
    resolve({ pid, exited, signal: (name) => { signalGroup(pid, name) } })
  })
})

function signalGroup(pid: number | undefined, name: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(name === 'SIGKILL' ? -pid : pid, name)
  } catch {
    // It has ended already.
  }
}

/** Nomad's `mock_driver`: runs nothing. `config`: run_for (for ever), exit_code (0). */
export const mockDriver: Driver = ({ config, clock }) => {
  const { promise: exited, resolve } = Promise.withResolvers<Exit>()
  const runFor = typeof config['run_for'] === 'string' ? parseDuration(config['run_for']) : undefined
  if (runFor !== undefined && runFor > 0) clock.after(runFor, () => { resolve({ code: Number(config['exit_code'] ?? 0), signal: 0 }) })
  return Promise.resolve({ pid: undefined, exited, signal: () => { resolve({ code: 0, signal: 0 }) } })
}
