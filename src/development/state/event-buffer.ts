// The last hundred commits as events, and who follows them.
import { allocationJson, deploymentJson } from './answers.ts'
import { nodeJson } from './node-answers.ts'
import type { Job } from '#src/development/job/specification.ts'
import type { Allocation, Deployment, Node, Registration } from './rows.ts'

export type Topic = 'Service' | 'Allocation' | 'Deployment' | 'Job' | 'Node'

interface Event {
  readonly topic: Topic
  readonly key: string
  readonly namespace: string
  readonly filterKeys: readonly string[] | null
  /** Written when somebody first reads it: most never are. */
  readonly text: () => string
}

interface Batch {
  readonly index: number
  readonly events: readonly Event[]
}

/** Which events a follower gets: for each topic the keys, `*` for all. */
export interface Wanted {
  readonly topics: ReadonlyMap<string, readonly string[]>
  /** Undefined: all namespaces. */
  readonly namespaces: ReadonlySet<string> | undefined
}

export interface Follower {
  /** A line for each batch that holds something wanted. */
  line(text: string): void
  /** The server ends the stream. */
  end(): void
}

/** Nomad's `event_buffer_size`: commits, not events. */
const SIZE = 100

export class EventBuffer {
  #batches: Batch[] = []
  readonly #followers = new Map<Follower, Wanted>()

  publish(index: number, type: string, changes: readonly { readonly topic: Topic; readonly row: unknown; readonly removed: boolean }[]): void {
    if (changes.length === 0) return
    const batch = { index, events: changes.map(({ topic, row, removed }) => describe(index, type, topic, row, removed)) }
    this.#batches.push(batch)
    if (this.#batches.length > SIZE) this.#batches.shift()
    for (const [follower, wanted] of this.#followers) send(batch, wanted, follower)
  }

  /** Sends what is kept from `index` on (inclusive; 0: all of it), then everything new, until the answer is called. A gap is not told. */
  follow(wanted: Wanted, index: number, follower: Follower): () => void {
    for (const batch of this.#batches) if (batch.index >= index) send(batch, wanted, follower)
    this.#followers.set(follower, wanted)
    return () => { this.#followers.delete(follower) }
  }

  /** Forgets everything and ends all streams, as a server does that restores a snapshot. */
  reset(): void {
    this.#batches = []
    const followers = [...this.#followers.keys()]
    this.#followers.clear()
    for (const follower of followers) follower.end()
  }
}

function send({ index, events }: Batch, wanted: Wanted, follower: Follower): void {
  const matching = events.filter((event) => isWanted(event, wanted))
  if (matching.length > 0) follower.line(`{"Index":${index},"Events":[${matching.map(({ text }) => text()).join(',')}]}`)
}

function isWanted({ topic, key, namespace, filterKeys }: Event, { topics, namespaces }: Wanted): boolean {
  if (namespace !== '' && namespaces !== undefined && !namespaces.has(namespace)) return false
  const keys = [...(topics.get(topic) ?? []), ...(topics.get('*') ?? [])]
  return keys.some((each) => each === '*' || each === key || filterKeys?.includes(each) === true)
}

function describe(index: number, type: string, topic: Topic, row: unknown, removed: boolean): Event {
  const { key, namespace, filterKeys, payload } = subjectOf(topic, row, removed)
  let written: string | undefined
  const text = (): string => written ??= JSON.stringify({ Topic: topic, Type: type, Key: key, Namespace: namespace, FilterKeys: filterKeys, Index: index, Payload: payload() })
  return { topic, key, namespace, filterKeys, text }
}

interface Subject {
  readonly key: string
  readonly namespace: string
  readonly filterKeys: readonly string[] | null
  readonly payload: () => object
}

function subjectOf(topic: Topic, row: unknown, removed: boolean): Subject {
  switch (topic) {
    case 'Service': {
      const service = row as Registration
      return { key: service.ID, namespace: service.Namespace, filterKeys: [service.JobID, service.ServiceName], payload: () => ({ Service: service }) }
    }
    case 'Allocation': {
      const allocation = row as Allocation
      return { key: allocation.id, namespace: allocation.namespace, filterKeys: [allocation.job.ID, allocation.deploymentId], payload: () => ({ Allocation: allocationJson(allocation, { job: false }) }) }
    }
    case 'Deployment': {
      const deployment = row as Deployment
      return { key: deployment.id, namespace: deployment.namespace, filterKeys: [deployment.job.ID], payload: () => ({ Deployment: deploymentJson(deployment) }) }
    }
    case 'Job': {
      const job = row as Job
      return { key: job.ID, namespace: job.Namespace, filterKeys: null, payload: () => (removed ? { Deleted: true, Job: job } : { Job: job }) }
    }
    case 'Node': {
      const node = row as Node
      return { key: node.id, namespace: '', filterKeys: null, payload: () => ({ Node: nodeJson(node) }) }
    }
  }
}
