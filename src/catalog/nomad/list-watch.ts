// Follows the list of services of one namespace, or of all: a blocking query, and plain reads in between; nothing is believed that list-rule.ts doubts.
import { backoffMs } from '#src/registry/backoff.ts'
import { Bell } from '#src/registry/bell.ts'
import type { Clock } from '#src/registry/clock.ts'
import type { FailureKind, NomadFailure, NomadResult } from '#src/registry/nomad-answer.ts'
import type { NomadClient } from '#src/registry/nomad-client.ts'
import { judgeList } from './list-rule.ts'
import { isRecord, readServices } from './registration.ts'
import type { Listed } from './registration.ts'

/** A list that may be used. */
export interface BelievedList {
  readonly listed: readonly Listed[]
  readonly index: number
  /** The index went down on the word of the leader: a snapshot was restored. */
  readonly restored: boolean
  /** It came from a blocking query that was woken. */
  readonly woken: boolean
  /** The read before it failed, or it is the first. */
  readonly recovered: boolean
}

export interface ListWatchOptions {
  readonly client: NomadClient
  readonly clock: Clock
  readonly random: () => number
  /** A namespace, or `*`. */
  readonly namespace: string
  /** How many lists are followed, since their calls add up. */
  readonly lists: number
  /** Whether events tell of changes, so that the list may be slow. */
  readonly live: () => boolean
  /** Namespaces of which services are known and none is in this list. */
  readonly emptied: (listed: readonly Listed[]) => readonly string[]
  onList(list: BelievedList): void
  /** The state or what is hidden has changed. */
  onState(): void
}

export type ListState =
  | { readonly kind: 'waiting' | 'ok' }
  | { readonly kind: FailureKind; readonly reason: string }

const WAIT_MS = 30_000
/** Of all blocking queries together: one in four seconds. */
const EACH_WAIT_MS = 4000
const MOST_WAIT_MS = 300_000
/** Between plain reads. */
const PLAIN_MS = 15_000
const PLAIN_EACH_MS = 4000
const FAILED = { firstMs: 500, mostMs: 15_000 } as const
/** Too many connections or calls: patience from the start. */
const BUSY = { firstMs: 4000, mostMs: 60_000 } as const
/** After a woken list: the next one costs the servers what the whole list costs. */
const REST_MS = 200
const REST_EACH_MS = 2

export class ListWatch {
  readonly namespace: string
  readonly #options: ListWatchOptions
  /** Namespaces that the token could read once and no more. */
  readonly #hidden = new Set<string>()
  #state: ListState = { kind: 'waiting' }
  #index = 0
  #names = 0
  #failures = 0
  #errors = 0
  #confirmedAt: number | undefined
  #blocking = new AbortController()
  readonly #nudged = new Bell()

  constructor(options: ListWatchOptions) {
    this.namespace = options.namespace
    this.#options = options
  }

  get state(): ListState {
    return this.#state
  }

  get hidden(): ReadonlySet<string> {
    return this.#hidden
  }

  get errors(): number {
    return this.#errors
  }

  /** Of the last list that was believed. */
  get index(): number {
    return this.#index
  }

  /** Services that it names. */
  get names(): number {
    return this.#names
  }

  /** Wall clock of the last answer that could be believed. */
  get confirmedAt(): number | undefined {
    return this.#confirmedAt
  }

  covers(namespace: string): boolean {
    return this.namespace === '*' ? !this.#hidden.has(namespace) : this.namespace === namespace
  }

  /** Reads the list plainly now: something says that it may have changed unnoticed. */
  nudge(): void {
    this.#nudged.ring()
  }

  async follow(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#block(signal), this.#readPlainly(signal)])
  }

  /** The first read, and then one blocking query after the other. */
  async #block(signal: AbortSignal): Promise<void> {
    const { clock, lists, live, random } = this.#options
    const waitMs = Math.min(MOST_WAIT_MS, Math.max(WAIT_MS, lists * EACH_WAIT_MS))
    while (!signal.aborted) {
      const begun = clock.now()
      const asked = this.#index
      this.#blocking = new AbortController()
      const ended = AbortSignal.any([signal, this.#blocking.signal])
      // A failure is over as soon as anything is answered: what would only answer a change must not be waited for.
      const blocks = asked !== 0 && this.#state.kind === 'ok'
      const ok = await this.#read(blocks ? { index: asked, waitMs } : undefined, ended, signal)
      if (signal.aborted) return
      if (!ok) await this.#recover(signal)
      else if (blocks && clock.now() - begun < waitMs) {
        // What wakes it comes in crowds. Events tell what changed meanwhile.
        await clock.wait((REST_MS + this.#names * REST_EACH_MS) * (live() ? 5 : 1) * (0.5 + random()), signal)
      }
    }
  }

  /** Until it is tried again. */
  async #recover(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options
    const range = this.#state.kind === 'busy' ? BUSY : FAILED
    await clock.wait(backoffMs(Math.max(1, this.#failures), range, random), signal)
  }

  /** Finds what a blocking query is blind for: a restore, a server that hangs. */
  async #readPlainly(signal: AbortSignal): Promise<void> {
    const { clock, lists, random } = this.#options
    while (!signal.aborted) {
      await this.#nudged.wait(clock, Math.max(PLAIN_MS, lists * PLAIN_EACH_MS) * (0.5 + random()), signal)
      // While it fails, the other loop tries already.
      if (signal.aborted || this.#state.kind !== 'ok') continue
      const before = this.#index
      await this.#read(undefined, signal, signal)
      // A query that waits above the index would wait for ever.
      if (this.#index < before) this.#blocking.abort()
    }
  }

  /** One list, asked for again where it must be. False: it failed. `ended` ends this read, `signal` all. */
  async #read(block: { readonly index: number; readonly waitMs: number } | undefined, ended: AbortSignal, signal: AbortSignal): Promise<boolean> {
    const { client } = this.#options
    const call = { call: 'services', path: '/v1/services', query: { namespace: this.namespace } } as const
    let result = await client.get({ ...call, stale: true, ...(block === undefined ? {} : { block }) }, ended)
    for (let plain = false; ; plain = true) {
      if (signal.aborted) return true
      // It was this program that ended it.
      if (!result.ok && ended.aborted) return true
      const list = result.ok ? readServices(result.body) : undefined
      if (!result.ok || list === undefined) return this.#fail(result.ok ? garbage(result) : result)
      const verdict = judgeList({ index: this.#index, names: this.#names }, { ...result, names: list.length }, plain)
      if (verdict === 'hidden') return this.#fail({ ok: false, kind: 'forbidden', reason: HIDDEN })
      if (verdict === 'apply') return await this.#believe(list, result.index, plain, block !== undefined && result.index > block.index, signal)
      if (plain) return this.#fail({ ok: false, kind: 'unreachable', reason: '/v1/services: no server knows a leader' })
      result = await client.get(call, signal)
    }
  }

  async #believe(listed: readonly Listed[], index: number, plain: boolean, woken: boolean, signal: AbortSignal): Promise<boolean> {
    if (this.namespace === '*') {
      const failure = await this.#lookForHidden(listed, signal)
      if (failure !== undefined) return this.#fail(failure)
    }
    const restored = plain && index < this.#index
    const recovered = this.#state.kind !== 'ok'
    this.#index = index
    this.#names = listed.length
    this.#failures = 0
    this.#state = { kind: 'ok' }
    this.#confirmedAt = this.#options.clock.wall()
    this.#options.onList({ listed, index, restored, woken, recovered })
    return true
  }

  /** A token that may no longer read a namespace gets lists without it: a namespace that is not shown was not emptied. */
  async #lookForHidden(listed: readonly Listed[], signal: AbortSignal): Promise<NomadFailure | undefined> {
    for (const { namespace } of listed) this.#hidden.delete(namespace)
    const gone = this.#options.emptied(listed)
    if (gone.length === 0 && this.#hidden.size === 0 && listed.length > 0) return undefined
    if (gone.length === 0 && this.#hidden.size === 0 && this.#state.kind === 'ok') return undefined
    const result = await this.#options.client.get({ call: 'namespaces', path: '/v1/namespaces' }, signal)
    if (!result.ok) return result
    const visible = new Set(Array.isArray(result.body) ? result.body.map((each) => (isRecord(each) ? each['Name'] : undefined)) : [])
    if (visible.size === 0) return { ok: false, kind: 'forbidden', reason: HIDDEN }
    for (const namespace of gone) if (!visible.has(namespace)) this.#hidden.add(namespace)
    for (const namespace of this.#hidden) if (visible.has(namespace)) this.#hidden.delete(namespace)
    return undefined
  }

  #fail({ kind, reason }: NomadFailure): false {
    this.#failures++
    this.#errors++
    this.#state = { kind, reason }
    this.#options.onState()
    return false
  }
}

const HIDDEN = '/v1/services?namespace=*: the token may read no namespace: it needs read-job in each, or list catalogs.nomad.namespaces by name'

const garbage = ({ ok }: NomadResult): NomadFailure => ({ ok: false, kind: 'garbage', reason: `/v1/services: expected a list of services${ok ? '' : ', found an error'}` })
