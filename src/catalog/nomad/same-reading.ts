// Whether two readings say the same: what did not change are the same objects. Pure.
import type { Reading } from '#src/catalog/catalog.ts'

export function sameReading(a: Reading, b: Reading): boolean {
  if (a.problems.length !== b.problems.length || !a.problems.every(({ service, reason, where }, at) => service === b.problems[at]?.service && reason === b.problems[at].reason && where === b.problems[at].where)) return false
  if (a.kind === 'failed' || b.kind === 'failed') return a.kind === 'failed' && b.kind === 'failed' && a.cause === b.cause
  return a.partly === b.partly && a.instances.length === b.instances.length && a.instances.every((instance, at) => instance === b.instances[at])
}
