// A Nomad catalog on a registry of its own, with a gateway between them, for tests that watch it from outside.
import { createAddressPolicy } from '#src/upstream/address-policy.ts'
import type { Catalog, HealthPolicy, ProbeSpec } from '#src/catalog/catalog.ts'
import { connectOnce } from '#src/catalog/connect-gate.ts'
import type { OwnAllocation } from '#src/catalog/nomad/fleet.ts'
import { createNomadCatalog } from '#src/catalog/nomad/nomad.ts'
import { probeOnce } from '#src/catalog/probe/probe.ts'
import { startRegistry } from '#src/development/registry.ts'
import type { Registry, RegistryOptions } from '#src/development/registry.ts'
import { systemClock } from '#src/registry/clock.ts'
import type { Clock } from '#src/registry/clock.ts'
import { NomadClient } from '#src/registry/nomad-client.ts'
import { healthKeys } from '#src/tags/health.ts'
import { FastClock } from './fast-clock.ts'
import { startGateway } from './registry-gateway.ts'
import type { Gateway } from './registry-gateway.ts'

export interface NomadUnderTest extends AsyncDisposable {
  readonly nomad: Registry
  readonly gateway: Gateway
  readonly client: NomadClient
  readonly catalog: Catalog
  readonly logs: readonly string[]
}

export interface NomadUnderTestOptions {
  readonly registry?: RegistryOptions
  readonly namespaces?: readonly string[]
  readonly token?: string
  readonly tokenFile?: string
  readonly clock?: Clock
  readonly random?: () => number
  readonly wants?: (tags: readonly string[]) => boolean
  readonly allowAddresses?: readonly string[]
  readonly health?: HealthPolicy
  /** The allocation that the ingress is taken to run in. */
  readonly own?: OwnAllocation
  readonly isHere?: (host: string) => boolean
  readonly probe?: (spec: ProbeSpec, host: string, port: number) => Promise<string>
  readonly connect?: (host: string, port: number) => Promise<string>
  readonly deadlineMs?: number
}

/** A catalog on the registry at `origin`. */
export function makeNomadCatalog(origin: string, options: Omit<NomadUnderTestOptions, 'registry'> = {}): Pick<NomadUnderTest, 'client' | 'catalog' | 'logs'> {
  const { namespaces = ['*'], token, tokenFile, clock = systemClock, random = Math.random, allowAddresses = [], deadlineMs = 2000 } = options
  const client = new NomadClient({
    address: { origin, name: origin, region: undefined, token: { token, file: tokenFile } },
    clock, deadlineMs, connections: { short: 8, waiting: 2 * namespaces.length + 2 },
  })
  const logs: string[] = []
  const say = (fields: object, message: string): void => { logs.push(`${message} ${JSON.stringify(fields)}`) }
  const policy = createAddressPolicy({ allow: allowAddresses, registry: [origin.slice('http://'.length)] })
  const catalog = createNomadCatalog({
    client, namespaces, policy, clock, random,
    wants: options.wants ?? ((tags) => tags.some((tag) => tag.startsWith('serai.'))),
    log: { info: say, warn: say },
    health: options.health ?? 'checks',
    own: options.own,
    keysOf: healthKeys('serai'),
    isHere: options.isHere ?? (() => true),
    probe: options.probe ?? probeOnce,
    connect: options.connect ?? connectOnce,
  })
  return { client, catalog, logs }
}

/** The catalog reaches its registry only through the gateway. */
export async function startNomad(options: NomadUnderTestOptions = {}): Promise<NomadUnderTest> {
  const { registry, clock } = options
  const nomad = await startRegistry({ ...(clock instanceof FastClock ? { clock: clock.ofRegistry } : {}), ...registry })
  const gateway = await startGateway(nomad.address)
  const { client, catalog, logs } = makeNomadCatalog(gateway.origin, options)
  return {
    nomad, gateway, client, catalog, logs,
    async [Symbol.asyncDispose]() {
      await client.close()
      await gateway[Symbol.asyncDispose]()
      await nomad[Symbol.asyncDispose]()
    },
  }
}
