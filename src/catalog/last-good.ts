// The last good readings of all catalogs on disk: what a node serves when it starts while its registry is down.
import { chmod, mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { Instance } from './catalog.ts'

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
const MAX_BYTES = 256 * 1024 * 1024

export class LastGood {
  readonly #options: LastGoodOptions
  readonly #file: string
  /** All that is known, catalogs included that have not been read since the start. */
  readonly #kept = new Map<string, LastReading>()
  #changed = false
  #timer: NodeJS.Timeout | undefined
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
    for (const [name, reading] of parsed) this.#kept.set(name, reading)
    return new Map([...parsed].filter(([, { readAt }]) => readAt <= now && now - readAt <= this.#options.maxAgeMs))
  }

  /** Keeps these readings; writes them a moment later, together with what else changes until then. */
  save(readings: ReadonlyMap<string, LastReading>): void {
    for (const [name, reading] of readings) this.#kept.set(name, reading)
    this.#changed = true
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#writing = this.#writing.then(() => this.#write())
    }, WRITE_AFTER_MS)
  }

  /** Writes what is still to be written. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
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
    await rename(this.#file, aside).catch(() => undefined)
    this.#options.log.warn({ file: this.#file, reason, setAside: aside }, 'the last good snapshot on disk cannot be used')
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

function isInstance(value: unknown): value is Instance {
  if (!isRecord(value)) return false
  const texts = ['id', 'service', 'namespace', 'host', 'health', 'where'].every((name) => typeof value[name] === 'string')
  return texts && Number.isInteger(value['port']) && Array.isArray(value['tags']) && value['tags'].every((tag) => typeof tag === 'string')
}
