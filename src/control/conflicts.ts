// Decides between services that claim the same requests.

import type { Problem } from '#src/catalog/catalog.ts'
import type { ServiceKey } from '#src/snapshot.ts'
import { showMatch } from './routers.ts'
import type { Form } from './routers.ts'

/** Who had each match (by its id) in the last table. */
export type Holders = ReadonlyMap<string, ServiceKey>

/**
 * How old the job of a service is, as a number that orders jobs (the lower, the older); `unknown`: it has not been read yet;
 * `unreadable`; `none`: there is no job to ask for.
 */
export type Age = number | 'unknown' | 'unreadable' | 'none'

export interface Seniority {
  readonly age: Age
  /** The place of its namespace in the claims. */
  readonly order: number
}

interface Claimant {
  readonly key: ServiceKey
  readonly forms: readonly Form[]
}

export interface Settlement<C extends Claimant> {
  readonly claims: readonly C[]
  readonly holders: Holders
  /** Services that claim what another one claims too. */
  readonly contested: ReadonlySet<ServiceKey>
}

/**
 * Leaves each match with one service: that of the oldest job; as long as an age is not known, the one that had it. Where ages cannot be
 * read the order of claims decides, then that of `claims`, which is the same on every node. The others' forms are left out and told.
 */
export function settleConflicts<C extends Claimant>(
  claims: readonly C[], before: Holders | undefined, seniority: (claim: C) => Seniority, tell: (problem: Problem) => void,
): Settlement<C> {
  const byMatch = new Map<string, C | C[]>()
  let contests = 0
  for (const claim of claims) {
    for (const { id } of claim.forms) {
      const there = byMatch.get(id)
      if (there === undefined) byMatch.set(id, claim)
      else if (Array.isArray(there)) there.push(claim)
      else if (there !== claim) {
        byMatch.set(id, [there, claim])
        contests++
      }
    }
  }
  const holders = new Map<string, ServiceKey>()
  const contested = new Set<ServiceKey>()
  for (const [id, claimants] of byMatch) {
    if (!Array.isArray(claimants)) holders.set(id, claimants.key)
    else {
      for (const { key } of claimants) contested.add(key)
      holders.set(id, chooseHolder(claimants, before?.get(id), seniority).key)
    }
  }
  if (contests === 0) return { claims, holders, contested }
  const settled = claims.map((claim) => {
    const forms = claim.forms.filter(({ id }) => holders.get(id) === claim.key)
    if (forms.length === claim.forms.length) return claim
    for (const { id, match, router, carriers } of claim.forms) {
      const holder = holders.get(id)
      if (holder !== claim.key) tell({ service: claim.key, router, tag: '', reason: `${showMatch(match)} belongs to ${holder}`, where: carriers[0]!.instance.where })
    }
    return { ...claim, forms }
  })
  return { claims: settled, holders, contested }
}

/** `claimants` in the order that decides at last; at least one. */
function chooseHolder<C extends Claimant>(claimants: readonly C[], before: ServiceKey | undefined, seniority: (claim: C) => Seniority): C {
  const ranked = claimants.map((claim) => ({ claim, ...seniority(claim) }))
  const ages = ranked.flatMap(({ age }) => (typeof age === 'number' ? age : []))
  if (ages.length === ranked.length) return ranked[ages.indexOf(Math.min(...ages))]!.claim
  const holder = claimants.find(({ key }) => key === before)
  if (holder !== undefined && ranked.every(({ age }) => age !== 'unreadable')) return holder
  const first = Math.min(...ranked.map(({ order }) => order))
  return ranked.find(({ order }) => order === first)!.claim
}
