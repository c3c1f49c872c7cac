// What is kept of one instance while its health is followed.
import type { InstanceHealth, ProbeSpec } from '#src/catalog/catalog.ts'
import type { Allocation } from './check-definition.ts'
import type { HealthRule, InstanceFacts } from './health-rule.ts'
import type { Registration } from './registration.ts'

/** A registered instance and where it is reached. */
export interface Candidate {
  readonly registration: Registration
  readonly host: string
  readonly port: number
}

export interface InstanceState {
  readonly health: InstanceHealth
  readonly why: string
  /** Wall clock, milliseconds. */
  readonly since: number
}

/** What is followed of one instance. */
export interface Entry {
  candidate: Candidate
  rule: HealthRule
  facts: InstanceFacts
  state: InstanceState
  /** Namespace, job, version and group: what one of them defines, all do. '' until it is known. */
  version: string
  /** How it is probed; undefined: not at all (as yet). */
  probe: { readonly spec: ProbeSpec; readonly derived: boolean } | undefined
  /** The rounds of probes have it. */
  inRounds: boolean
  /** Since when it is waited for. */
  since: number
  /** When the results of its checks were asked for last. */
  lookedAt: number
  /** When the run that they are from may have been, at the latest and at the earliest; undefined: none was seen to happen. */
  run: { readonly after: number; readonly before: number } | undefined
  /** Something is being found out about it. */
  running: boolean
  /** Ends its pause. */
  nap: AbortController | undefined
  /** It was looked at once, to its first wait. */
  tried: boolean
  /** What is known of it will be told in a moment. */
  telling: boolean
  readonly ended: AbortController
}

/** Equal for allocations of which one version of a job defines the same. */
export const versionOf = ({ namespace, job, jobVersion, group }: Allocation): string => `${namespace}/${job}/${jobVersion}/${group}`
