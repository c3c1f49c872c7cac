// Makes the catalogs that the config names, or, where it names none, what the environment of a Nomad task shows.
import type { Catalog } from '#src/catalog/catalog.ts'
import { createAddressPolicy } from '#src/upstream/address-policy.ts'
import { connectOnce } from '#src/catalog/connect-gate.ts'
import type { OwnAllocation } from '#src/catalog/nomad/fleet.ts'
import { createFileCatalog } from '#src/catalog/file.ts'
import { createNomadCatalog } from '#src/catalog/nomad/nomad.ts'
import { probeOnce } from '#src/catalog/probe/probe.ts'
import type { Config } from '#src/config/schema.ts'
import { systemClock } from '#src/registry/clock.ts'
import { findNomad, taskSocket } from '#src/registry/nomad-address.ts'
import { NomadClient } from '#src/registry/nomad-client.ts'
import { healthKeys } from '#src/tags/health.ts'
import { nodeAddresses } from './node-addresses.ts'

export interface CatalogsOptions {
  readonly config: Config
  readonly env: Readonly<Record<string, string | undefined>>
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void }
}

export interface Catalogs extends AsyncDisposable {
  readonly list: readonly Catalog[]
}

type Nomad = NonNullable<Config['catalogs']['nomad']>

const byDefault: Nomad = { namespaces: ['*'], health: 'checks', allowAddresses: [] }
/** Blocking queries and streams hold a connection each; an agent allows a hundred for all of a machine. */
const SHORT_CONNECTIONS = 8

/** Throws when a file that the config names cannot be read. */
export function createCatalogs({ config, env, log }: CatalogsOptions): Catalogs {
  const { file, nomad } = config.catalogs
  const list: Catalog[] = []
  const clients: NomadClient[] = []
  if (file !== undefined) list.push(createFileCatalog({ path: file.path, log: { warn: (message) => log.warn({}, message) } }))
  const found = nomad ?? (file === undefined && taskSocket(env) !== undefined ? byDefault : undefined)
  if (found !== undefined) {
    const address = findNomad(found, env)
    const client = new NomadClient({ address, clock: systemClock, connections: { short: SHORT_CONNECTIONS, waiting: 2 * found.namespaces.length } })
    clients.push(client)
    const policy = createAddressPolicy({ allow: found.allowAddresses, registry: registryAddress(address.socketPath === undefined ? address.origin : env['NOMAD_ADDR']) })
    const here = new Set(nodeAddresses())
    list.push(createNomadCatalog({
      client, policy, log, clock: systemClock, random: Math.random,
      namespaces: found.namespaces,
      wants: wantsOf(config),
      health: found.health,
      own: ownAllocation(env),
      keysOf: healthKeys(config.tags.serai),
      isHere: (host) => here.has(host),
      probe: (spec, host, port) => probeOnce(spec, host, port, (resolved) => policy.refusal(resolved, port, '')),
      connect: (host, port) => connectOnce(host, port, (resolved) => policy.refusal(resolved, port, '')),
    }))
    if (found.namespaces.includes('*') && config.claims === undefined) {
      log.warn({ catalog: 'nomad' }, 'every namespace is read and there are no claims: whoever may register a service may take any host (config: claims)')
    }
    log.info({ catalog: 'nomad', address: address.name, namespaces: found.namespaces }, 'following Nomad')
  }
  return { list, async [Symbol.asyncDispose]() { await Promise.all(clients.map((client) => client.close())) } }
}

/** As Nomad tells a task in its environment. */
function ownAllocation({ NOMAD_ALLOC_ID: id = '', NOMAD_JOB_ID: job = '', NOMAD_NAMESPACE: namespace = 'default' }: CatalogsOptions['env']): OwnAllocation | undefined {
  return id === '' || job === '' ? undefined : { id, job, namespace }
}

/** Without a default host only services with a tag of ours can become routes. */
function wantsOf({ tags }: Config): (tags: readonly string[]) => boolean {
  if (tags.defaultHost !== undefined) return () => true
  const start = `${tags.serai}.`.toLowerCase()
  return (own) => own.some((tag) => tag.trimStart().slice(0, start.length).toLowerCase() === start)
}

function registryAddress(origin: string | undefined): string[] {
  const url = origin === undefined ? null : URL.parse(origin)
  if (url === null) return []
  return [`${url.hostname}:${url.port || (url.protocol === 'https:' ? '443' : '80')}`]
}
