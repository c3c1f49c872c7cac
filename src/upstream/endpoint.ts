// What we observed of one endpoint: it outlives snapshots, keyed by scheme and address. Its connections are in its pool.
import type { Endpoint as EndpointSpec } from '#src/snapshot.ts'

/** One address that we connect to, in one worker. */
export class Endpoint {
  /** As in messages to the other workers: scheme, TLS settings and address. */
  readonly key: string
  /** `host:port`, IPv6 in brackets. */
  readonly address: string
  /** Exchanges that are waiting for it or talking to it. */
  inFlight = 0
  /** Failures in a row that count towards an ejection. */
  failures = 0
  /** Ejections in a row: each lasts longer. */
  ejections = 0
  /** Until when (ms, the worker's clock) it takes no traffic while another endpoint is left. */
  ejectedUntil = 0
  /** Until when others are preferred, after a failed connect. */
  avoidUntil = 0
  /** Since when it takes traffic again after an ejection; its share grows from there. 0: at full share. */
  slowStartFrom = 0
  /** Why it was ejected. */
  why = ''
  /** Services of the current table that name it; 0: it is retired. */
  references = 0

  constructor(key: string, { address }: EndpointSpec) {
    this.key = key
    this.address = address
  }
}

export const noEndpoints: readonly Endpoint[] = []
