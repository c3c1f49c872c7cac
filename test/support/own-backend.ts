// The backend of test/fixtures/endless-backend.ts as a child process, which can be killed as the system kills.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { DEADLINE_MS, within } from './until.ts'

export interface OwnBackend extends AsyncDisposable {
  readonly port: number
  /** `127.0.0.1:port`, as services files write it. */
  readonly address: string
  /** SIGKILL; resolves when the process is no more. */
  kill(): Promise<void>
}

const script = fileURLToPath(new URL('../fixtures/endless-backend.ts', import.meta.url))

/** Starts it, on a free port unless one is given. */
export async function startOwnBackend(port = 0): Promise<OwnBackend> {
  const child = spawn(process.execPath, [script, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'close')
  const [line] = await within(once(child.stdout, 'data'), 2 * DEADLINE_MS, () => 'the backend saying its port') as [Buffer]
  const bound = Number(line.toString())
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  return { port: bound, address: `127.0.0.1:${bound}`, kill, [Symbol.asyncDispose]: kill }
}
