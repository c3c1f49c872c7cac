// Who asks, and what they may: tokens, policies and workload identities, with the answers that were recorded for each kind of wrong token.
import type { Clock } from './clock.ts'
import { isId } from './identifiers.ts'

/** As a policy's HCL says it: capabilities by namespace pattern (`*` matches anything); an exact name hides the patterns. */
export interface Policy {
  readonly namespaces?: Readonly<Record<string, readonly string[]>>
  readonly node?: 'read' | 'write'
  readonly agent?: 'read' | 'write'
}

export type TokenKind = 'management' | 'client' | 'workload'

export interface Token {
  readonly secret: string
  readonly kind: TokenKind
  /** Changed while it is in use: a policy that is written or deleted acts at once. */
  policies: readonly Policy[]
  /** Wall clock in milliseconds; undefined: never. */
  readonly expiresAt?: number
}

/** A token that is none. Nomad's endpoints differ in what they answer to which. */
export interface BadToken {
  readonly kind: 'unknown' | 'malformed'
  /** The library's words, which some endpoints pass on. */
  readonly reason: string
}

export interface Caller {
  readonly kind: TokenKind | 'anonymous'
  readonly token: Token | undefined
  may(namespace: string, capability: string): boolean
  readonly readsNodes: boolean
  readonly readsAgent: boolean
  /** Whether what the caller began earlier may go on: the token is there, and has not expired. */
  lives(): boolean
}

const NOT_A_TOKEN = 'failed to parse signed token: go-jose/go-jose: compact JWS format must have three parts'
const NOT_SIGNED = 'invalid signature: go-jose/go-jose: error in cryptographic primitive'
/** An identity is accepted for so long after it has expired. */
const LEEWAY_MS = 60_000

export class Acl {
  readonly #clock: Clock
  readonly #tokens = new Map<string, Token>()
  /** Off: everybody may do everything, whatever token they send. */
  enabled: boolean

  constructor(clock: Clock, enabled: boolean) {
    this.#clock = clock
    this.enabled = enabled
  }

  add(token: Token): void {
    this.#tokens.set(token.secret, token)
  }

  remove(secret: string): void {
    this.#tokens.delete(secret)
  }

  /** Who sends no token, or asks where nobody is asked for one. */
  get anonymous(): Caller {
    return callerOf(this.enabled ? 'anonymous' : 'management', undefined, () => true)
  }

  /** The caller of a secret; without one the anonymous caller. */
  authenticate(secret: string | undefined): Caller | BadToken {
    if (!this.enabled || secret === undefined || secret === '') return this.anonymous
    const token = this.#tokens.get(secret)
    if (token !== undefined && this.#isValid(token)) return callerOf(token.kind, token, () => this.#tokens.get(secret) === token && this.#isValid(token))
    if (token !== undefined || isId(secret)) return { kind: 'unknown', reason: 'ACL token not found' }
    return { kind: 'malformed', reason: secret.split('.').length === 3 ? NOT_SIGNED : NOT_A_TOKEN }
  }

  /** The Task API's own check, in front of all others; undefined: go on. */
  refuseAtSocket(secret: string | undefined): { readonly status: number; readonly text: string } | undefined {
    if (secret === undefined || secret === '') return { status: 401, text: 'Unauthorized' }
    const token = this.#tokens.get(secret)
    if (token !== undefined && this.#isValid(token)) return undefined
    if (token?.kind === 'workload' || (token === undefined && !isId(secret))) return { status: 500, text: 'Server error authenticating request\n' }
    return { status: 403, text: 'Forbidden' }
  }

  #isValid({ expiresAt = Infinity, kind }: Token): boolean {
    return this.#clock.now() < expiresAt + (kind === 'workload' ? LEEWAY_MS : 0)
  }
}

/** Whether it is a caller at all. */
export const isCaller = (who: Caller | BadToken): who is Caller => 'may' in who

function callerOf(kind: Caller['kind'], token: Token | undefined, lives: () => boolean): Caller {
  const all = kind === 'management'
  return {
    kind,
    token,
    may: (namespace, capability) => all || (token?.policies ?? []).some((policy) => capabilitiesIn(policy, namespace).includes(capability)),
    get readsNodes() { return all || (token?.policies ?? []).some(({ node }) => node !== undefined) },
    get readsAgent() { return all || (token?.policies ?? []).some(({ agent }) => agent !== undefined) },
    lives,
  }
}

function capabilitiesIn({ namespaces = {} }: Policy, namespace: string): readonly string[] {
  const exact = namespaces[namespace]
  if (exact !== undefined) return exact
  // The most specific pattern wins.
  const pattern = Object.keys(namespaces).filter((each) => each.includes('*') && matches(each, namespace)).sort((a, b) => b.length - a.length)[0]
  return pattern === undefined ? [] : (namespaces[pattern] ?? [])
}

function matches(pattern: string, namespace: string): boolean {
  const parts = pattern.split('*')
  let at = 0
  for (const [number, part] of parts.entries()) {
    const found = number === 0 ? (namespace.startsWith(part) ? 0 : -1) : namespace.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return parts.at(-1) === '' || namespace.endsWith(parts.at(-1) ?? '')
}
