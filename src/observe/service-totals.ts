// The sums of what all workers counted per service, kept so that no total ever goes backwards.
import type { ServiceKey } from '#src/snapshot.ts'
import { cells, NO_SERVICE_SLOT, PAGE_SERVICES, SERVICE_CELLS, serviceCells, WORKER_CELLS, workerCounters } from './counters.ts'

/** The memory that one worker counts in. */
export interface WorkerCounts {
  readonly id: number
  /** `WORKER_CELLS` long. */
  readonly cells: Float64Array
  /** Pages of services; one that this worker was not given yet may be missing. */
  readonly pages: readonly SharedArrayBuffer[]
}

/** Stands for all services beyond the bound, and for requests that reached none; a key always has an @, so neither can be one. */
export const OTHER_SERVICES = 'other'
export const NO_SERVICE = 'none'

interface Place {
  readonly key: string
  /** Has no series of its own. */
  readonly folded: boolean
  /** Added to what the workers' cells say: dead workers' counts, less what an earlier service left in the slot. */
  readonly base: Float64Array
}

/** Cells belong to slots, slots to one service after the other, and workers come and go: this keeps the account. */
export class ServiceTotals {
  readonly #places = new Map<number, Place>()
  readonly #ofDeadWorkers = new Float64Array(WORKER_CELLS)
  /** What services counted while they were folded, and are gone. */
  readonly #ofFolded = new Float64Array(SERVICE_CELLS)
  readonly #workers: () => Iterable<WorkerCounts>
  readonly #maxOwn: number
  #folded = 0

  constructor(workers: () => Iterable<WorkerCounts>, maxOwn: number) {
    this.#workers = workers
    this.#maxOwn = maxOwn
    this.#places.set(NO_SERVICE_SLOT, { key: NO_SERVICE, folded: false, base: new Float64Array(SERVICE_CELLS) })
  }

  /** Services without series of their own. */
  get folded(): number {
    return this.#folded
  }

  /** The slot is the service's from now on, and counts from zero, whatever its cells hold. */
  add(key: ServiceKey, slot: number): void {
    this.remove(slot)
    const folded = this.#places.size - 1 - this.#folded >= this.#maxOwn
    if (folded) this.#folded++
    const base = this.#counted(slot).map((count) => -count)
    base[cells.inFlight] = 0
    this.#places.set(slot, { key, folded, base })
  }

  /** The service is gone, and its series with it. */
  remove(slot: number): void {
    const place = this.#places.get(slot)
    if (place === undefined) return
    this.#places.delete(slot)
    if (!place.folded) return
    this.#folded--
    addTo(this.#ofFolded, this.#total(slot, place))
    this.#ofFolded[cells.inFlight] = 0
  }

  /** Keeps the totals of a worker that has ended; from now on `workers()` must not name it. */
  retire(worker: WorkerCounts): void {
    for (const [at, name] of workerCounters.entries()) {
      if (name.endsWith('_total')) this.#ofDeadWorkers[at]! += worker.cells[at]!
    }
    for (const [slot, { base }] of this.#places) {
      const counts = countsOf(worker, slot)
      if (counts === undefined) continue
      addTo(base, counts)
      base[cells.inFlight]! -= counts[cells.inFlight]!
    }
  }

  /** All workers' own counters, summed. */
  ofWorkers(): Float64Array {
    const sum = this.#ofDeadWorkers.slice()
    for (const worker of this.#workers()) addTo(sum, worker.cells)
    return sum
  }

  /** Each service's totals; those without a series of their own come as one, last. */
  *ofServices(): Generator<{ readonly service: string; readonly counts: Float64Array }> {
    const other = this.#ofFolded.slice()
    for (const [slot, place] of this.#places) {
      const counts = this.#total(slot, place)
      if (place.folded) addTo(other, counts)
      else yield { service: place.key, counts }
    }
    yield { service: OTHER_SERVICES, counts: other }
  }

  #total(slot: number, { base }: Place): Float64Array {
    const sum = this.#counted(slot)
    addTo(sum, base)
    return sum
  }

  #counted(slot: number): Float64Array {
    const sum = new Float64Array(SERVICE_CELLS)
    for (const worker of this.#workers()) {
      const counts = countsOf(worker, slot)
      if (counts !== undefined) addTo(sum, counts)
    }
    return sum
  }
}

function countsOf({ pages }: WorkerCounts, slot: number): Float64Array | undefined {
  return pages[Math.floor(slot / PAGE_SERVICES)] === undefined ? undefined : serviceCells(pages, slot)
}

function addTo(sum: Float64Array, counts: Float64Array): void {
  for (let at = 0; at < sum.length; at++) sum[at]! += counts[at]!
}
