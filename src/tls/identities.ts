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
/** The name of clients that give none. */
const DEFAULT = ''

export class Identities {
  /** Those in force; another object after each change. */
  policies: readonly ClientPolicy[] = []
  readonly #certificates = new Map<string, Certificate>()
  /** All that have a name ('' for the default ones), and of those the ones that clients get. */
  readonly #having = new Map<string, Set<Certificate>>()
  readonly #byName = new NameIndex<readonly Certificate[]>()
  #byHost = new NameIndex<ClientPolicy>()
  readonly #found = new LRUCache<string, Identity>({ max: MAX_NAMES })

  /** Takes certificates in place of those of the same id, and forgets others. Costs what has changed, however many there are. */
  change(changed: readonly Certificate[], removed: readonly string[]): void {
    const touched = new Set<string>()
    for (const id of [...removed, ...changed.map((certificate) => certificate.id)]) {
      const before = this.#certificates.get(id)
      this.#certificates.delete(id)
      if (before === undefined) continue
      for (const name of namesOf(before)) {
        this.#having.get(name)?.delete(before)
        touched.add(name)
      }
    }
    for (const certificate of changed) {
      this.#certificates.set(certificate.id, certificate)
      for (const name of namesOf(certificate)) {
        const there = this.#having.get(name)
        if (there === undefined) this.#having.set(name, new Set([certificate]))
        else there.add(certificate)
        touched.add(name)
      }
    }
    for (const name of touched) {
      const certificates = this.#having.get(name)
      if (certificates === undefined || certificates.size === 0) {
        this.#having.delete(name)
        this.#byName.delete(name)
      } else this.#byName.set(name, newestOfEachKind(certificates))
    }
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
    const certificates = this.#byName.find(serverName) ?? this.#byName.get(DEFAULT)
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

const namesOf = ({ names, isDefault }: Certificate): readonly string[] => (isDefault ? [...names, DEFAULT] : names)

/** One for each kind of key, the one issued last. */
function newestOfEachKind(certificates: Iterable<Certificate>): readonly Certificate[] {
  const kinds = new Map<string, Certificate>()
  for (const certificate of certificates) {
    const other = kinds.get(certificate.kind)
    const newer = other === undefined || certificate.notBefore > other.notBefore || (certificate.notBefore === other.notBefore && certificate.id < other.id)
    if (newer) kinds.set(certificate.kind, certificate)
  }
  return [...kinds.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
}
