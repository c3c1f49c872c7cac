// The real program under test: a child process with listeners on free ports, its services file, its logs and its end.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { makeFolder } from './folder.ts'
import { DEADLINE_MS, until, within } from './until.ts'

/** A line of JSON that the program wrote; a line that is none has its text in `msg`. */
export type LogRecord = Readonly<Record<string, unknown>>

export interface ServiceEntry {
  readonly name: string
  readonly namespace?: string
  readonly tags?: readonly string[]
  readonly instances: readonly (string | { readonly address: string; readonly tags?: readonly string[]; readonly health?: string })[]
}

/** A services file: its text, or its entries. */
export type Services = string | readonly ServiceEntry[]

export interface SeraiOptions {
  readonly services?: Services
  /** Keys laid over the test's configuration, in the form of serai.yaml; `listeners` replaces the test's one listener `http`. */
  readonly config?: Readonly<Record<string, unknown>>
  /** The command line after `src/main.ts`; the default runs the configuration. */
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** False: do not wait for /ready to say yes, only for the listeners. */
  readonly ready?: boolean
  readonly deadline?: number
}

export interface Serai extends AsyncDisposable {
  readonly pid: number
  /** The port of the listener `http`. */
  readonly port: number
  /** `127.0.0.1:port` of the admin listener. */
  readonly admin: string
  /** Addresses of all listeners by name. */
  readonly listeners: Readonly<Record<string, string>>
  /** The folder that holds serai.yaml and services.yaml; also the program's working directory. */
  readonly folder: string
  /** Everything logged to stderr so far. */
  readonly logs: readonly LogRecord[]
  /** Everything written to stdout so far: the access log. */
  readonly accessLog: readonly LogRecord[]
  /** GET of an admin path: status and parsed JSON (or the text, where it is none). */
  ask(path: string): Promise<{ readonly status: number; readonly body: unknown }>
  /** Replaces the services file atomically and waits for a new revision in /api/status, or for `settled` where given. */
  services(next: Services, settled?: () => boolean | Promise<boolean>): Promise<void>
  /** Sends a signal (SIGTERM) and waits for the end: the exit code, or the name of the signal that killed the program. */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>
  /** The exit code whenever the program ends by itself; fails at the deadline. */
  readonly exited: Promise<number | NodeJS.Signals>
}

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** Starts `serai run` and waits until it serves. */
export async function startSerai(options: SeraiOptions = {}): Promise<Serai> {
  const { services = [], config = {}, env = {}, ready = true, deadline = 2 * DEADLINE_MS } = options
  await using cleanUp = new AsyncDisposableStack()
  const folder = cleanUp.use(await makeFolder())
  await folder.write('services.yaml', servicesText(services))
  const configFile = await folder.write('serai.yaml', JSON.stringify({
    listeners: { http: { address: '127.0.0.1:0' } },
    admin: { address: '127.0.0.1:0' },
    catalogs: { file: { path: folder.file('services.yaml') } },
    stop: { lameDuck: '0s', drain: '5s' },
    ...config,
  }, null, 2))

  const args = options.args ?? ['run', '--config', configFile]
  const child = spawn(process.execPath, [main, ...args], { cwd: folder.path, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const end = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals)
  cleanUp.defer(async () => {
    child.kill('SIGKILL')
    await end
  })
  const logs = collect(child.stderr)
  const accessLog = collect(child.stdout)
  const said = (): string => logs.slice(-20).map((record) => JSON.stringify(record)).join('\n')
  const ended = (what: string): Promise<number | NodeJS.Signals> => within(end, deadline, () => `${what}; it said:\n${said()}`)

  const serving = (): LogRecord | undefined => logs.find((record) => record['msg'] === 'serving')
  const started = until(() => child.exitCode !== null || serving() !== undefined, { deadline, what: 'the log line "serving"' })
  await started.catch((error: unknown) => { throw new Error(`${String(error)}; it said:\n${said()}`) })
  const line = serving()
  if (line === undefined) throw new Error(`serai ended with ${await end} before it served; it said:\n${said()}`)
  const listeners = line['listeners'] as Readonly<Record<string, string>>
  const admin = line['admin'] as string

  const ask: Serai['ask'] = async (path) => {
    const response = await fetch(`http://${admin}${path}`, { signal: AbortSignal.timeout(deadline) })
    const text = await response.text()
    return { status: response.status, body: response.headers.get('content-type')?.includes('json') === true ? JSON.parse(text) as unknown : text }
  }
  const revision = async (): Promise<unknown> => ((await ask('/api/status')).body as { revision: unknown }).revision
  if (ready) await until(async () => (await ask('/ready')).status === 200, { deadline, what: '/ready to say yes' })

  const running = cleanUp.move()
  return {
    pid: child.pid ?? 0,
    port: Number(listeners['http']?.split(':').at(-1)),
    admin,
    listeners,
    folder: folder.path,
    logs,
    accessLog,
    ask,
    async services(next, settled) {
      const before = await revision()
      await folder.write('services.yaml', servicesText(next))
      await until(settled ?? (async () => await revision() !== before), { deadline, what: 'the new services file to be in force' })
    },
    stop(signal = 'SIGTERM') {
      child.kill(signal)
      return ended(`serai ending after ${signal}`)
    },
    get exited() { return ended('serai ending') },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

/** What a finished command said and how it ended. */
export interface Finished {
  readonly code: number | NodeJS.Signals
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command of the program to its end: `runSerai(['validate', file])`. */
export async function runSerai(args: readonly string[], options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {}): Promise<Finished> {
  const { cwd = process.cwd(), env = {} } = options
  const child = spawn(process.execPath, [main, ...args], { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr] = [text(child.stdout), text(child.stderr)]
  try {
    const [code, signal] = await within(once(child, 'close'), 2 * DEADLINE_MS, () => `serai ${args.join(' ')} ending`) as [number | null, NodeJS.Signals | null]
    return { code: code ?? signal ?? 0, stdout: await stdout, stderr: await stderr }
  } finally {
    child.kill('SIGKILL')
  }
}

function servicesText(services: Services): string {
  return typeof services === 'string' ? services : JSON.stringify({ services }, null, 2)
}

function collect(stream: Readable): LogRecord[] {
  const records: LogRecord[] = []
  createInterface({ input: stream }).on('line', (line) => { records.push(parse(line)) })
  return records
}

function parse(line: string): LogRecord {
  try {
    return JSON.parse(line) as LogRecord
  } catch {
    return { msg: line }
  }
}

async function text(stream: Readable): Promise<string> {
  let all = ''
  for await (const chunk of stream.setEncoding('utf8')) all += String(chunk)
  return all
}
