// Follows Nomad's event stream: hints as they come, and word when some may have been missed.
import { backoffMs } from '#src/registry/backoff.ts'
import { Bell } from '#src/registry/bell.ts'
import type { Clock } from '#src/registry/clock.ts'
import type { NomadClient } from '#src/registry/nomad-client.ts'
import type { AllocationStatus } from './allocation-status.ts'
import { LineSplitter, readEventLine } from './event-line.ts'
import type { ServiceHint } from './event-line.ts'
import { FIRST_LINE_MS, hasGap, REPLAY_MS, SILENCE_MS } from './stream-rule.ts'

export interface StreamWatchOptions {
  readonly client: NomadClient
  readonly clock: Clock
  readonly random: () => number
  /** A namespace, or `*`. */
  readonly namespace: string
  /** The index of the list that is believed: events above it are news. */
  readonly listIndex: () => number
  onHint(hint: ServiceHint): void
  onStatus(status: AllocationStatus): void
  /** It has begun (again); `gap`: events may have been missed. */
  onLive(gap: boolean): void
  /** It is silent or has ended. */
  onEnd(): void
}

/** `refused`: the token may not follow events, or the server is ill; the program does without. */
export type StreamState = 'connecting' | 'live' | 'ended' | 'refused'

const AGAIN = { firstMs: 500, mostMs: 15_000 } as const
/** A right that is missing does not come back in a minute. */
const REFUSED = { firstMs: 60_000, mostMs: 300_000 } as const

export class StreamWatch {
  readonly namespace: string
  readonly #options: StreamWatchOptions
  #state: StreamState = 'connecting'
  #reason = ''
  /** Of the last event; what a new stream should begin with. */
  #index: number | undefined
  /** Where the first stream began: until there was an event, the next ones begin there too. */
  #start: number | undefined
  #failures = 0
  readonly #nudged = new Bell()

  constructor(options: StreamWatchOptions) {
    this.namespace = options.namespace
    this.#options = options
  }

  get state(): StreamState {
    return this.#state
  }

  /** Why it is not live, or ''. */
  get reason(): string {
    return this.#state === 'live' ? '' : this.#reason
  }

  /** Tries at once: the registry answers again. */
  nudge(): void {
    if (this.#state !== 'live') this.#nudged.ring()
  }

  async follow(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options
    while (!signal.aborted) {
      const lines = await this.#once(signal)
      if (signal.aborted) return
      this.#failures = lines > 0 ? 1 : this.#failures + 1
      this.#options.onEnd()
      await this.#nudged.wait(clock, backoffMs(this.#failures, this.#state === 'refused' ? REFUSED : AGAIN, random), signal)
    }
  }

  /** One stream to its end; returns how many lines it had. */
  async #once(signal: AbortSignal): Promise<number> {
    const { client, clock, namespace, listIndex } = this.#options
    const from = this.#index
    const again = this.#start !== undefined
    this.#start ??= listIndex() + 1
    const ended = new AbortController()
    const stop = (): void => ended.abort()
    signal.addEventListener('abort', stop, { once: true })
    let lines = 0
    let replay: { settle(first: number | undefined): void } | undefined
    try {
      const query = { topic: ['Service:*', 'Allocation:*'], namespace, index: from ?? this.#start }
      const stream = await client.open({ call: 'stream', path: '/v1/event/stream', query }, ended.signal)
      if (!stream.ok) {
        this.#end(stream.kind === 'forbidden' ? 'refused' : 'ended', stream.reason)
        return 0
      }
      const watchdog = startWatchdog(clock, ended)
      const splitter = new LineSplitter()
      for await (const bytes of stream.body) {
        for (const text of splitter.push(bytes)) {
          watchdog.feed()
          if (lines++ === 0) replay = this.#begin(from, again, ended.signal)
          const line = readEventLine(text)
          if (line === undefined || line.index === 0) continue
          replay?.settle(line.index)
          this.#index = Math.max(this.#index ?? 0, line.index)
          for (const status of line.statuses) this.#options.onStatus(status)
          for (const hint of line.hints) this.#options.onHint(hint)
        }
      }
      this.#end(lines === 0 ? 'refused' : 'ended', lines === 0 ? SILENT : 'the event stream was closed')
    } catch (error) {
      // The watchdog's doing, or the network's.
      const silent = ended.signal.aborted && !signal.aborted
      this.#end(silent && lines === 0 ? 'refused' : 'ended', silent ? (lines === 0 ? SILENT : 'the event stream went silent') : String(error instanceof Error ? error.message : error))
    } finally {
      signal.removeEventListener('abort', stop)
      ended.abort()
    }
    return lines
  }

  /** The first line is here: it is granted. Whether it has a gap shows its first event, or that none comes. */
  #begin(from: number | undefined, again: boolean, ended: AbortSignal): { settle(first: number | undefined): void } | undefined {
    this.#state = 'live'
    if (from === undefined) {
      this.#options.onLive(again)
      return undefined
    }
    let settled = false
    const settle = (first: number | undefined): void => {
      if (settled || ended.aborted) return
      settled = true
      this.#options.onLive(hasGap(from, first))
    }
    void this.#options.clock.wait(REPLAY_MS, ended).then(() => { settle(undefined) })
    return { settle }
  }

  #end(state: StreamState, reason: string): void {
    this.#state = state
    this.#reason = reason
  }
}

const SILENT = 'the event stream began and stayed silent: the token needs read-job in every namespace that it asks for, or the server is ill'

/** Aborts a stream that has said nothing for too long. */
function startWatchdog(clock: Clock, ended: AbortController): { feed(): void } {
  let until = clock.now() + FIRST_LINE_MS
  const watch = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      const left = until - clock.now()
      if (left <= 0) return ended.abort()
      await clock.wait(left, ended.signal)
    }
  }
  void watch()
  return { feed() { until = clock.now() + SILENCE_MS } }
}
