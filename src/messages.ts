// What the planes say to each other, beside the shared counters: plain data over the worker's message port.
import { hash } from 'node:crypto'
import type { MessagePort } from 'node:worker_threads'
import { isSecure, type DataPlaneSettings, type Endpoint, type Service, type SnapshotSlice } from './snapshot.ts'

/** An endpoint that a worker saw failing; the other workers leave it out too. Milliseconds. */
export interface Ejection {
  /** As `endpointKey` makes it. */
  readonly key: string
  /** How long from now. */
  readonly forMs: number
  /** In a row. */
  readonly times: number
  readonly why: string
}

/** A client that did not become a connection. */
export interface HandshakeFailure {
  readonly listener: string
  readonly address: string
  readonly serverName: string
  readonly reason: string
  readonly detail: string
}

/** A certificate with its key: what only workers and their main thread see. Never shown, never logged. */
export interface Certificate {
  /** Which of the configured ones it is; it outlives renewals. */
  readonly id: string
  /** Another after each change of its content. */
  readonly version: string
  /** Lower case: hosts, and `*.` wildcards of one label. */
  readonly names: readonly string[]
  /** For clients that name no host, or one that no certificate has. */
  readonly isDefault: boolean
  /** Of its key: `ec`, `rsa`, … */
  readonly kind: string
  /** Wall clock, milliseconds. */
  readonly notBefore: number
  /** PEM, the chain in order; on shared memory, so that thousands of them are there once. */
  readonly cert: Uint8Array
  /** PEM. */
  readonly key: Uint8Array
}

/** What a worker is started with. */
export interface WorkerStart {
  readonly settings: DataPlaneSettings
  readonly reusePort: boolean
  /** The 48 octets that session tickets are made with. */
  readonly ticketKeys: Uint8Array
  /** `WORKER_CELLS` doubles, written by the worker. */
  readonly counters: SharedArrayBuffer
  /** Counters of services, written by this worker alone; further ones come with the table. */
  readonly pages: readonly SharedArrayBuffer[]
  /** Where `TableMessage`s come from. */
  readonly table: MessagePort
  /** Where it leaves its access-log lines (observe/access-batch.ts). */
  readonly accessSlabs: SharedArrayBuffer
}

/**
 * The table's way to a worker: a port of its own, from which the worker takes one message in each turn of its loop. (A port with a
 * listener hands over all that waits in one turn: 25 slices stalled a worker for 46 ms.) Pages come here too, before the slices that need them.
 */
export type TableMessage = { readonly kind: 'page'; readonly page: SharedArrayBuffer } | { readonly kind: 'slice'; readonly slice: SnapshotSlice }

export type ToWorker =
  /** Something is to be taken from the table's port. */
  | { readonly kind: 'table' }
  | { readonly kind: 'eject'; readonly ejection: Ejection }
  /** Certificates that are new or have changed, and ids of those that are no more. The first comes before the table. */
  | { readonly kind: 'certificates'; readonly changed: readonly Certificate[]; readonly removed: readonly string[] }
  /** The 48 octets that session tickets are made with from now on. */
  | { readonly kind: 'ticket keys'; readonly keys: Uint8Array }
  /** New settings, listeners included; answered by `listening` or `refused`. */
  | { readonly kind: 'settings'; readonly settings: DataPlaneSettings }
  | { readonly kind: 'drain'; readonly deadlineMs: number }

export type FromWorker =
  /** It has a table and listens on all that the settings name. */
  | { readonly kind: 'listening' }
  /** A listener could not be bound. */
  | { readonly kind: 'refused'; readonly error: string }
  | { readonly kind: 'swapped'; readonly revision: number }
  /** It missed something and needs the whole snapshot. */
  | { readonly kind: 'behind' }
  | { readonly kind: 'ejected'; readonly ejection: Ejection }
  /** Nobody listens at an endpoint (`scheme://address`); told at most once a second for each. */
  | { readonly kind: 'nobody listens'; readonly key: string }
  /** Only told where the settings say so, and at most a hundred times a second. */
  | { readonly kind: 'handshake failed'; readonly failure: HandshakeFailure }
  /** Access-log lines: the first `bytes` octets of a slab. */
  | { readonly kind: 'access'; readonly slab: number; readonly bytes: number; readonly records: number }
  /** A mistake of ours ended one connection, or kept one service from changing; told at most once a second. */
  | { readonly kind: 'boundary'; readonly error: string }
  | { readonly kind: 'drained' }

/** What is observed of an endpoint is kept under this key: `scheme://address`, with what TLS does there otherwise than usual behind the scheme. */
export function endpointKey({ scheme, tls }: Pick<Service, 'scheme' | 'tls'>, { address, guarded, pinned }: Pick<Endpoint, 'address' | 'guarded' | 'pinned'>): string {
  const guard = `${guarded === true ? '+guarded' : ''}${pinned === true ? '+pinned' : ''}`
  if (!isSecure(scheme)) return `${scheme}${guard}://${address}`
  const name = tls.serverName === '' ? '' : `+${tls.serverName}`
  const authority = tls.ca === '' ? '' : `+ca:${hash('sha256', tls.ca).slice(0, 16)}`
  return `${scheme}${guard}${name}${authority}${tls.skipVerify ? '+unverified' : ''}://${address}`
}
