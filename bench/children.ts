// The programs that a bench starts: pinned to a core, with room for many files, and all ended by their process ids.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { openSync, closeSync } from 'node:fs'
import { findProgram, type Program } from './programs.ts'

/** The proxy has a core of its own; what asks and what answers share the other. */
export const PROXY_CORE = 0
export const LOAD_CORE = 1
const STOP_MS = 5000

export interface StartOptions {
  readonly core: number
  /** A file for standard output; the default keeps it for `output()`. */
  readonly stdoutFile?: string
  readonly cwd?: string
  /** Beside the environment of this process. */
  readonly env?: Readonly<Record<string, string>>
}

export interface Child {
  readonly pid: number
  /** What it wrote to standard output (unless that is a file) and standard error. */
  output(): string
  readonly exited: Promise<void>
  readonly running: boolean
  /** Sends a signal and waits for the end; SIGKILL follows after a while. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** The command line that runs a program on one core. */
const pinned = (core: number, command: readonly string[]): string[] => ['taskset', '-c', String(core), ...command]

/** Everything that was started and has not ended. */
export class Children implements AsyncDisposable {
  readonly #running = new Set<Child>()

  /** Starts a program with its arguments. Throws where it is not installed. */
  start(program: Program | 'node', args: readonly string[], { core, stdoutFile, cwd, env = {} }: StartOptions): Child {
    const path = program === 'node' ? process.execPath : findProgram(program)
    if (path === undefined) throw new Error(`${program} is not installed`)
    const file = stdoutFile === undefined ? undefined : openSync(stdoutFile, 'a')
    // As many open files as the system lets us have: the soft limit is often 1024.
    const shell = ['/bin/sh', '-c', 'ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"; exec "$@"', 'sh', ...pinned(core, [path, ...args])]
    // A group of its own: Ctrl-C reaches this process alone, which then ends the others in order.
    const child = spawn(shell[0]!, shell.slice(1), {
      stdio: ['ignore', file ?? 'pipe', 'pipe'], detached: true, env: { ...process.env, ...env }, ...(cwd === undefined ? {} : { cwd }),
    })
    if (file !== undefined) closeSync(file)
    const started = this.#follow(child)
    this.#running.add(started)
    void started.exited.then(() => this.#running.delete(started))
    return started
  }

  #follow(child: ChildProcess): Child {
    let text = ''
    const collect = (part: Buffer): void => {
      text = (text + part.toString()).slice(-64 * 1024)
    }
    child.stdout?.on('data', collect)
    child.stderr?.on('data', collect)
    const exited = once(child, 'close').then(() => undefined)
    return {
      pid: child.pid ?? 0,
      output: () => text,
      exited,
      get running() { return child.exitCode === null && child.signalCode === null },
      async stop(signal = 'SIGTERM') {
        child.kill(signal)
        const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
        await exited
        clearTimeout(timer)
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#running].map((child) => child.stop()))
  }
}
