// Waiting for a program to have done something.
import type { Child } from './children.ts'

const DEADLINE_MS = 10_000

/** Resolves when it holds, looked at every `everyMs`; rejects with what the program said when it ends or ten seconds have passed. */
export async function until(holds: () => boolean | Promise<boolean>, child: Pick<Child, 'running' | 'output'>, everyMs = 5): Promise<void> {
  for (const deadline = performance.now() + DEADLINE_MS; !(await holds()); await sleep(everyMs)) {
    if (!child.running) throw new Error(`it has ended; it said: ${child.output()}`)
    if (performance.now() > deadline) throw new Error(`nothing within ${DEADLINE_MS / 1000} s; it said: ${child.output().slice(-2000)}`)
  }
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
