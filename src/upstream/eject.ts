// Passive health: which failures put an endpoint out of service, and for how long. State lives on the endpoint.
import type { Ejection } from '#src/messages.ts'
import type { Endpoint } from './endpoint.ts'

export interface EjectSettings {
  /** Failures in a row. */
  readonly failures: number
  /** The first ejection; each further one in a row is longer by this. Milliseconds. */
  readonly timeMs: number
  readonly slowStartMs: number
}

/** One failed connect is enough to prefer others for this long. */
const AVOID_MS = 1000
/** Ejections do not grow beyond this many times the first. */
const MAX_TIMES = 30
/** Without an ejection for this many times the last one, the next is a first one again. */
const FORGET_TIMES = 3

/**
 * Counts a failure of `endpoint`. Returns the ejection when it was one too many and `others` (the service's other endpoints)
 * has one that is not failing: the last one standing is never taken away. `now` in milliseconds.
 */
export function recordFailure(endpoint: Endpoint, why: string, connecting: boolean, others: readonly Endpoint[], now: number, settings: EjectSettings): Ejection | undefined {
  endpoint.failures++
  if (connecting) endpoint.avoidUntil = now + AVOID_MS
  if (endpoint.failures < settings.failures || endpoint.ejectedUntil > now) return undefined
  if (!others.some((other) => other !== endpoint && other.ejectedUntil <= now && other.failures < settings.failures)) return undefined
  const times = now - endpoint.ejectedUntil > FORGET_TIMES * settings.timeMs * Math.max(1, endpoint.ejections) ? 1 : Math.min(MAX_TIMES, endpoint.ejections + 1)
  return { key: endpoint.key, forMs: settings.timeMs * times, times, why }
}

/** Statuses eject only where the route asks for it, and never more than half of the endpoints: any client can ask for a URL that fails. */
export function mayEjectForStatus(endpoints: readonly Endpoint[], now: number): boolean {
  const out = endpoints.filter((endpoint) => endpoint.ejectedUntil > now).length
  return (out + 1) * 2 <= endpoints.length
}

/** Puts an endpoint out of service for a time; it comes back slowly. */
export function eject(endpoint: Endpoint, ejection: Ejection, now: number, settings: EjectSettings): void {
  endpoint.ejectedUntil = now + ejection.forMs
  endpoint.ejections = ejection.times
  endpoint.why = ejection.why
  endpoint.failures = 0
  endpoint.slowStartFrom = settings.slowStartMs > 0 ? endpoint.ejectedUntil : 0
}

/** A response has begun: it can be connected to. */
export function recordAnswer(endpoint: Endpoint): void {
  endpoint.avoidUntil = 0
}

/** A response came to its end: whatever failed before is not in a row with what may follow. */
export function recordSuccess(endpoint: Endpoint): void {
  endpoint.failures = 0
}
