// The control plane without workers: catalogs in, snapshots out, and what it logs.
import type { Catalog } from '#src/catalog/catalog.ts'
import { LastGood } from '#src/catalog/last-good.ts'
import { createClaims } from '#src/control/claims.ts'
import type { Claim } from '#src/control/claims.ts'
import type { KnownCatalog } from '#src/control/known-catalog.ts'
import { systemClock } from '#src/registry/clock.ts'
import type { Clock } from '#src/registry/clock.ts'
import { TableSource } from '#src/control/table-source.ts'
import type { Endpoint } from '#src/snapshot.ts'

export interface ControlOptions {
  readonly catalogs: readonly Catalog[]
  /** The state directory. */
  readonly path: string
  readonly maxAgeMs?: number
  readonly nodeAddresses?: readonly string[]
  readonly claims?: readonly Claim[]
  readonly clock?: Clock
  /** Called with each published revision. */
  readonly onPublish?: () => void
}

export interface Control extends AsyncDisposable {
  readonly source: TableSource
  readonly logs: readonly string[]
  /** Routes as `host/path service: addresses`, those in reserve as `(address)`, or what they answer instead. */
  routes(): string[]
  /** Addresses of all endpoints but those in reserve, sorted. */
  addresses(): string[]
  readonly complete: boolean
  /** Of the only catalog. */
  readonly known: KnownCatalog
}

const shown = (endpoint: Endpoint | undefined): string => (endpoint?.reserve === undefined ? (endpoint?.address ?? '?') : `(${endpoint.address})`)

const policy = { retryAttempts: 2, retryTimeoutMs: 1, headTimeoutMs: 1, bodyTimeoutMs: 1, totalTimeoutMs: 0, upgrades: [], ejectStatuses: [] }

/** Follows the catalogs until it is disposed. */
export function startControl({ catalogs, path, maxAgeMs = 3_600_000, nodeAddresses = [], claims, clock = systemClock, onPublish }: ControlOptions): Control {
  const logs: string[] = []
  const say = (fields: object, message: string): void => { logs.push(`${message} ${JSON.stringify(fields)}`) }
  const log = { info: say, warn: say, error: say }
  const lastGood = new LastGood({ path, maxAgeMs, log })
  const abort = new AbortController()
  const source = new TableSource({
    catalogs, lastGood, nodeAddresses, clock, log,
    assembly: { prefix: 'serai', defaultHost: '', defaultPolicy: policy, defaultBalance: 'p2c', ownAddresses: [], claims: createClaims({ claims, shared: ['nomad'], operators: ['file'] }) },
    publish: () => onPublish?.(), serviceAdded: () => undefined, serviceRemoved: () => undefined,
  })
  const following = source.follow(abort.signal)
  const services = (): readonly (typeof source.publisher.snapshot.services extends ReadonlyMap<string, infer S> ? S : never)[] => [...source.publisher.snapshot.services.values()]
  return {
    source, logs,
    routes: () => services().flatMap(({ key, endpoints, routes }) => routes.map(({ match, refuse, endpoints: own }) =>
      `${match.host}${match.path} ${key}: ${refuse === '' ? own.map((at) => shown(endpoints[at])).join(' ') : refuse}`)).sort(),
    addresses: () => services().flatMap(({ endpoints }) => endpoints.filter(({ reserve }) => reserve === undefined).map(({ address }) => address)).sort(),
    get complete() { return source.publisher.snapshot.complete },
    get known() { return source.catalogs[0]! },
    async [Symbol.asyncDispose]() {
      abort.abort()
      await following
      await lastGood.close()
    },
  }
}
