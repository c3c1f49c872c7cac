// Nomad's API over few connections: token, region and deadlines for every call, each call counted.
import type { Clock } from './clock.ts'
import { NoAnswerError, RegistryHttp } from './http.ts'
import type { NomadAddress } from './nomad-address.ts'
import { readAnswer } from './nomad-answer.ts'
import type { FailureKind, NomadResult } from './nomad-answer.ts'
import { TokenSource } from './token.ts'

/** The calls that are made, as the metric names them. */
export const nomadCalls = ['services', 'service', 'allocation', 'allocations', 'checks', 'job', 'node', 'namespaces', 'stream'] as const
export type NomadCallName = (typeof nomadCalls)[number]

export interface NomadCall {
  readonly call: NomadCallName
  /** After the origin, with a leading slash; parts are encoded by the caller. */
  readonly path: string
  readonly query?: Readonly<Record<string, string | number | readonly string[]>>
  /** Any server may answer, not only the leader. */
  readonly stale?: boolean
  /** A blocking query: answered when the index is passed, or after the wait. */
  readonly block?: { readonly index: number; readonly waitMs: number }
}

export interface NomadClientOptions {
  readonly address: NomadAddress
  readonly clock: Clock
  /** Connections for short calls, and for those that wait (blocking queries and streams). */
  readonly connections?: { readonly short: number; readonly waiting: number }
  /** Of a short call, and of a stream's head. */
  readonly deadlineMs?: number
}

/** An event stream that has begun. */
export interface NomadStream {
  readonly ok: true
  readonly body: AsyncIterable<Buffer>
}

const DEADLINE_MS = 10_000
/** Nomad adds up to a sixteenth of the wait; the rest is for the network. */
const LATE_MS = 5000

export class NomadClient {
  readonly #options: NomadClientOptions
  readonly #short: RegistryHttp
  readonly #waiting: RegistryHttp
  readonly #token: TokenSource
  readonly #counts = new Map<NomadCallName, number>()

  /** Throws when a TLS file cannot be read. */
  constructor(options: NomadClientOptions) {
    const { address, clock, connections = { short: 8, waiting: 8 } } = options
    this.#options = options
    this.#short = new RegistryHttp({ address, clock, connections: connections.short })
    this.#waiting = new RegistryHttp({ address, clock, connections: connections.waiting })
    this.#token = new TokenSource(address.token, () => clock.now())
  }

  get name(): string {
    return this.#options.address.name
  }

  /** Calls made so far, by name. */
  get counts(): ReadonlyMap<NomadCallName, number> {
    return this.#counts
  }

  /** Never rejects. A refused token is read anew, and where it has changed the call is made again. */
  async get(call: NomadCall, signal: AbortSignal): Promise<NomadResult> {
    const token = await this.#token.current()
    const result = await this.#ask(call, token, signal)
    if (result.ok || result.kind !== 'forbidden' || !(await this.#token.renew(token))) return result
    return await this.#ask(call, await this.#token.current(), signal)
  }

  /** An event stream; a refused one begins all the same, and stays silent. Never rejects. */
  async open(call: NomadCall, signal: AbortSignal): Promise<NomadStream | { readonly ok: false; readonly kind: FailureKind; readonly reason: string }> {
    this.#count(call.call)
    const token = await this.#token.current()
    try {
      const { status, body } = await this.#waiting.open({ path: this.#pathOf(call), headers: headersOf(token), deadlineMs: this.#options.deadlineMs ?? DEADLINE_MS, signal })
      if (status === 200) return { ok: true, body }
      let text = ''
      for await (const part of body) if (text.length < 1000) text += part.toString('utf8')
      const result = readAnswer(call.path, { status, header: () => undefined, text })
      if (!result.ok && result.kind === 'forbidden') await this.#token.renew(token)
      return result.ok ? { ok: false, kind: 'garbage', reason: `${call.path}: ${status}` } : result
    } catch (error) {
      return { ok: false, kind: 'unreachable', reason: `${call.path}: ${error instanceof Error ? error.message : String(error)}` }
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#short.close(), this.#waiting.close()])
  }

  async #ask(call: NomadCall, token: string, signal: AbortSignal): Promise<NomadResult> {
    this.#count(call.call)
    const { block } = call
    const { deadlineMs = DEADLINE_MS } = this.#options
    const http = block === undefined ? this.#short : this.#waiting
    try {
      return readAnswer(call.path, await http.get({
        path: this.#pathOf(call), headers: headersOf(token), signal,
        deadlineMs: block === undefined ? deadlineMs : block.waitMs * (17 / 16) + LATE_MS,
      }))
    } catch (error) {
      if (!(error instanceof NoAnswerError)) throw error
      return { ok: false, kind: 'unreachable', reason: this.#token.problem === '' ? `${call.path}: ${error.message}` : `${call.path}: ${error.message}; ${this.#token.problem}` }
    }
  }

  #pathOf({ path, query = {}, stale = false, block }: NomadCall): string {
    const parameters = new URLSearchParams(Object.entries(query).flatMap(([name, value]) => (typeof value === 'object' ? value : [value]).map((each) => [name, String(each)])))
    if (this.#options.address.region !== undefined) parameters.set('region', this.#options.address.region)
    if (stale) parameters.set('stale', '')
    if (block !== undefined) {
      parameters.set('index', String(block.index))
      parameters.set('wait', `${Math.round(block.waitMs)}ms`)
    }
    const text = parameters.toString()
    return text === '' ? path : `${path}?${text}`
  }

  #count(call: NomadCallName): void {
    this.#counts.set(call, (this.#counts.get(call) ?? 0) + 1)
  }
}

const headersOf = (token: string): Record<string, string> => (token === '' ? {} : { 'x-nomad-token': token })
