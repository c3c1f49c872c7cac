// Instances that are registered no more: kept as the last resort for a minute, since that is no proof that nobody listens there (finding 22).
import type { Instance } from '#src/catalog/catalog.ts'
import type { Clock } from '#src/registry/clock.ts'
import type { ServiceId } from './known-services.ts'

export interface VanishedOptions {
  readonly clock: Clock
  readonly random: () => number
  readonly signal: AbortSignal
  /** Tries to connect once; '' when it succeeded, else why not. */
  connect(host: string, port: number): Promise<string>
  /** One of the service's is not kept any longer. */
  onGone(id: ServiceId): void
}

/** DESIGN section 9. */
const KEEP_MS = 60_000
/** Between two connections to one of them. */
const TRY_MS = 1000

interface Kept {
  readonly service: ServiceId
  readonly instance: Instance
  readonly ended: AbortController
}

export class VanishedInstances {
  readonly #options: VanishedOptions
  readonly #kept = new Map<string, Kept>()

  constructor(options: VanishedOptions) {
    this.#options = options
  }

  /** It was ready once, and is registered no more. */
  keep(service: ServiceId, instance: Instance): void {
    if (instance.health === 'pending' || this.#kept.has(instance.id)) return
    const left: Instance = { ...instance, health: 'leaving', why: 'it is registered no more', since: this.#options.clock.wall() }
    const kept = { service, instance: left, ended: new AbortController() }
    this.#kept.set(instance.id, kept)
    void this.#watch(kept)
  }

  /** It is registered again, or its address belongs to another registration. */
  registered(id: string, host: string, port: number): void {
    if (this.#kept.size === 0) return
    for (const kept of this.#kept.values()) {
      if (kept.instance.id === id || (kept.instance.port === port && kept.instance.host === host)) this.#drop(kept)
    }
  }

  /** Of one service. */
  of(service: ServiceId): readonly Instance[] {
    return this.#kept.size === 0 ? [] : Array.from(this.#kept.values()).flatMap((kept) => (kept.service === service ? kept.instance : []))
  }

  /** Of services that are known no more, each service's together. */
  ofOthers(isKnown: (service: ServiceId) => boolean): readonly Instance[] {
    const others = Array.from(this.#kept.values()).filter(({ service }) => !isKnown(service))
    return others.sort((a, b) => (a.service < b.service ? -1 : a.service > b.service ? 1 : 0)).map(({ instance }) => instance)
  }

  /** Until nobody listens there, or its time is over. */
  async #watch(kept: Kept): Promise<void> {
    const { clock, random, connect } = this.#options
    const until = clock.now() + KEEP_MS
    const signal = AbortSignal.any([kept.ended.signal, this.#options.signal])
    while (!signal.aborted && clock.now() < until) {
      await clock.wait(TRY_MS * (0.5 + random()), signal)
      if (!signal.aborted && await connect(kept.instance.host, kept.instance.port) !== '') break
    }
    if (!signal.aborted) this.#drop(kept)
  }

  #drop(kept: Kept): void {
    if (this.#kept.get(kept.instance.id) !== kept) return
    this.#kept.delete(kept.instance.id)
    kept.ended.abort()
    this.#options.onGone(kept.service)
  }
}
