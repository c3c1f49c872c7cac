// Names of endpoints to addresses: the hosts file, then DNS by c-ares (never the thread pool), kept for as long as the answer says.
import { Resolver } from 'node:dns/promises'
import type { LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { LRUCache } from 'lru-cache'
import { HostsFile } from './hosts-file.ts'

export interface NamesOptions {
  /** `address` or `address:port`; none: those of the system. */
  readonly servers: readonly string[]
  readonly hostsFile: string
  /** Milliseconds. */
  now(): number
  readonly random: () => number
}

/** What is known of a name. Without addresses: `failure` is the system's code for it. */
interface Answer {
  readonly addresses: readonly LookupAddress[]
  readonly failure: string
  /** When to ask again. */
  readonly until: number
}

const MAX_NAMES = 4096
/** Bounds of how long an answer is used, whatever its TTL. */
const LEAST_MS = 1000
const MOST_MS = 3_600_000
/** How long an entry of the hosts file is used. */
const HOSTS_MS = 5000
/** When DNS does not answer: how long the old answer goes on before DNS is asked again. */
const RETRY_MS = 5000
/** Without an old answer, and where DNS says that there is none. */
const NEGATIVE_MS = 1000
/** Of one try at one server; both tries end before the time to connect does. */
const QUERY_MS = 400
const TRIES = 2
/** How long a new answer is waited for while there is an old one. */
const PATIENCE_MS = 250
/** Codes by which DNS says that there is nothing, and not that it cannot say. */
const nothing = ['ENOTFOUND', 'ENODATA']

export class Names {
  readonly #options: NamesOptions
  readonly #answers = new LRUCache<string, Answer>({ max: MAX_NAMES })
  readonly #asking = new Map<string, Promise<Answer>>()
  readonly #hosts: HostsFile

  constructor(options: NamesOptions) {
    this.#options = options
    this.#hosts = new HostsFile(options.hostsFile)
  }

  /** For `net.connect` and `tls.connect`: every address, each time beginning with another. */
  readonly lookup: LookupFunction = (name, _, callback) => {
    const give = ({ addresses, failure }: Answer): void => {
      if (addresses.length === 0) return callback(Object.assign(new Error(`${name}: ${failure}`), { code: failure }), [])
      const first = Math.floor(this.#options.random() * addresses.length)
      callback(null, [...addresses.slice(first), ...addresses.slice(0, first)])
    }
    const known = this.#answers.get(name)
    if (known !== undefined && known.until > this.#options.now()) give(known)
    else void this.#askPatiently(name, known).then(give)
  }

  /** The last answer for a name, however old; empty: it was never resolved. */
  known(name: string): readonly LookupAddress[] {
    return this.#answers.get(name)?.addresses ?? []
  }

  /** Whether the newest answer for a name has this address; an old answer is renewed in the background. */
  stillNames(name: string, address: string): boolean {
    const known = this.#answers.get(name)
    if (known === undefined || known.addresses.length === 0) return true // no reason to give up what works
    if (known.until <= this.#options.now()) void this.#ask(name)
    return known.addresses.some((each) => each.address === address)
  }

  #askPatiently(name: string, known: Answer | undefined): Promise<Answer> {
    const asking = this.#ask(name)
    if (known === undefined || known.addresses.length === 0) return asking
    const { promise, resolve } = Promise.withResolvers<Answer>()
    const timer = setTimeout(() => resolve(known), PATIENCE_MS)
    void asking.then((answer) => {
      clearTimeout(timer)
      resolve(answer)
    })
    return promise
  }

  /** Each name is asked for once at a time. Never rejects. */
  #ask(name: string): Promise<Answer> {
    let asking = this.#asking.get(name)
    if (asking === undefined) {
      asking = this.#find(name).then((answer) => {
        this.#answers.set(name, answer)
        this.#asking.delete(name)
        return answer
      })
      this.#asking.set(name, asking)
    }
    return asking
  }

  async #find(name: string): Promise<Answer> {
    const now = (): number => this.#options.now()
    const listed = this.#hosts.addressesOf(name)
    if (listed.length > 0) return { addresses: listed, failure: '', until: now() + HOSTS_MS }
    // A new one for each question: it reads the system's servers anew.
    const resolver = new Resolver({ timeout: QUERY_MS, tries: TRIES })
    if (this.#options.servers.length > 0) resolver.setServers(this.#options.servers)
    const parts = await Promise.all([
      resolver.resolve4(name, { ttl: true }).then((records) => found(records, 4), failed),
      resolver.resolve6(name, { ttl: true }).then((records) => found(records, 6), failed),
    ])
    const addresses = parts.flatMap((part) => part.addresses)
    if (addresses.length > 0) {
      const ttl = Math.min(...parts.filter((part) => part.addresses.length > 0).map((part) => part.ttlMs))
      return { addresses, failure: '', until: now() + Math.min(MOST_MS, Math.max(LEAST_MS, ttl)) }
    }
    const silent = parts.find((part) => !nothing.includes(part.failure))
    if (silent === undefined) return { addresses, failure: 'ENOTFOUND', until: now() + NEGATIVE_MS }
    const known = this.#answers.get(name)
    if (known !== undefined && known.addresses.length > 0) return { ...known, until: now() + RETRY_MS }
    return { addresses, failure: silent.failure, until: now() + NEGATIVE_MS }
  }
}

interface Part {
  readonly addresses: readonly LookupAddress[]
  readonly ttlMs: number
  readonly failure: string
}

const found = (records: readonly { readonly address: string; readonly ttl: number }[], family: 4 | 6): Part => ({
  addresses: records.map(({ address }) => ({ address, family })),
  ttlMs: 1000 * Math.min(...records.map(({ ttl }) => ttl)),
  failure: 'ENODATA',
})

const failed = (error: NodeJS.ErrnoException): Part => ({ addresses: [], ttlMs: 0, failure: error.code ?? 'EDNS' })
