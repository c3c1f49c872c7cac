// What a route balances over: endpoints with their weights, prepared once per table.
import type { Reserve } from '#src/snapshot.ts'
import { hash32 } from './hash.ts'
import type { Endpoint } from './endpoint.ts'

export interface Target {
  readonly endpoint: Endpoint
  readonly weight: number
  /** What `hash` knows it by: the same in every worker and on every node. 32 bits. */
  readonly seed: number
  /** Smooth weighted round-robin's running sum. */
  current: number
}

export interface TargetSet {
  readonly targets: readonly Target[]
  /** All weights are the same and above zero: sampling needs no sums. */
  readonly uniform: boolean
  readonly totalWeight: number
  /** What panic picks from, where that is more than these; else null. */
  readonly panic: TargetSet | null
  /** What is tried when nothing else is left; null: nothing. */
  readonly last: TargetSet | null
}

/** An endpoint that a route leads to. */
export interface Member {
  readonly endpoint: Endpoint
  readonly weight: number
  readonly reserve?: Reserve | undefined
}

/** `random` gives each set its own starting point, so that a new table does not send everything to the first endpoint. */
export function createTargetSet(members: readonly Member[], random: () => number): TargetSet {
  const always = members.filter(({ reserve }) => reserve === undefined)
  const last = members.filter(({ reserve }) => reserve === 'last')
  const panic = members.filter(({ reserve }) => reserve !== 'last')
  return {
    ...plainSet(always, random),
    panic: panic.length === always.length ? null : plainSet(panic, random),
    last: last.length === 0 ? null : plainSet(last, random),
  }
}

function plainSet(members: readonly Member[], random: () => number): TargetSet {
  const totalWeight = members.reduce((sum, { weight }) => sum + weight, 0)
  const first = members[0]?.weight ?? 0
  return {
    targets: members.map(({ endpoint, weight }) => ({ endpoint, weight, seed: hash32(endpoint.address), current: random() * totalWeight })),
    uniform: first > 0 && members.every(({ weight }) => weight === first),
    totalWeight,
    panic: null,
    last: null,
  }
}
