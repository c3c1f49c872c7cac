// Who is admitted while the permission to read a catalog is missing: everybody for a quarter of an hour, then those who were, where they were. Pure, but for what it remembers.
import { isIP } from 'node:net'
import type { Instance } from '#src/catalog/catalog.ts'

/** DESIGN section 6.1: after so long without permission what comes may be somebody's from whom it was taken away. */
export const FORBIDDEN_MS = 15 * 60_000

const NOT_ADMITTED = 'the token may not read it since 15 minutes or more: nothing new is admitted'

/** All times are wall clock, milliseconds. */
export class Permission {
  #missingSince: number | undefined
  /** Who was admitted when it was over; undefined: it is not. */
  #admitted: ReadonlySet<string> | undefined
  /** What is shown in place of an instance: the same object each time, so that nothing is assembled anew for it. */
  #shown = new WeakMap<Instance, Instance>()

  /** Undefined: it is not missing, as far as is known. */
  get missingSince(): number | undefined {
    return this.#missingSince
  }

  /** Nothing new is admitted. */
  get isOver(): boolean {
    return this.#admitted !== undefined
  }

  /** When nothing new will be admitted; undefined: it is not missing, or that is so already. */
  get endsAt(): number | undefined {
    return this.#missingSince === undefined || this.isOver ? undefined : this.#missingSince + FORBIDDEN_MS
  }

  /** It is missing, since `since` at the latest. */
  miss(since: number): void {
    this.#missingSince = Math.min(this.#missingSince ?? since, since)
  }

  grant(): void {
    this.#missingSince = undefined
    this.#admitted = undefined
    this.#shown = new WeakMap()
  }

  /** Whoever is among `instances` now, and has been ready, stays. True: it was time. */
  end(now: number, instances: readonly Instance[]): boolean {
    if (this.endsAt === undefined || now < this.endsAt) return false
    this.#admitted = new Set(instances.filter(({ health }) => health !== 'pending').map(identity))
    return true
  }

  /** As they may be used; `isConcerned`: whether an instance is one of those that may not be read. */
  admit(instances: readonly Instance[], isConcerned: (instance: Instance) => boolean): readonly Instance[] {
    const admitted = this.#admitted
    if (admitted === undefined) return instances
    return instances.map((instance) => {
      if (!isConcerned(instance)) return instance
      let shown = this.#shown.get(instance)
      if (shown === undefined) this.#shown.set(instance, shown = !admitted.has(identity(instance)) ? { ...instance, health: 'pending', why: NOT_ADMITTED } : isIP(instance.host) === 0 ? { ...instance, pinned: true } : instance)
      return shown
    })
  }
}

const identity = ({ id, host, port }: Instance): string => `${id} ${host} ${port}`
