// What each service's own instances make of it, before services are compared with each other.

import type { Instance, Problem } from '#src/catalog/catalog.ts'
import type { ServiceKey } from '#src/snapshot.ts'
import { carriersOf } from './carriers.ts'
import type { Group } from './carriers.ts'
import { createOwnAddresses } from './own-addresses.ts'
import { mergeRouters, showMatch } from './routers.ts'
import type { Form } from './routers.ts'
import { settleServiceKeys } from './service-keys.ts'
import type { ServiceSettings } from './service-keys.ts'
import { createTagReader } from './tag-cache.ts'
import type { AssembleOptions } from './tag-cache.ts'

export interface ServiceDraft {
  readonly key: ServiceKey
  readonly instances: readonly Instance[]
  readonly settings: ServiceSettings
  /** Where its jobs are to be asked for. */
  readonly catalog: string
  readonly namespace: string
  /** Those that registered instances with routes, sorted; none where there are no jobs. */
  readonly jobs: readonly string[]
  /** None if no instance asks to be routed. */
  readonly forms: readonly Form[]
  readonly problems: readonly Problem[]
}

/** One draft for each group, in their order; those of `last` are used again where the instances are the same. */
export function draftServices(
  groups: readonly Group[], options: AssembleOptions, last: ReadonlyMap<ServiceKey, ServiceDraft> | undefined,
): ReadonlyMap<ServiceKey, ServiceDraft> {
  const means = { read: createTagReader(options), isOwn: createOwnAddresses(options.ownAddresses) }
  const drafts = new Map<ServiceKey, ServiceDraft>()
  for (const group of groups) {
    const { key, catalog, namespace, instances } = group
    const known = last?.get(key)
    if (known !== undefined && known.instances === instances) {
      drafts.set(key, known)
      continue
    }
    if (known !== undefined && known.instances.length === instances.length && known.instances.every((instance, at) => sameInstance(instance, instances[at]!))) {
      drafts.set(key, known)
      continue
    }
    const problems: Problem[] = []
    const tell = (problem: Problem): void => { problems.push(problem) }
    const carriers = carriersOf(group, means, tell)
    const forms = mergeRouters(key, carriers, tell).filter(({ match, router, carriers: own }) => {
      const reason = options.claims.refusal(catalog, namespace, match.host)
      if (reason !== undefined) tell({ service: key, router, tag: '', reason: `${showMatch(match)} is left out: ${reason}`, where: own[0]!.instance.where })
      return reason === undefined
    })
    const jobs = [...new Set(carriers.flatMap(({ instance }) => instance.job ?? []))].sort()
    drafts.set(key, { key, catalog, namespace, jobs, instances, settings: settleServiceKeys(key, carriers, options, tell), forms, problems })
  }
  return drafts
}

/** A catalog that reads a whole list anew makes new objects of what did not change. (Field by field: a general comparison takes five times as long, 20,000 times.) */
function sameInstance(a: Instance, b: Instance): boolean {
  return a === b || (
    a.id === b.id && a.host === b.host && a.port === b.port && a.health === b.health && a.why === b.why && a.since === b.since && a.job === b.job && a.guarded === b.guarded && a.pinned === b.pinned && a.order === b.order && a.where === b.where &&
    a.tags.length === b.tags.length && a.tags.every((tag, at) => tag === b.tags[at])
  )
}
