// How many of us there are, and which node this is: what a fleet shares out depends on it.
import type { Clock } from '#src/registry/clock.ts'
import type { NomadClient } from '#src/registry/nomad-client.ts'
import { readStatus } from './allocation-status.ts'
import { isRecord } from './registration.ts'

/** The allocation that this program runs in, as its environment names it. */
export interface OwnAllocation {
  readonly id: string
  readonly job: string
  readonly namespace: string
}

export interface FleetOptions {
  readonly client: NomadClient
  readonly clock: Clock
  readonly random: () => number
  /** Undefined: it runs in no Nomad task; then it is alone, and its node is told by addresses. */
  readonly own: OwnAllocation | undefined
  /** An address of this machine. */
  isHere(host: string): boolean
}

/** Between counts, with jitter. */
const COUNT_MS = 15 * 60_000
/** After a failure, and for the first hour's worth of a fleet that is being rolled out. */
const SOON_MS = 60_000
const SOON_COUNTS = 10

export class Fleet {
  readonly #options: FleetOptions
  #size = 1
  #node: string | undefined

  constructor(options: FleetOptions) {
    this.#options = options
  }

  /** Ingresses of this job, this one included. */
  get size(): number {
    return this.#size
  }

  /** Whether an instance runs on this node. */
  isHere(node: string, host: string): boolean {
    return this.#node === undefined ? this.#options.isHere(host) : node === this.#node
  }

  async follow(signal: AbortSignal): Promise<void> {
    const { clock, random, own } = this.#options
    if (own === undefined) return
    for (let counts = 0; !signal.aborted; counts++) {
      const ok = await this.#count(own, signal)
      await clock.wait((ok && counts >= SOON_COUNTS ? COUNT_MS : SOON_MS) * (0.5 + random()), signal)
    }
  }

  async #count({ id, job, namespace }: OwnAllocation, signal: AbortSignal): Promise<boolean> {
    const { client } = this.#options
    if (this.#node === undefined) {
      const allocation = await client.get({ call: 'allocation', path: `/v1/allocation/${encodeURIComponent(id)}`, query: { namespace }, stale: true }, signal)
      const node = allocation.ok ? readStatus(allocation.body)?.node : undefined
      if (node !== undefined && node !== '') this.#node = node
    }
    const summary = await client.get({ call: 'job', path: `/v1/job/${encodeURIComponent(job)}/summary`, query: { namespace }, stale: true }, signal)
    const count = summary.ok ? readSummary(summary.body) : undefined
    if (count !== undefined) this.#size = Math.max(1, count)
    return count !== undefined && this.#node !== undefined
  }
}

/** Allocations of a job that run or are about to, of all its groups; undefined: that is no summary. */
export function readSummary(body: unknown): number | undefined {
  if (!isRecord(body) || !isRecord(body['Summary'])) return undefined
  const count = (group: unknown, name: string): number => (isRecord(group) && typeof group[name] === 'number' ? group[name] : 0)
  return Object.values(body['Summary']).reduce<number>((sum, group) => sum + count(group, 'Running') + count(group, 'Starting'), 0)
}
