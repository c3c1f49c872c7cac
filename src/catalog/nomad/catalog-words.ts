// What problems say of lists, rights and streams. Pure.
import type { FailureCause } from '#src/catalog/catalog.ts'
import type { ListState } from './list-watch.ts'

/** Of a list that cannot be read. */
export function listWords(state: ListState): string {
  if (!('reason' in state)) return state.kind
  return state.kind === 'forbidden' ? `not allowed: ${state.reason}` : state.kind === 'busy' ? `too many connections or calls: ${state.reason}` : state.reason
}

/** Of several, a missing permission is what somebody has to act on. */
export function causeOf(failing: readonly ListState[]): FailureCause | undefined {
  const kinds = failing.map(({ kind }) => kind)
  if (kinds.includes('forbidden')) return 'not allowed'
  if (kinds.includes('garbage') || kinds.includes('missing')) return 'not understood'
  return kinds.length > 0 ? 'unreachable' : undefined
}

/** Where checks may not be read. */
export const blindWords = (namespace: string, reason: string): string =>
  `namespace ${namespace}: allocations and checks may not be read (${reason}): instances are routed after one connection, whatever their checks say; the token needs read-job`

/** Where events may not be followed. */
export const deafWords = (namespace: string, reason: string, several: boolean): string =>
  `namespace ${namespace}: ${reason}; until then changes are found by reading ${several ? 'its' : 'the'} services one by one, at most ten a second`
