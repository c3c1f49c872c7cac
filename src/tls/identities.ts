// Who we are to a TLS client, by the name that it asks for: which certificates, and what is asked of the client in turn.
import { LRUCache } from 'lru-cache'
import type { Certificate } from '#src/messages.ts'
import type { ClientPolicy } from '#src/snapshot.ts'
import { NameIndex } from './name-index.ts'

export interface Identity {
  /** At most one of each kind of key: OpenSSL takes what the client can verify. */
  readonly certificates: readonly Certificate[]
  /** Null: nothing is asked of the client. */
  readonly policy: ClientPolicy | null
  /** Equal for names that may share a connection: the same certificates (though they were renewed) and the same policy. */
  readonly scope: string
  /** Equal for identities that may share a context. */
  readonly key: string
}

/** Names whose identity is remembered; clients choose them. */
const MAX_NAMES = 10_000

export class Identities {
  /** Those in force; another object after each change. */
  policies: readonly ClientPolicy[] = []
  readonly #certificates = new Map<string, Certificate>()
  #byName = new NameIndex<readonly Certificate[]>()
  #byHost = new NameIndex<ClientPolicy>()
  #default: readonly Certificate[] | undefined
  readonly #found = new LRUCache<string, Identity>({ max: MAX_NAMES })

  /** Takes certificates in place of those of the same id, and forgets others. */
  change(changed: readonly Certificate[], removed: readonly string[]): void {
    for (const id of removed) this.#certificates.delete(id)
    for (const certificate of changed) this.#certificates.set(certificate.id, certificate)
    const named = new Map<string, Certificate[]>()
    const unnamed: Certificate[] = []
    for (const certificate of this.#certificates.values()) {
      if (certificate.isDefault) unnamed.push(certificate)
      for (const name of certificate.names) {
        const there = named.get(name)
        if (there === undefined) named.set(name, [certificate])
        else there.push(certificate)
      }
    }
    this.#byName = new NameIndex()
    for (const [name, certificates] of named) this.#byName.set(name, newestOfEachKind(certificates))
    this.#default = unnamed.length === 0 ? undefined : newestOfEachKind(unnamed)
    this.#found.clear()
  }

  /** Takes the client policies that are in force from now on. */
  govern(policies: readonly ClientPolicy[]): void {
    this.policies = policies
    this.#byHost = new NameIndex()
    for (const policy of policies) for (const host of policy.hosts) this.#byHost.set(host, policy)
    this.#found.clear()
  }

  /** The policy for a host; undefined: none. */
  policyOf(host: string): ClientPolicy | undefined {
    return this.#byHost.find(host) ?? this.#byHost.get('*')
  }

  /** Who we are under this name ('' when the client gave none); undefined: nobody. */
  find(serverName: string): Identity | undefined {
    const known = this.#found.get(serverName)
    if (known !== undefined) return known
    const certificates = this.#byName.find(serverName) ?? this.#default
    if (certificates === undefined) return undefined
    const policy = this.policyOf(serverName) ?? null
    const suffix = policy === null ? '' : ` ${policy.id}`
    const identity = {
      certificates, policy,
      scope: certificates.map(({ id }) => id).join(' ') + suffix,
      key: certificates.map(({ version }) => version).join(' ') + suffix,
    }
    this.#found.set(serverName, identity)
    return identity
  }
}

/** One for each kind of key, the one issued last. */
function newestOfEachKind(certificates: readonly Certificate[]): readonly Certificate[] {
  const kinds = new Map<string, Certificate>()
  for (const certificate of certificates) {
    const other = kinds.get(certificate.kind)
    const newer = other === undefined || certificate.notBefore > other.notBefore || (certificate.notBefore === other.notBefore && certificate.id < other.id)
    if (newer) kinds.set(certificate.kind, certificate)
  }
  return [...kinds.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
}
