// Asking a Nomad, real or not, as tests do: one answer, a blocking query, an event stream.
import { until, within } from './until.ts'

export interface NomadAnswer<T = unknown> {
  readonly status: number
  /** X-Nomad-Index; undefined where the answer has none. */
  readonly index: number | undefined
  readonly headers: Headers
  readonly body: T
}

export interface NomadEvent {
  readonly Topic: string
  readonly Type: string
  readonly Key: string
  readonly Namespace: string
  readonly FilterKeys: readonly string[] | null
  readonly Index: number
  readonly Payload: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

export interface EventStream extends AsyncDisposable {
  readonly status: number
  readonly headers: Headers
  /** Everything so far. */
  readonly events: readonly NomadEvent[]
  readonly heartbeats: number
  readonly ended: boolean
  /** The first event, from the beginning or from `since` on, for which `matches` says yes. */
  event(matches: (event: NomadEvent) => boolean, what: string, since?: number): Promise<NomadEvent>
}

const DEADLINE_MS = 20_000

export class NomadClient {
  readonly address: string
  readonly token: string | undefined

  /** `address`: host:port. */
  constructor(address: string, token?: string) {
    this.address = address
    this.token = token
  }

  async ask<T = unknown>(path: string, { method = 'GET', body, token = this.token }: { readonly method?: string; readonly body?: unknown; readonly token?: string | undefined } = {}): Promise<NomadAnswer<T>> {
    const response = await fetch(`http://${this.address}${path}`, {
      method,
      headers: token === undefined ? {} : { 'X-Nomad-Token': token },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(DEADLINE_MS),
    })
    const text = await response.text()
    const index = response.headers.get('x-nomad-index')
    const parsed = response.headers.get('content-type')?.includes('json') === true ? JSON.parse(text) as T : text as T
    return { status: response.status, index: index === null ? undefined : Number(index), headers: response.headers, body: parsed }
  }

  /** Asks again until `holds` says yes of the answer. */
  async askUntil<T>(path: string, holds: (answer: NomadAnswer<T>) => boolean, what: string): Promise<NomadAnswer<T>> {
    return until(async () => {
      const answer = await this.ask<T>(path)
      return holds(answer) ? answer : undefined
    }, { deadline: DEADLINE_MS, what: `${what} at ${path}` })
  }

  /** Follows events: `topic=Service&index=7`. */
  async follow(query: string): Promise<EventStream> {
    const ending = new AbortController()
    const response = await fetch(`http://${this.address}/v1/event/stream?${query}`, { signal: ending.signal, headers: this.token === undefined ? {} : { 'X-Nomad-Token': this.token } })
    const events: NomadEvent[] = []
    let heartbeats = 0
    let ended = false
    const reading = (async () => {
      let rest = ''
      for await (const chunk of response.body ?? []) {
        const lines = `${rest}${Buffer.from(chunk).toString()}`.split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) {
          if (line === '{}') heartbeats++
          else if (line !== '') events.push(...(JSON.parse(line) as { readonly Events: readonly NomadEvent[] }).Events)
        }
      }
    })().catch(() => undefined).finally(() => { ended = true })
    return {
      status: response.status,
      headers: response.headers,
      events,
      get heartbeats() { return heartbeats },
      get ended() { return ended },
      event: (matches, what, since = 0) => until(() => events.slice(since).find(matches), { deadline: DEADLINE_MS, what: `an event: ${what}` }),
      async [Symbol.asyncDispose]() {
        ending.abort()
        await within(reading, DEADLINE_MS, () => 'the event stream ending')
      },
    }
  }
}
