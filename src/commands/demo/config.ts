// What the demo configures: the program's own keys, with the Nomad catalog at the demo's registry.
import { formatAddress } from '#src/config/address.ts'
import type { BindAddress } from '#src/config/address.ts'
import type { DemoCertificate } from './local-authority.ts'

export interface DemoPlaces {
  readonly http: readonly BindAddress[]
  readonly https: readonly BindAddress[]
  readonly certificate: DemoCertificate
  readonly admin: BindAddress
  /** `host:port` of the registry. */
  readonly registry: string
  /** Where the state is kept. */
  readonly folder: string
}

/** The text of the config. */
export function demoConfig({ http, https, certificate: { cert, key }, admin, registry, folder }: DemoPlaces): string {
  const named = (name: string, addresses: readonly BindAddress[], more: object): [string, object][] =>
    addresses.map((address, at) => [at === 0 ? name : `${name}-${at + 1}`, { address: formatAddress(address), ...more }])
  const listeners = Object.fromEntries([...named('http', http, {}), ...named('https', https, { tls: true })])
  // JSON is YAML. The access log would bury the screen; on a terminal nobody waits for a lame duck.
  return JSON.stringify({
    listeners,
    tls: { certificates: [{ cert, key, default: true }] },
    admin: { address: formatAddress(admin) },
    catalogs: { nomad: { address: `http://${registry}`, namespaces: ['default'] } },
    stop: { lameDuck: '0s', drain: '5s' },
    state: { path: folder },
    log: { level: 'warn', access: { target: 'off' } },
  })
}
