// The ages of jobs whose services claim the same requests: each asked for once, and forgotten when the conflict is over.
import type { Catalog } from '#src/catalog/catalog.ts'
import { jobId } from './assemble.ts'
import type { ContestedJob } from './assemble.ts'

/** A job whose age could not be read is asked for again after this long, if it is still contested. */
const RETRY_MS = 60_000
const AT_ONCE = 4

export class JobAges {
  readonly #catalogs: ReadonlyMap<string, Catalog>
  readonly #onKnown: () => void
  readonly #known = new Map<string, number | 'unreadable'>()
  readonly #queue = new Map<string, ContestedJob>()
  readonly #retries = new Map<string, number>()
  readonly #ending = new AbortController()
  #wanted: ReadonlySet<string> = new Set()
  #asking = 0

  /** `onKnown`: there is something new in `known`. */
  constructor(catalogs: readonly Catalog[], onKnown: () => void) {
    this.#catalogs = new Map(catalogs.map((catalog) => [catalog.name, catalog]))
    this.#onKnown = onKnown
  }

  /** By `jobId`. */
  get known(): ReadonlyMap<string, number | 'unreadable'> {
    return this.#known
  }

  /** The jobs that are in conflict now, all of them. */
  want(jobs: readonly ContestedJob[]): void {
    this.#wanted = new Set(jobs.map(jobId))
    for (const id of this.#known.keys()) if (!this.#wanted.has(id)) this.#known.delete(id)
    for (const id of this.#queue.keys()) if (!this.#wanted.has(id)) this.#queue.delete(id)
    const now = performance.now()
    for (const job of jobs) {
      const id = jobId(job)
      if (now < (this.#retries.get(id) ?? 0)) continue
      this.#retries.set(id, Number.POSITIVE_INFINITY)
      this.#queue.set(id, job)
    }
    for (const id of this.#retries.keys()) if (!this.#wanted.has(id)) this.#retries.delete(id)
    while (this.#asking < AT_ONCE && this.#queue.size > 0) void this.#ask()
  }

  close(): void {
    this.#ending.abort()
  }

  async #ask(): Promise<void> {
    this.#asking++
    for (let next; !this.#ending.signal.aborted && (next = this.#queue.entries().next().value) !== undefined;) {
      const [id, { catalog, namespace, job }] = next
      this.#queue.delete(id)
      const age = await this.#catalogs.get(catalog)?.jobAge?.(namespace, job, this.#ending.signal)
      if (this.#ending.signal.aborted || !this.#wanted.has(id)) continue
      if (age === undefined) this.#retries.set(id, performance.now() + RETRY_MS)
      if (this.#known.get(id) === (age ?? 'unreadable')) continue
      this.#known.set(id, age ?? 'unreadable')
      this.#onKnown()
    }
    this.#asking--
  }
}
