// Whether an instance gets requests, what to find out next, and why it gets none, or only in need. Pure: DESIGN section 6.5.
import type { HealthPolicy, InstanceHealth, ProbeSpec } from '#src/catalog/catalog.ts'
import { endingWords } from './allocation-status.ts'
import type { AllocationStatus } from './allocation-status.ts'
import type { CheckResult, DefinedCheck } from './check-definition.ts'
import { noProbe } from './probe-rule.ts'
import type { ProbeState } from './probe-rule.ts'

/** What decides for an instance. */
export interface HealthRule {
  readonly policy: HealthPolicy
  /** Of its tags: it must pass before the first request. Undefined: its tags ask for none. */
  readonly probe: ProbeSpec | undefined
}

/** What has been found out about an instance since it was registered. */
export interface InstanceFacts {
  /** Of its allocation: undefined: not read yet; `forbidden`: the token may not read it. */
  readonly allocation: 'known' | 'forbidden' | undefined
  /** The last that is known of it; undefined: nothing. */
  readonly status: AllocationStatus | undefined
  /** Nomad has judged it healthy in a deployment since it was registered: its checks have passed, whatever they are. */
  readonly judgedHealthy: boolean
  /** The checks that its job defines for the service; undefined: not known yet. */
  readonly checks: readonly DefinedCheck[] | undefined
  /** Names of those that have passed since it was registered. */
  readonly passed: ReadonlySet<string>
  /** The last results of its checks; undefined: unknown, which is never "no check". */
  readonly results: readonly CheckResult[] | undefined
  /** Why its checks could not be asked for, or ''. */
  readonly checksFailure: string
  /** The last connection from this node has succeeded. */
  readonly connected: boolean
  /** Why it did not, or ''. */
  readonly connectFailure: string
  /** Something says that nobody may listen there at the moment: to be found out by a connection. */
  readonly suspect: boolean
  readonly probe: ProbeState
  /** It was ready once: from then on it is not pending, but unhealthy. */
  readonly wasReady: boolean
}

export const unknownFacts: InstanceFacts = {
  allocation: undefined, status: undefined, judgedHealthy: false, checks: undefined, passed: new Set(), results: undefined, checksFailure: '',
  connected: false, connectFailure: '', suspect: false, probe: noProbe, wasReady: false,
}

export type NextStep = 'allocation' | 'checks' | 'connect' | 'probe' | 'nothing'

export interface Judgement {
  readonly health: InstanceHealth
  /** What to find out next. */
  readonly next: NextStep
  /** In words for people; '' when it is ready. */
  readonly why: string
}

interface Wait {
  readonly next: NextStep
  readonly why: string
}

/**
 * Nothing gets a request before everything that its rule asks for has passed once. After that it stays ready until something says that it fails;
 * no answer is not a failure. What ends is the last resort.
 */
export function judgeHealth(facts: InstanceFacts, rule: HealthRule): Judgement {
  const ending = facts.status === undefined ? '' : endingWords(facts.status)
  if (ending !== '') return { health: facts.wasReady || facts.judgedHealthy ? 'leaving' : 'pending', next: 'nothing', why: ending }
  const wait = waitsFor(facts, rule) ?? failsBy(facts, rule)
  if (wait !== undefined) return { health: facts.wasReady ? 'unhealthy' : 'pending', ...wait }
  return { health: 'passing', next: facts.suspect ? 'connect' : 'nothing', why: '' }
}

/** Without checks, or where they are forbidden to us, one connection decides; with checks each must have passed once, and a connection be possible. */
function waitsFor(facts: InstanceFacts, { policy, probe }: HealthRule): Wait | undefined {
  const { allocation, checks, passed, judgedHealthy, connected, connectFailure } = facts
  if (policy === 'checks' && allocation !== 'forbidden') {
    if (allocation === undefined) return { next: 'allocation', why: 'its allocation was not read yet' }
    if (!judgedHealthy) {
      if (checks === undefined) return { next: 'allocation', why: 'the checks of its job were not read yet' }
      const missing = checks.filter(({ name }) => !passed.has(name))
      if (missing.length > 0) return { next: 'checks', why: missing.map((check) => waitingWords(check.name, facts)).join('; ') }
    }
  }
  if (policy === 'probe' && probe === undefined && checks === undefined && allocation !== 'forbidden') return { next: 'allocation', why: 'the checks of its job, which say how to probe it, were not read yet' }
  if (!connected) return { next: 'connect', why: connectFailure === '' ? 'no connection was tried yet' : `a connection from this node failed: ${connectFailure}` }
  const must = policy === 'probe' || (policy === 'checks' && probe !== undefined)
  if (must && !facts.probe.hasPassed) return { next: 'probe', why: `its probe has not passed yet${facts.probe.why === '' ? '' : `: ${facts.probe.why}`}` }
  return undefined
}

/** What says that an instance fails that had passed. */
function failsBy({ results, checks, probe, allocation }: InstanceFacts, { policy }: HealthRule): Wait | undefined {
  if (policy === 'none') return undefined
  if (policy === 'checks' && allocation !== 'forbidden') {
    const failing = results?.filter(({ status, check }) => status === 'failure' && checks?.some(({ name }) => name === check) !== false) ?? []
    if (failing.length > 0) return { next: 'checks', why: failing.map(({ check, output }) => `check '${check}' fails${output === '' ? '' : `: ${output}`}`).join('; ') }
  }
  if (!probe.failing) return undefined
  return { next: policy === 'checks' && probe.derived && allocation !== 'forbidden' ? 'checks' : 'probe', why: `its probe from this node fails: ${probe.why}` }
}

function waitingWords(check: string, { results, checksFailure }: InstanceFacts): string {
  const result = results?.find((each) => each.check === check)
  const state = result === undefined ? (checksFailure === '' ? 'no result yet' : checksFailure) : result.output === '' || result.status === 'pending' ? result.status : `${result.status} (${result.output})`
  return `check '${check}' has not passed yet: ${state}`
}

/** What one look at the checks of its allocation adds. `null` results say nothing, and so change nothing. */
export function afterChecks(facts: InstanceFacts, service: string, results: readonly CheckResult[] | undefined): InstanceFacts {
  if (results === undefined) return { ...facts, checksFailure: '' }
  const own = results.filter((each) => each.service === service)
  const failing = new Set(own.filter(({ status }) => status !== 'success').map(({ check }) => check))
  const passing = own.map(({ check }) => check).filter((check) => !failing.has(check))
  const { probe } = facts
  // A derived probe is a guess at what the client finds out: a run after it failed that passed knows better.
  const refuted = probe.failing && probe.derived && failing.size === 0 && own.length > 0 && own.every(({ check, ranAt }) => ranAt > (facts.results?.find((before) => before.check === check)?.ranAt ?? Infinity))
  return { ...facts, results: own, checksFailure: '', passed: new Set([...facts.passed, ...passing]), ...(refuted ? { probe: noProbe } : {}) }
}

/** A newer word on its allocation. */
export function afterStatus(facts: InstanceFacts, status: AllocationStatus): InstanceFacts {
  const { status: before } = facts
  if (before !== undefined && status.index < before.index) return facts
  // Untouched allocations lose their verdict at each new version of their job and get it back: only what turns healthy after the registration counts.
  const judged = before !== undefined && before.healthy !== true && status.healthy === true
  return { ...facts, status, judgedHealthy: facts.judgedHealthy || judged }
}

/** Registered again under the same id: what was found out before is worth nothing, but that it was ready. */
export const afterRenewal = (facts: InstanceFacts): InstanceFacts => ({ ...unknownFacts, status: facts.status, checks: facts.checks, allocation: facts.allocation, wasReady: facts.wasReady })
