// Snapshots on their way to the workers: revisions, slices of what changed, and the whole for a worker that missed something.
import type { Service, ServiceKey, Snapshot, SnapshotSlice } from '#src/snapshot.ts'

/** What one slice holds at most, to be compiled in one turn of a worker's loop: services, and endpoints and routes of services that have many. */
export const SLICE_SERVICES = 100
export const SLICE_PARTS = 1000

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
  const parts = partition(changed)
  const count = Math.max(1, parts.length, Math.ceil(removed.length / SLICE_SERVICES))
  return Array.from({ length: count }, (_, at) => ({
    from, to, complete,
    changed: parts[at] ?? [],
    removed: removed.slice(at * SLICE_SERVICES, (at + 1) * SLICE_SERVICES),
    last: at === count - 1,
  }))
}

/** In their order; a service that is larger than a slice has one of its own. */
function partition(services: readonly Service[]): Service[][] {
  const parts: Service[][] = []
  let size = Number.POSITIVE_INFINITY
  for (const service of services) {
    const own = service.endpoints.length + service.routes.reduce((sum, { endpoints }) => sum + 1 + endpoints.length, 0)
    const last = parts.at(-1)
    if (last === undefined || last.length >= SLICE_SERVICES || size + own > SLICE_PARTS) {
      parts.push([service])
      size = own
    } else {
      last.push(service)
      size += own
    }
  }
  return parts
}
