// The network addresses of nodes, each read once: needed where a registration names no address, or a loopback one.
import type { NomadClient } from '#src/registry/nomad-client.ts'
import type { NodeFacts } from './meaning.ts'
import { isRecord } from './registration.ts'

const MAX_NODES = 10_000
/** A node that could not be read is asked for again after so many reads of others, or this long. */
const RETRY_MS = 60_000

export class NodeReader {
  readonly #client: NomadClient
  readonly #signal: AbortSignal
  readonly #now: () => number
  readonly #known = new Map<string, { readonly facts: NodeFacts; readonly until: number }>()
  readonly #asking = new Map<string, Promise<void>>()

  constructor(client: NomadClient, signal: AbortSignal, now: () => number) {
    this.#client = client
    this.#signal = signal
    this.#now = now
  }

  /** Whether a node is being read that was not read before. */
  get isReading(): boolean {
    return [...this.#asking.keys()].some((id) => !this.#known.has(id))
  }

  /** Undefined: not read yet; then `onKnown` is called when it is. */
  get(id: string, onKnown: () => void): NodeFacts | undefined {
    const known = this.#known.get(id)
    if (known !== undefined && this.#now() < known.until) return known.facts
    const asking = this.#asking.get(id) ?? this.#read(id).finally(() => this.#asking.delete(id))
    this.#asking.set(id, asking)
    void asking.then(onKnown)
    return known?.facts
  }

  async #read(id: string): Promise<void> {
    const result = await this.#client.get({ call: 'node', path: `/v1/node/${encodeURIComponent(id)}`, stale: true }, this.#signal)
    if (this.#known.size >= MAX_NODES) this.#known.delete(this.#known.keys().next().value ?? '')
    const facts = result.ok ? factsOf(result.body) : undefined
    const before = this.#known.get(id)?.facts
    this.#known.set(id, facts === undefined ? { facts: before ?? { address: '', http: '' }, until: this.#now() + RETRY_MS } : { facts, until: Number.POSITIVE_INFINITY })
  }
}

function factsOf(body: unknown): NodeFacts | undefined {
  if (!isRecord(body)) return undefined
  const { HTTPAddr: http, Attributes: attributes } = body
  const address = isRecord(attributes) ? attributes['unique.network.ip-address'] : undefined
  const api = typeof http === 'string' ? http : ''
  return { address: typeof address === 'string' ? address : api.replace(/:\d+$/, '').replace(/^\[|\]$/g, ''), http: api }
}
