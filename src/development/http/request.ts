// A request to the API as its routes see it.
import type { IncomingMessage } from 'node:http'
import { parseDuration } from '#src/development/duration.ts'
import type { Cluster } from '#src/development/cluster.ts'
import type { Caller } from '#src/development/acl.ts'
import { text } from './answer.ts'
import type { Answer } from './answer.ts'

export interface ApiRequest {
  readonly method: string
  /** Decoded segments of the path after /v1. */
  readonly path: readonly string[]
  readonly query: URLSearchParams
  readonly namespace: string
  readonly caller: Caller
  readonly cluster: Cluster
  /** Of a write. Throws SyntaxError. */
  body(): Promise<unknown>
  /** Aborted when the client goes away or the registry ends. */
  readonly signal: AbortSignal
}

export type Handler = (request: ApiRequest) => Answer | Promise<Answer>

/** Longest and usual wait of a blocking query. */
const MAX_WAIT_MS = 300_000
const MAX_BODY = 4 * 1024 * 1024

/** `index` and `wait` of a blocking query; an answer where they cannot be read. */
export function readWait(query: URLSearchParams): { readonly index: number; readonly waitMs: number } | Answer {
  const wait = query.get('wait') ?? ''
  const waitMs = wait === '' ? MAX_WAIT_MS : parseDuration(wait)
  if (waitMs === undefined) return text(400, 'Invalid wait time')
  const index = query.get('index') ?? ''
  if (!/^\d*$/.test(index)) return text(400, 'Invalid index')
  return { index: Number(index), waitMs: waitMs <= 0 ? MAX_WAIT_MS : Math.min(waitMs, MAX_WAIT_MS) }
}

/** Reads a JSON body, bounded. */
export async function readBody(message: IncomingMessage): Promise<unknown> {
  let body = ''
  for await (const chunk of message.setEncoding('utf8')) {
    body += String(chunk)
    if (body.length > MAX_BODY) throw new SyntaxError('the body is too large')
  }
  return body === '' ? {} : JSON.parse(body) as unknown
}

/** The secret of either header. */
export function secretOf({ headers }: IncomingMessage): string | undefined {
  const own = headers['x-nomad-token']
  if (typeof own === 'string' && own !== '') return own
  return /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1]
}
