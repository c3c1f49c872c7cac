// Which service is read next, and when: changes at once and then at most every 100 ms each, ten a second in all. Pure, but for what it remembers.

import { RateWindow } from './rate-window.ts'

export interface ReadLimits {
  /** Reads that changes may cause, in any second. */
  readonly perSecond: number
  /** Between two reads of one service. */
  readonly restMs: number
}

/** `first`: when the program starts, as fast as answers come; `changed`: something names it; `checked`: a look whether something was missed. */
export type Lane = 'first' | 'changed' | 'checked'

export class ReadQueue {
  readonly #limits: ReadLimits
  readonly #lanes: Readonly<Record<Lane, Set<string>>> = { first: new Set(), changed: new Set(), checked: new Set() }
  /** When each service was read last, as long as that matters. */
  readonly #resting = new Map<string, number>()
  readonly #window: RateWindow

  constructor(limits: ReadLimits) {
    this.#limits = limits
    this.#window = new RateWindow(limits.perSecond)
  }

  get size(): number {
    return this.#lanes.first.size + this.#lanes.changed.size + this.#lanes.checked.size
  }

  /** A service that waits already moves up where the lane is a better one. */
  add(id: string, lane: Lane): void {
    if (this.#lanes.first.has(id) || (lane !== 'first' && this.#lanes.changed.has(id))) return
    for (const other of Object.values(this.#lanes)) other.delete(id)
    this.#lanes[lane].add(id)
  }

  delete(id: string): void {
    for (const lane of Object.values(this.#lanes)) lane.delete(id)
  }

  /** The next service to be read now. */
  take(now: number): string | undefined {
    this.#forget(now)
    const given = this.#window.count(now)
    for (const name of ['first', 'changed', 'checked'] as const) {
      if (given >= this.#mostOf(name)) return undefined
      const lane = this.#lanes[name]
      for (const id of lane) {
        if (this.#resting.has(id)) continue
        lane.delete(id)
        this.#resting.set(id, now)
        if (name !== 'first') this.#window.note(now)
        return id
      }
    }
    return undefined
  }

  /** How long until something can be taken; undefined: nothing waits. */
  waitMs(now: number): number | undefined {
    this.#forget(now)
    if (this.size === 0) return undefined
    const rest = (id: string): number => Math.max(0, (this.#resting.get(id) ?? Number.NEGATIVE_INFINITY) + this.#limits.restMs - now)
    const soonest = (lane: Lane): number => {
      let least = Number.POSITIVE_INFINITY
      for (const id of this.#lanes[lane]) if ((least = Math.min(least, rest(id))) === 0) break
      return least
    }
    return Math.min(...(['first', 'changed', 'checked'] as const).map((lane) => Math.max(soonest(lane), this.#window.waitMs(now, this.#mostOf(lane)))))
  }

  /** Whether so much changes that reads have to be rationed. */
  isBusy(now: number): boolean {
    return this.#window.count(now) + this.#lanes.changed.size >= this.#mostOf('checked')
  }

  /** A look leaves room for a change that comes in the same second. */
  #mostOf(lane: Lane): number {
    const { perSecond } = this.#limits
    return lane === 'first' ? Number.POSITIVE_INFINITY : lane === 'changed' ? perSecond : Math.ceil(perSecond / 2)
  }

  #forget(now: number): void {
    for (const [id, at] of this.#resting) {
      if (at + this.#limits.restMs > now) break
      this.#resting.delete(id)
    }
  }
}
