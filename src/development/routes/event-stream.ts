// GET /v1/event/stream: lines of JSON, a heartbeat at once and every half minute; refused is 200 and silence.
import type { ServerResponse } from 'node:http'
import type { Cancel } from '#src/development/clock.ts'
import type { Cluster } from '#src/development/cluster.ts'
import { isCaller } from '#src/development/acl.ts'
import type { BadToken, Caller } from '#src/development/acl.ts'

const HEARTBEAT_MS = 30_000
/** A refused stream is closed at some time within this (recorded: after 0.15 s to more than 30 s). */
const SILENCE_MS = 60_000
/** What a reader may leave unread before the server gives it up. */
const MAX_BEHIND = 16 * 1024 * 1024

export interface StreamRequest {
  readonly who: Caller | BadToken
  readonly query: URLSearchParams
  readonly namespace: string
  readonly cluster: Cluster
  /** Aborted when the registry ends. */
  readonly signal: AbortSignal
}

/** Streams until either side ends it. Whoever may not read gets the head of an answer, and then nothing. */
export function streamEvents({ who, query, namespace, cluster, signal }: StreamRequest, response: ServerResponse): void {
  const { store: { events, clock }, random } = cluster
  const ends: Cancel[] = []
  const end = (): void => {
    for (const each of ends.splice(0)) each()
    response.end()
  }
  const heartbeat = (): void => {
    response.write('{}\n')
    ends.push(clock.after(HEARTBEAT_MS, heartbeat))
  }
  const fallSilent = (): void => {
    for (const each of ends.splice(0)) each()
    ends.push(clock.after(SILENCE_MS * random(), end))
  }
  response.once('close', end)
  signal.addEventListener('abort', end, { once: true })
  response.flushHeaders()

  const topics = topicsOf(query)
  // The namespaces are those of now: one that is created later is not seen.
  const names = namespace === '*' ? cluster.store.all('namespaces').map(({ name }) => name) : [namespace]
  if (!isCaller(who) || !mayFollow(who, topics, names)) {
    fallSilent()
    return
  }
  heartbeat()
  ends.push(events.follow({ topics, namespaces: new Set(names) }, Number(query.get('index') ?? 0), {
    line(text) {
      // Noticed only when there is something to say; heartbeats go on until then.
      if (!who.lives() || !mayFollow(who, topics, names)) fallSilent()
      else if (response.writableLength > MAX_BEHIND) response.destroy()
      else response.write(`${text}\n`)
    },
    end,
  }))
}

/** `topic=Service:web`: keys by topic; without any, everything. */
function topicsOf(query: URLSearchParams): ReadonlyMap<string, readonly string[]> {
  const topics = new Map<string, string[]>()
  for (const asked of query.getAll('topic')) {
    const at = asked.indexOf(':')
    const [topic, key] = at < 0 ? [asked, '*'] : [asked.slice(0, at), asked.slice(at + 1)]
    topics.set(topic, [...(topics.get(topic) ?? []), key])
  }
  return topics.size === 0 ? new Map([['*', ['*']]]) : topics
}

function mayFollow(caller: Caller, topics: ReadonlyMap<string, readonly string[]>, namespaces: readonly string[]): boolean {
  if (caller.kind === 'management') return true
  return [...topics.keys()].every((topic) => {
    if (topic === 'Node') return caller.readsNodes
    if (topic === '*') return false
    return namespaces.every((name) => caller.may(name, 'read-job'))
  })
}
