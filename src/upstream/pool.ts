// Getting a connection to an endpoint: the warmest idle one, a new one, or a place in its queue.
import type { Endpoint, Waiter } from './endpoint.ts'
import { UpstreamConnection, type ResponseSink, type UpstreamContext } from './connection.ts'

export interface PoolLimits {
  readonly connections: number
  readonly queue: number
}

/** A method that must not be repeated uses only connections that were idle for less than this: the upstream may just be closing older ones. */
const FRESH_MS = 1000

/**
 * An idle connection (use it now), `opening` (the sink hears `connected` or `upstreamFailed`), `queued` (the waiter is told when to
 * ask again) or `full`.
 */
export function acquire(
  context: UpstreamContext, limits: PoolLimits, endpoint: Endpoint, sink: ResponseSink, waiter: Waiter, repeatable: boolean,
): UpstreamConnection | 'queued' | 'full' {
  const idle = endpoint.takeIdle()
  if (idle !== undefined) {
    if (repeatable || idle.freshFor(FRESH_MS)) return idle
    endpoint.idle.push(idle)
  }
  if (endpoint.open < limits.connections) return new UpstreamConnection(context, endpoint, sink)
  if (idle !== undefined) {
    idle.close() // too old to be trusted with this request, and in the way of a fresh one
    return new UpstreamConnection(context, endpoint, sink)
  }
  if (endpoint.waiters.length >= limits.queue) return 'full'
  endpoint.waiters.push(waiter)
  return 'queued'
}

/** Tells the longest waiting exchange that it may ask again. */
export function release(endpoint: Endpoint): void {
  endpoint.waiters.shift()?.retry()
}

/** Takes a waiter out of the queue. */
export function leaveQueue(endpoint: Endpoint, waiter: Waiter): void {
  const at = endpoint.waiters.indexOf(waiter)
  if (at >= 0) endpoint.waiters.splice(at, 1)
}
