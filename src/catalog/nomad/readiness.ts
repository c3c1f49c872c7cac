// Whether an instance may get its first request, what to find out next, and why it may not yet. Pure: DESIGN section 6.5.
import type { CheckResult } from './check-definition.ts'

/** What has been found out about an instance since it was registered. */
export interface InstanceFacts {
  /** Of its allocation: undefined: not read yet; `forbidden`: the token may not read it. */
  readonly allocation: 'known' | 'forbidden' | undefined
  /** The checks that its job defines for the service; undefined: not known yet. */
  readonly checks: readonly string[] | undefined
  /** Those that have passed since then. */
  readonly passed: ReadonlySet<string>
  /** The last results of its allocation's checks; undefined: unknown, which is never "no check". */
  readonly results: readonly CheckResult[] | undefined
  /** Why its checks could not be asked for, or ''. */
  readonly checksFailure: string
  /** A connection from this node has succeeded. */
  readonly connected: boolean
  /** Why the last one did not, or ''. */
  readonly connectFailure: string
}

export const unknownFacts: InstanceFacts = {
  allocation: undefined, checks: undefined, passed: new Set(), results: undefined, checksFailure: '', connected: false, connectFailure: '',
}

export interface Readiness {
  readonly ready: boolean
  /** What to find out next. */
  readonly next: 'allocation' | 'checks' | 'connect' | 'nothing'
  /** In words for people; '' when it is ready. */
  readonly why: string
}

/** Without checks, or where they are forbidden to us, one connection decides; with checks each must have passed once, and a connection be possible. */
export function judgeReadiness({ allocation, checks, passed, results, checksFailure, connected, connectFailure }: InstanceFacts): Readiness {
  if (allocation === undefined) return { ready: false, next: 'allocation', why: 'its allocation was not read yet' }
  const missing = (checks ?? []).filter((check) => !passed.has(check))
  if (allocation === 'known' && checks === undefined) return { ready: false, next: 'allocation', why: 'the checks of its job were not read yet' }
  if (allocation === 'known' && missing.length > 0) return { ready: false, next: 'checks', why: missing.map((check) => checkWords(check, results, checksFailure)).join('; ') }
  if (connected) return { ready: true, next: 'nothing', why: '' }
  return { ready: false, next: 'connect', why: connectFailure === '' ? 'no connection was tried yet' : `a connection from this node failed: ${connectFailure}` }
}

function checkWords(check: string, results: readonly CheckResult[] | undefined, failure: string): string {
  const result = results?.find((each) => each.check === check)
  const state = result === undefined ? (failure === '' ? 'no result yet' : failure) : result.output === '' ? result.status : `${result.status} (${result.output})`
  return `check '${check}' has not passed yet: ${state}`
}

/** What one look at the checks of its allocation adds. `null` results say nothing, and so change nothing. */
export function afterChecks(facts: InstanceFacts, service: string, results: readonly CheckResult[] | undefined): InstanceFacts {
  if (results === undefined) return { ...facts, checksFailure: '' }
  const own = results.filter((each) => each.service === service)
  const failing = new Set(own.filter(({ status }) => status !== 'success').map(({ check }) => check))
  const passing = own.map(({ check }) => check).filter((check) => !failing.has(check))
  return { ...facts, results: own, checksFailure: '', passed: new Set([...facts.passed, ...passing]) }
}
