// Tags are read once per distinct list: most instances of a service carry the same.

import type { Instance } from '#src/catalog/catalog.ts'
import type { BalancePolicy, RouteMatch, RoutePolicy } from '#src/snapshot.ts'
import type { ServiceKeys } from '#src/tags/keys.ts'
import { readSeraiTags } from '#src/tags/serai.ts'
import type { TagProblem } from '#src/tags/serai.ts'
import type { Claims } from './claims.ts'

/** What the configuration says about tags and routes. The same object as long as nothing in it changes. */
export interface AssembleOptions {
  /** Of tags: `serai`. */
  readonly prefix: string
  /** `{service}.{namespace}.apps.example.org`, for services that name no host; '' for none. */
  readonly defaultHost: string
  readonly defaultPolicy: RoutePolicy
  readonly defaultBalance: BalancePolicy
  /** `host:port` of everything that Serai itself listens on; for a wildcard listener also with each address of this machine. */
  readonly ownAddresses: readonly string[]
  /** Who may take which hosts. */
  readonly claims: Claims
}

/** A router as tags describe it, with its defaults filled in. */
export interface ReadRouter {
  readonly name: string
  readonly refuse: '' | 'problem'
  readonly policy: RoutePolicy
  /** Equal for equal policies, within one set of options. */
  readonly policyId: string
  readonly matches: readonly { readonly id: string; readonly match: RouteMatch }[]
}

export interface ReadTags {
  readonly enabled: boolean
  readonly routers: readonly ReadRouter[]
  readonly service: ServiceKeys
  readonly problems: readonly TagProblem[]
}

/** Two routes with the same id would take the same requests. */
export const matchId = ({ host, path, kind }: RouteMatch): string => `${host} ${kind} ${path}`

/** Reads the tags of instances, each distinct list once. */
export function createTagReader(options: AssembleOptions): (instance: Instance) => ReadTags {
  const entries = new Map<string, ReadTags>()
  const { defaultHost: form } = options
  return ({ tags, service, namespace }) => {
    const defaultHost = form === '' ? '' : form.replaceAll('{service}', () => service).replaceAll('{namespace}', () => namespace)
    // Tags may hold any character, so only a quoting form keeps one list from passing for another.
    const id = JSON.stringify([defaultHost, tags])
    let entry = entries.get(id)
    if (entry === undefined) entries.set(id, (entry = readAfresh(tags, options, defaultHost)))
    return entry
  }
}

function readAfresh(tags: readonly string[], { prefix, defaultPolicy }: AssembleOptions, defaultHost: string): ReadTags {
  const { routers, ...rest } = readSeraiTags(tags, prefix, { defaultHost })
  return {
    ...rest,
    routers: routers.map(({ name, refuse, policy, matches }) => {
      // A route lists upgrades to let through beside those that all routes do.
      const upgrades = [...new Set([...defaultPolicy.upgrades, ...(policy.upgrades ?? [])])].sort()
      const whole = { ...defaultPolicy, ...policy, upgrades }
      return { name, refuse, policy: whole, policyId: JSON.stringify(whole), matches: matches.map((match) => ({ id: matchId(match), match })) }
    }),
  }
}
