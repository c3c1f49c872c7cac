// Another program, run to its end with a deadline: what it said, and how it ended.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { DEADLINE_MS, within } from './until.ts'

export interface Ran {
  readonly code: number | NodeJS.Signals
  readonly stdout: string
  readonly stderr: string
}

/** Runs it; `input` goes to its standard input, which then ends. */
export async function run(path: string, args: readonly string[], { input = '', deadline = 3 * DEADLINE_MS }: { readonly input?: string; readonly deadline?: number } = {}): Promise<Ran> {
  const child = spawn(path, args, { stdio: 'pipe' })
  const said = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => { said.stdout += text })
  child.stderr.setEncoding('utf8').on('data', (text: string) => { said.stderr += text })
  child.stdin.on('error', () => undefined) // it has ended without reading all of it
  child.stdin.end(input)
  try {
    const [code, signal] = await within(once(child, 'close'), deadline, () => `${path} ending`) as [number | null, NodeJS.Signals | null]
    return { code: code ?? signal ?? 0, ...said }
  } finally {
    child.kill('SIGKILL')
  }
}
