// What the config says about tags and routes, as the assembly wants it.
import type { BindAddress } from '#src/config/address.ts'
import { defaultPolicy } from '#src/config/data-plane.ts'
import type { Config } from '#src/config/schema.ts'
import { createClaims } from './claims.ts'
import { ownAddresses } from './node-addresses.ts'
import type { AssembleOptions } from './tag-cache.ts'

/** `listeners` as bound. A new object each time: only to be made when the config has changed. */
export function assemblyOptions(config: Config, listeners: readonly BindAddress[]): AssembleOptions {
  return {
    prefix: config.tags.serai,
    defaultHost: config.tags.defaultHost ?? '',
    defaultPolicy: defaultPolicy(config),
    defaultBalance: config.defaults.balance,
    ownAddresses: ownAddresses([...listeners, config.admin.address, ...(config.health === undefined ? [] : [config.health.address])]),
    claims: createClaims({
      claims: config.claims,
      // One namespace is one team's; all of them are not.
      shared: (config.catalogs.nomad?.namespaces ?? ['*']).includes('*') ? ['nomad'] : [],
      operators: ['file'],
    }),
  }
}
