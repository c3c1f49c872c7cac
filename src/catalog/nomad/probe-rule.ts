// What is probed, how often, and what the outcomes amount to. Pure: DESIGN section 6.4 and 6.5.
import type { ProbeSpec } from '#src/catalog/catalog.ts'
import type { DefinedCheck } from './check-definition.ts'

export interface ProbeState {
  /** It stands for a check of the job: the client's own results know better. */
  readonly derived: boolean
  /** It has passed from this node, as often in a row as it has to. */
  readonly hasPassed: boolean
  readonly failing: boolean
  /** The last outcome that did not pass, or ''. */
  readonly why: string
  /** Outcomes of the same kind in a row. */
  readonly passes: number
  readonly failures: number
}

export const noProbe: ProbeState = { derived: false, hasPassed: false, failing: false, why: '', passes: 0, failures: 0 }

/** `why` '' : it passed. A failure counts only after it has passed once from here: not every node can reach every port. */
export function afterProbe(state: ProbeState, spec: ProbeSpec, derived: boolean, why: string): ProbeState {
  if (why === '') {
    const passes = state.passes + 1
    const enough = passes >= spec.passes
    return { derived, hasPassed: state.hasPassed || enough, failing: state.failing && !enough, why: state.failing && !enough ? state.why : '', passes, failures: 0 }
  }
  const failures = state.failures + 1
  return { derived, hasPassed: state.hasPassed, failing: state.failing || (state.hasPassed && failures >= spec.failures), why, passes: 0, failures }
}

/** The probe that stands for the first check of a job that can be made from here: one of the service's own port or of a literal one. */
export function deriveProbe(checks: readonly DefinedCheck[]): ProbeSpec | undefined {
  const check = checks.find(({ portLabel }) => portLabel === '' || /^\d{1,5}$/.test(portLabel))
  if (check === undefined) return undefined
  const { kind, https, method, path, headers, body, intervalMs, timeoutMs, portLabel } = check
  const pace = { port: Number(portLabel), intervalMs: Math.max(1000, intervalMs), timeoutMs: Math.min(10_000, Math.max(100, timeoutMs)), failures: 2, passes: 1 }
  // By HTTP/1.1 whatever the service speaks, as Nomad's client makes it.
  return kind === 'tcp' ? { kind, ...pace } : { kind, http2: false, secure: https, method, path, headers, body, statuses: [[200, 399]], ...pace }
}

/** Where a job defines no check to go by: whether it accepts a connection. */
export const plainProbe: ProbeSpec = { kind: 'tcp', port: 0, intervalMs: 10_000, timeoutMs: 2000, failures: 2, passes: 1 }

/** All other nodes together: one in two seconds, and as many again for first failures. */
const OTHERS_MS = 2000
/** The node of an instance: one a second. */
const OWN_MS = 1000
/** From this node: fifty a second, for all that it probes. */
const EACH_MS = 20
/** A first failure is looked at again after this. */
const AGAIN_MS = 500

/**
 * Before the next probe of an instance: at its interval, and slower where there are many nodes that probe it (all of them together: no
 * more than two a second) or many instances that are probed from here.
 */
export function probeIntervalMs({ intervalMs }: ProbeSpec, { fleet, here, probed, doubtful }: { readonly fleet: number; readonly here: boolean; readonly probed: number; readonly doubtful: boolean }, random: () => number): number {
  const least = Math.max(here ? OWN_MS : OTHERS_MS * (fleet - 1), EACH_MS * probed)
  if (doubtful) return AGAIN_MS
  return Math.max(intervalMs * (0.9 + 0.1 * random()), least * (0.9 + 0.2 * random()))
}
