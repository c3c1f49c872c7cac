// Which slot of the shared counters belongs to which service, and the pages of memory behind them.
import { NO_SERVICE_SLOT } from '#src/observe/counters.ts'
import type { ServiceKey } from '#src/snapshot.ts'

/** A freed slot rests this long: exchanges that began before its service went may still be counting in it. */
const REST_MS = 60_000

export class Slots {
  readonly #slots = new Map<ServiceKey, number>()
  readonly #freed: { readonly slot: number; readonly at: number }[] = []
  #next = NO_SERVICE_SLOT + 1

  /** The slot of a service, given to it now if it has none. `now` in milliseconds. */
  take(key: ServiceKey, now: number): { readonly slot: number; readonly fresh: boolean } {
    const held = this.#slots.get(key)
    if (held !== undefined) return { slot: held, fresh: false }
    const rested = this.#freed[0] !== undefined && now - this.#freed[0].at >= REST_MS ? this.#freed.shift() : undefined
    const slot = rested?.slot ?? this.#next++
    this.#slots.set(key, slot)
    return { slot, fresh: true }
  }

  /** The service is gone. Returns its slot. */
  free(key: ServiceKey, now: number): number | undefined {
    const slot = this.#slots.get(key)
    if (slot === undefined) return undefined
    this.#slots.delete(key)
    this.#freed.push({ slot, at: now })
    return slot
  }

  /** Slots that may be in use: all below this. */
  get end(): number {
    return this.#next
  }
}
