// Snapshots on their way to the workers: revisions, slices of what changed, and the whole for a worker that missed something.
import type { Service, ServiceKey, Snapshot, SnapshotSlice } from '#src/snapshot.ts'

/** Services in one slice: compiled in one turn of a worker's loop. */
export const SLICE_SERVICES = 200

export class Publisher {
  readonly #services = new Map<ServiceKey, Service>()
  #revision = 0
  #complete = false

  get revision(): number {
    return this.#revision
  }

  get snapshot(): Snapshot {
    return { revision: this.#revision, complete: this.#complete, services: this.#services }
  }

  /** Takes a change; returns the slices for workers that have the revision before, or none when nothing changed. */
  publish(changed: readonly Service[], removed: readonly ServiceKey[], complete: boolean): readonly SnapshotSlice[] {
    if (changed.length === 0 && removed.length === 0 && complete === this.#complete) return []
    const from = this.#revision++
    for (const key of removed) this.#services.delete(key)
    for (const service of changed) this.#services.set(service.key, service)
    this.#complete = complete
    return slicesOf(changed, removed, from, this.#revision, complete)
  }

  /** The whole snapshot, for a new worker or one that missed something. */
  whole(): readonly SnapshotSlice[] {
    return slicesOf([...this.#services.values()], [], -1, this.#revision, this.#complete)
  }
}

function slicesOf(changed: readonly Service[], removed: readonly ServiceKey[], from: number, to: number, complete: boolean): SnapshotSlice[] {
  const slices: SnapshotSlice[] = []
  const count = Math.max(1, Math.ceil(Math.max(changed.length, removed.length) / SLICE_SERVICES))
  for (let part = 0; part < count; part++) {
    const begin = part * SLICE_SERVICES
    slices.push({
      from, to, complete,
      changed: changed.slice(begin, begin + SLICE_SERVICES),
      removed: removed.slice(begin, begin + SLICE_SERVICES),
      last: part === count - 1,
    })
  }
  return slices
}
