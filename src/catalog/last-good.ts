// The last good readings of all catalogs on disk: what a node serves when it starts while its registry is down.
import { chmod, mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { parseAddress } from './address.ts'
import type { Instance, InstanceHealth } from './catalog.ts'

/** What one catalog said last. */
export interface LastReading {
  /** Wall clock, milliseconds. */
  readonly readAt: number
  readonly instances: readonly Instance[]
}

export interface LastGoodOptions {
  /** A directory; made if it is not there. */
  readonly path: string
  /** Older readings are not used. */
  readonly maxAgeMs: number
  log: { warn(fields: object, message: string): void }
}

const VERSION = 1
const NAME = 'last-good.json'
/** Changes within this time are written together. */
const WRITE_AFTER_MS = 1000
/** Readings that say the same are newer all the same: without a note of that, the file would grow too old. */
const CONFIRM_AFTER_MS = 60_000
const MAX_BYTES = 256 * 1024 * 1024

export class LastGood {
  readonly #options: LastGoodOptions
  readonly #file: string
  /** All that is known, catalogs included that have not been read since the start. */
  readonly #kept = new Map<string, LastReading>()
  #changed = false
  #timer: NodeJS.Timeout | undefined
  #due = Number.POSITIVE_INFINITY
  #writing: Promise<void> = Promise.resolve()
  #complained = false

  constructor(options: LastGoodOptions) {
    this.#options = options
    this.#file = join(options.path, NAME)
  }

  /** Readings young enough to be used, by catalog. A file that cannot be understood is set aside: it must not stop the next start either. `now` is wall clock. */
  async read(now: number): Promise<ReadonlyMap<string, LastReading>> {
    let text: string
    try {
      text = await readFile(this.#file, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') await this.#setAside(error instanceof Error ? error.message : String(error))
      return new Map()
    }
    const parsed = parse(text)
    if (typeof parsed === 'string') {
      await this.#setAside(parsed)
      return new Map()
    }
    const young = [...parsed].filter(([, { readAt }]) => readAt <= now && now - readAt <= this.#options.maxAgeMs)
    for (const [name, reading] of young) this.#kept.set(name, reading)
    return new Map(young)
  }

  /** Keeps these readings; writes them a moment later, together with what else changes until then. `changed`: they say something new. */
  save(readings: ReadonlyMap<string, LastReading>, changed: boolean): void {
    for (const [name, reading] of readings) this.#kept.set(name, reading)
    this.#changed = true
    const waitMs = changed ? WRITE_AFTER_MS : CONFIRM_AFTER_MS
    const due = performance.now() + waitMs
    if (due >= this.#due) return
    clearTimeout(this.#timer)
    this.#due = due
    this.#timer = setTimeout(() => {
      this.#due = Number.POSITIVE_INFINITY
      this.#writing = this.#writing.then(() => this.#write())
    }, waitMs)
  }

  /** Writes what is still to be written. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#due = Number.POSITIVE_INFINITY
    await this.#writing
    await this.#write()
  }

  async #write(): Promise<void> {
    if (!this.#changed) return
    this.#changed = false
    const text = JSON.stringify({ version: VERSION, catalogs: Object.fromEntries(this.#kept) })
    if (text.length > MAX_BYTES) return this.#complain('the catalogs are too large to be kept')
    try {
      await mkdir(this.#options.path, { recursive: true, mode: 0o700 })
      const temporary = `${this.#file}.${process.pid}`
      // Tags are nobody else's business, and a node that loses power keeps the file it had.
      const file = await open(temporary, 'w', 0o600)
      try {
        await file.writeFile(text)
        await file.sync()
      } finally {
        await file.close()
      }
      await chmod(temporary, 0o600)
      await rename(temporary, this.#file)
      this.#complained = false
    } catch (error) {
      this.#complain(error instanceof Error ? error.message : String(error))
    }
  }

  #complain(reason: string): void {
    if (this.#complained) return
    this.#complained = true
    this.#options.log.warn({ file: this.#file, reason }, 'the last good snapshot cannot be kept on disk: a restart while a catalog is down would know nothing (state.path)')
  }

  async #setAside(reason: string): Promise<void> {
    const aside = `${this.#file}.unreadable`
    const setAside = await rename(this.#file, aside).then(() => aside, () => undefined)
    this.#options.log.warn({ file: this.#file, reason, setAside }, 'the last good snapshot on disk cannot be used')
  }
}

/** The readings in a file's text, or why it is not one of ours. */
function parse(text: string): ReadonlyMap<string, LastReading> | string {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
  if (!isRecord(value)) return 'it is not an object'
  if (value['version'] !== VERSION) return `it has version ${JSON.stringify(value['version'])}, this program reads ${VERSION}`
  const { catalogs } = value
  if (!isRecord(catalogs)) return 'it has no catalogs'
  const readings = new Map<string, LastReading>()
  for (const [name, reading] of Object.entries(catalogs)) {
    if (!isRecord(reading) || typeof reading['readAt'] !== 'number' || !Array.isArray(reading['instances']) || !reading['instances'].every(isInstance)) {
      return `the reading of ${JSON.stringify(name)} is damaged`
    }
    readings.set(name, { readAt: reading['readAt'], instances: reading['instances'] })
  }
  return readings
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

const healths: readonly unknown[] = ['passing', 'warning', 'critical', 'maintenance', 'pending', 'unhealthy', 'leaving'] satisfies InstanceHealth[]

/** As strict as a catalog: what is read here is connected to. */
function isInstance(value: unknown): value is Instance {
  if (!isRecord(value)) return false
  const { host, port, tags, health, order } = value
  if (!['id', 'service', 'namespace', 'where'].every((name) => typeof value[name] === 'string')) return false
  if (typeof host !== 'string' || typeof port !== 'number' || 'reason' in parseAddress(formatHost(host, port))) return false
  return healths.includes(health) && (order === undefined || typeof order === 'number') && Array.isArray(tags) && tags.every((tag) => typeof tag === 'string')
}

const formatHost = (host: string, port: number): string => `${host.includes(':') ? `[${host}]` : host}:${port}`
