// What the planes say to each other, beside the shared counters: plain data over the worker's message port.
import type { DataPlaneSettings, SnapshotSlice } from './snapshot.ts'

/** An endpoint that a worker saw failing; the other workers leave it out too. Milliseconds. */
export interface Ejection {
  /** `scheme://address`. */
  readonly key: string
  /** How long from now. */
  readonly forMs: number
  /** In a row. */
  readonly times: number
  readonly why: string
}

/** What a worker is started with. */
export interface WorkerStart {
  readonly settings: DataPlaneSettings
  readonly reusePort: boolean
  /** `WORKER_CELLS` doubles, written by the worker. */
  readonly counters: SharedArrayBuffer
  readonly pages: readonly SharedArrayBuffer[]
  /** One double, written by the main thread: octets of access log that it has taken from this worker's queue. */
  readonly accessTaken: SharedArrayBuffer
}

export type ToWorker =
  | { readonly kind: 'page'; readonly page: SharedArrayBuffer }
  | { readonly kind: 'slice'; readonly slice: SnapshotSlice }
  | { readonly kind: 'eject'; readonly ejection: Ejection }
  /** New settings, listeners included; answered by `listening` or `refused`. */
  | { readonly kind: 'settings'; readonly settings: DataPlaneSettings }
  | { readonly kind: 'drain'; readonly deadlineMs: number }

export type FromWorker =
  | { readonly kind: 'listening' }
  /** A listener could not be bound. */
  | { readonly kind: 'refused'; readonly error: string }
  | { readonly kind: 'swapped'; readonly revision: number }
  /** It missed something and needs the whole snapshot. */
  | { readonly kind: 'behind' }
  | { readonly kind: 'ejected'; readonly ejection: Ejection }
  /** Nobody listens at an endpoint (`scheme://address`); told at most once a second for each. */
  | { readonly kind: 'nobody listens'; readonly key: string }
  | { readonly kind: 'access'; readonly lines: string; readonly records: number; readonly bytes: number }
  /** A mistake of ours ended one connection. */
  | { readonly kind: 'boundary'; readonly error: string }
  | { readonly kind: 'drained' }
