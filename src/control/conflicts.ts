// Decides between services that claim the same requests.

import type { Problem } from '#src/catalog/catalog.ts'
import type { ServiceKey } from '#src/snapshot.ts'
import { showMatch } from './routers.ts'
import type { Form } from './routers.ts'

/** Who had each match (by its id) in the last table. */
export type Holders = ReadonlyMap<string, ServiceKey>

/**
 * Leaves each match with one service: the one that had it, while it still claims it, else the first of `claims`.
 * The others' forms are left out and told.
 */
export function settleConflicts<Claim extends { readonly key: ServiceKey; readonly forms: readonly Form[] }>(
  claims: readonly Claim[], before: Holders | undefined, tell: (problem: Problem) => void,
): { readonly claims: readonly Claim[]; readonly holders: Holders } {
  const holders = new Map<string, ServiceKey>()
  let contested = false
  for (const { key, forms } of claims) {
    for (const { id } of forms) {
      const rival = holders.get(id)
      if (rival !== undefined) contested = true
      if (rival === undefined || before?.get(id) === key) holders.set(id, key)
    }
  }
  if (!contested) return { claims, holders }
  const settled = claims.map((claim) => {
    const forms = claim.forms.filter(({ id }) => holders.get(id) === claim.key)
    if (forms.length === claim.forms.length) return claim
    for (const { id, match, router, carriers } of claim.forms) {
      const holder = holders.get(id)
      if (holder !== claim.key) tell({ service: claim.key, router, tag: '', reason: `${showMatch(match)} belongs to ${holder}`, where: carriers[0]!.instance.where })
    }
    return { ...claim, forms }
  })
  return { claims: settled, holders }
}
