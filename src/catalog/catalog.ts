// What a catalog is: where services are registered, as a stream of whole readings.

/** As the catalog (or the operator, in a file) sees an instance. */
export type InstanceHealth = 'passing' | 'warning' | 'critical' | 'maintenance'

/** One registration: an instance of a service. */
export interface Instance {
  /** Unique and stable within its catalog. */
  readonly id: string
  readonly service: string
  readonly namespace: string
  /** IP address without brackets, or a DNS name. */
  readonly host: string
  readonly port: number
  readonly tags: readonly string[]
  readonly health: InstanceHealth
  /** Of two instances the one with the higher number was registered later; absent where the catalog cannot tell. */
  readonly order?: number
  /** Where an operator finds it: `services.yaml:12`, or a job and allocation. */
  readonly where: string
}

/** Something wrong with the tags of one service or with one catalog; shown, never fatal. */
export interface Problem {
  /** `name@catalog/namespace`, or `@catalog` for the catalog itself. */
  readonly service: string
  /** The router it takes out of service; '' when it concerns the whole service or catalog. */
  readonly router: string
  /** The tag as written, or ''. */
  readonly tag: string
  readonly reason: string
  readonly where: string
}

/** "Not read yet" and "read, and empty" are different answers: the first keeps what was known. */
export type Reading =
  | { readonly kind: 'read'; readonly instances: readonly Instance[]; readonly problems: readonly Problem[] }
  /** The catalog could not be read (or not understood): the last good reading stays in force. */
  | { readonly kind: 'failed'; readonly problems: readonly Problem[] }

export interface Catalog {
  /** `file`, `nomad`, `consul`: the part after @ in a service key. */
  readonly name: string
  /**
   * Addresses are handed out anew (a scheduler's ports): what is not confirmed may belong to somebody else by now. False for
   * what an operator wrote down.
   */
  readonly reusesAddresses: boolean
  /** Readings, the first as soon as there is one; ends when the signal aborts. Never throws. */
  readings(signal: AbortSignal): AsyncIterable<Reading>
}
