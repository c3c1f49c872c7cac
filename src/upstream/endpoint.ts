// What we observed of one endpoint: it outlives snapshots, keyed by scheme and address, and holds its connections.
import type { Endpoint as EndpointSpec } from '#src/snapshot.ts'
import type { UpstreamConnection } from './connection.ts'

/** Something that waits until the endpoint has a connection to spare. */
export interface Waiter {
  /** Try again now. */
  retry(): void
}

/** One address that we connect to, in one worker. */
export class Endpoint {
  readonly key: string
  readonly address: string
  readonly host: string
  readonly port: number
  /** Exchanges that are waiting for it or talking to it. */
  inFlight = 0
  /** Connections that are open or being opened. */
  open = 0
  /** Idle connections, the most recently used last: it is the warmest. */
  readonly idle: UpstreamConnection[] = []
  readonly waiters: Waiter[] = []
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
  retired = false

  constructor(key: string, spec: EndpointSpec) {
    this.key = key
    this.address = spec.address
    this.host = spec.host
    this.port = spec.port
  }

  /** The warmest idle connection, which is the caller's from now on. */
  takeIdle(): UpstreamConnection | undefined {
    return this.idle.pop()
  }

  /** No service names it any more: idle connections end, busy ones when their exchange does. */
  retire(): void {
    this.retired = true
    while (this.idle.length > 0) this.idle.pop()!.close()
  }
}
