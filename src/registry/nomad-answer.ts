// What an answer of Nomad's API means: its body with index and leader, or why there is none. Pure.
import type { HttpAnswer } from './http.ts'

/** `forbidden` is no outage; `busy` asks for patience; `missing` is an answer too. */
export type FailureKind = 'forbidden' | 'unreachable' | 'busy' | 'garbage' | 'missing'

export interface NomadFailure {
  readonly ok: false
  readonly kind: FailureKind
  /** For people: what was asked, and what came. */
  readonly reason: string
}

export interface NomadAnswer {
  readonly ok: true
  readonly body: unknown
  /** Of the table; 0: the server named none (nothing readable). Never taken from an error. */
  readonly index: number
  /** False: a server that is coming back or has lost its leader; its answer may be old, or empty. */
  readonly knownLeader: boolean
  /** Where the next page of a list begins; '' when this was the last. */
  readonly nextToken: string
}

export type NomadResult = NomadAnswer | NomadFailure

/**
 * Tokens that are malformed or expired get 500 on some paths (recorded: Task API socket, checks, agent), and so does an allocation that the
 * token may not read: those count as refused.
 */
const authenticationWords = /authenticating request|signed token|ACL token (?:not found|expired)|token expired|invalid workload identity|identity expired|permission denied|^Unknown allocation/i

/** `call` names what was asked, for reasons. */
export function readAnswer(call: string, { status, header, text }: HttpAnswer): NomadResult {
  const failed = (kind: FailureKind): NomadFailure => ({ ok: false, kind, reason: `${call}: ${status} ${shorten(text)}` })
  if (status === 401 || status === 403) return failed('forbidden')
  if (status === 404) return failed('missing')
  if (status === 429) return failed('busy')
  if (status >= 500) return failed(authenticationWords.test(text) ? 'forbidden' : 'unreachable')
  if (status !== 200) return failed('garbage')
  const index = Number(header('x-nomad-index') ?? 0)
  try {
    return {
      ok: true, body: JSON.parse(text),
      index: Number.isSafeInteger(index) && index > 0 ? index : 0,
      knownLeader: header('x-nomad-knownleader') !== 'false',
      nextToken: header('x-nomad-nexttoken') ?? '',
    }
  } catch {
    return { ok: false, kind: 'garbage', reason: `${call}: the answer is not JSON: ${shorten(text)}` }
  }
}

const MAX_SHOWN = 160

function shorten(text: string): string {
  const line = text.trim().replace(/\s+/g, ' ')
  return line.length > MAX_SHOWN ? `${line.slice(0, MAX_SHOWN)}…` : line
}
