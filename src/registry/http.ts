// HTTP to one registry over few connections: TCP, TLS or a unix socket; every call has a deadline and a bound on its answer.
import { buildConnector, Pool } from 'undici'
import type { Clock } from './clock.ts'
import { TlsFiles } from './tls-files.ts'
import type { TlsPaths } from './tls-files.ts'

/** Where a registry is. */
export interface RegistryAddress {
  /** `http://127.0.0.1:4646`; for a unix socket what Host says. */
  readonly origin: string
  readonly socketPath?: string | undefined
  readonly tls?: TlsPaths & { readonly serverName?: string | undefined; readonly skipVerify?: boolean | undefined } | undefined
}

export interface HttpOptions {
  readonly address: RegistryAddress
  /** At most so many connections; further calls wait. */
  readonly connections: number
  readonly clock: Clock
}

export interface HttpAnswer {
  readonly status: number
  /** Lower-case names; of repeated fields the first. */
  readonly header: (name: string) => string | undefined
  readonly text: string
}

export interface HttpCall {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** From the call to the last byte of its answer, milliseconds. */
  readonly deadlineMs: number
  readonly signal: AbortSignal
}

/** No answer within the bounds; the message is for people. */
export class NoAnswerError extends Error {}

/** The largest list that is read; 20,000 services take a tenth of it. */
const MAX_BODY_BYTES = 64 * 1024 * 1024
const CONNECT_MS = 3000

export class RegistryHttp {
  readonly #pool: Pool
  readonly #clock: Clock
  readonly #files: TlsFiles

  /** Throws when a TLS file cannot be read. */
  constructor({ address, connections, clock }: HttpOptions) {
    this.#clock = clock
    this.#files = new TlsFiles(address.tls ?? {})
    this.#pool = new Pool(address.origin, {
      connections,
      pipelining: 1,
      // Deadlines are ours: a blocking query is silent for as long as it was asked to be.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: 30_000,
      connect: connectWith(address, this.#files),
    })
  }

  /** GET. Rejects with a NoAnswerError when nothing (or too much) came in time. */
  async get({ path, headers, deadlineMs, signal }: HttpCall): Promise<HttpAnswer> {
    using deadline = startDeadline(this.#clock, deadlineMs, signal)
    try {
      const response = await this.#pool.request({ method: 'GET', path, headers: { ...headers, 'accept-encoding': 'identity' }, signal: deadline.signal })
      const parts: Buffer[] = []
      let size = 0
      for await (const part of response.body as AsyncIterable<Buffer>) {
        size += part.length
        if (size > MAX_BODY_BYTES) throw new NoAnswerError(`its answer is larger than ${MAX_BODY_BYTES} bytes`)
        parts.push(part)
      }
      const header = (name: string): string | undefined => [response.headers[name] ?? []].flat()[0]
      return { status: response.statusCode, header, text: Buffer.concat(parts).toString('utf8') }
    } catch (error) {
      throw new NoAnswerError(this.#explain(deadline.passed ? `no answer in ${deadlineMs} ms` : reasonOf(error)), { cause: error })
    }
  }

  /** GET of an answer without an end: its status, and its bytes as they come until it ends, the signal aborts or something fails (then it throws). */
  async open({ path, headers, deadlineMs, signal }: HttpCall): Promise<{ readonly status: number; readonly body: AsyncIterable<Buffer> }> {
    using deadline = startDeadline(this.#clock, deadlineMs, signal)
    try {
      // The deadline is for the head alone: what it aborts is a signal of its own.
      const ending = new AbortController()
      const end = (): void => ending.abort()
      signal.addEventListener('abort', end, { once: true })
      deadline.signal.addEventListener('abort', end, { once: true })
      const response = await this.#pool.request({ method: 'GET', path, headers: { ...headers, 'accept-encoding': 'identity' }, signal: ending.signal })
      deadline.signal.removeEventListener('abort', end)
      return { status: response.statusCode, body: response.body as AsyncIterable<Buffer> }
    } catch (error) {
      throw new NoAnswerError(this.#explain(deadline.passed ? `no answer in ${deadlineMs} ms` : reasonOf(error)), { cause: error })
    }
  }

  /** Files that cannot be used may be why. */
  #explain(reason: string): string {
    return this.#files.problem === '' ? reason : `${reason}; ${this.#files.problem}`
  }

  /** Ends at once, with whatever runs. */
  async close(): Promise<void> {
    await this.#pool.destroy()
  }
}

/** Opens connections with the files as they are then; one that is open keeps what it was opened with. */
function connectWith({ socketPath, tls: { serverName, skipVerify } = {} }: RegistryAddress, files: TlsFiles): buildConnector.connector {
  let known = files.current()
  const build = (): buildConnector.connector => buildConnector({
    timeout: CONNECT_MS,
    ...known,
    ...(socketPath === undefined ? {} : { socketPath }),
    ...(serverName === undefined ? {} : { servername: serverName }),
    ...(skipVerify === true ? { rejectUnauthorized: false } : {}),
  })
  let connector = build()
  return (options, callback) => {
    const texts = files.current()
    if (texts !== known) {
      known = texts
      connector = build()
    }
    connector(options, callback)
  }
}

interface Deadline extends Disposable {
  readonly signal: AbortSignal
  readonly passed: boolean
}

function startDeadline(clock: Clock, ms: number, parent: AbortSignal): Deadline {
  const done = new AbortController()
  const late = new AbortController()
  void clock.wait(ms, AbortSignal.any([done.signal, parent])).then(() => {
    if (!done.signal.aborted && !parent.aborted) late.abort()
  })
  return {
    signal: AbortSignal.any([late.signal, parent]),
    get passed() { return late.signal.aborted },
    [Symbol.dispose]: () => done.abort(),
  }
}

/** What a person can act on: codes of the system go before the words of libraries. */
function reasonOf(error: unknown): string {
  if (error instanceof NoAnswerError) return error.message
  if (!(error instanceof Error)) return String(error)
  const { code } = error as NodeJS.ErrnoException
  const words = code === undefined ? undefined : reasons[code]
  return words ?? (error.message || code || 'the connection failed')
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ENOENT: 'there is no such socket',
  EACCES: 'no permission to use the socket',
  UND_ERR_SOCKET: 'the connection was closed',
  UND_ERR_CONNECT_TIMEOUT: `no connection in ${CONNECT_MS} ms`,
  UND_ERR_ABORTED: 'given up',
}
