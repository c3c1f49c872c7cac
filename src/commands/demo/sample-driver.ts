// How the demo's registry runs its tasks: each a process of this program's own Node, which ends when the demo does.
import { fork } from 'node:child_process'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Driver } from '#src/development/client/driver.ts'

const program = fileURLToPath(new URL('instance.ts', import.meta.url))

/** A driver in the sense of a job's `Driver`. */
export const sampleDriver: Driver = ({ env }) => new Promise((resolve, reject) => {
  // A group of its own: Ctrl-C on the terminal is for the demo, which lets running requests finish.
  const child = fork(program, { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'inherit', 'ipc'], detached: true })
  child.once('error', reject)
  child.once('spawn', () => {
    resolve({
      pid: child.pid,
      exited: new Promise((ended) => {
        child.once('exit', (code, signal) => {
          const number = signal === null ? 0 : constants.signals[signal]
          ended({ code: code ?? 128 + number, signal: number })
        })
      }),
      signal: (name) => { child.kill(name) },
    })
  })
})
