// When a check ran, as far as looks at its results show: so that nobody looks while no new run can be over. Pure.
import type { Look } from './check-looks.ts'
import type { InstanceFacts } from './health-rule.ts'

interface Seen {
  readonly facts: InstanceFacts
  readonly lookedAt: number
  readonly run: { readonly after: number; readonly before: number } | undefined
}

/** The span of our own clock that the last run fell into; undefined: not seen yet. A job with several checks is looked at for each, so there none is foretold. */
export function runOf({ facts, lookedAt, run }: Seen, look: Look, now: number): Seen['run'] {
  if (!look.ok || look.results === undefined || facts.checks?.length !== 1) return undefined
  const [name] = facts.checks.map((check) => check.name)
  const before = facts.results?.find(({ check }) => check === name)
  const after = look.results.find(({ check }) => check === name)
  if (after === undefined || after.status === 'pending') return undefined
  if (before === undefined || before.ranAt === after.ranAt) return run
  return { after: lookedAt, before: now }
}
