// All certificates from files: read at the start, followed while running, handed on when one has changed.
import { basename, dirname } from 'node:path'
import { DirectoryWatch } from '#src/catalog/directory-watch.ts'
import type { Certificate } from '#src/messages.ts'
import { CertificateFile, type CertificateSpec } from './certificate-file.ts'

export interface CertificateFilesOptions {
  /** Certificates that are new or have changed, and ids of those that are no more. */
  changed(changed: readonly Certificate[], removed: readonly string[]): void
  /** They were looked at: what is wrong with them may be something else now. */
  looked(): void
  readonly log: { info(fields: object, message: string): void; warn(message: string): void; error(fields: object, message: string): void }
}

/** Without a notice (links, network file systems) a change is found by then; expiry is too. */
const POLL_MS = 15_000
/** Certificate and key are two files, written one after the other. */
const DEBOUNCE_MS = 150
const MAX_PATIENCE = 20

export class CertificateFiles {
  readonly #options: CertificateFilesOptions
  #files = new Map<string, CertificateFile>()
  readonly #watches = new Map<string, DirectoryWatch>()
  /** Directories in which something happened; null stands for all. */
  readonly #dirty = new Set<string>()
  #wake: (() => void) | undefined
  /** One look after the other. */
  #looking: Promise<void> = Promise.resolve()

  constructor(options: CertificateFilesOptions) {
    this.#options = options
  }

  /** Those that the config names. */
  get files(): readonly CertificateFile[] {
    return [...this.#files.values()]
  }

  /** Those in force. */
  get certificates(): readonly Certificate[] {
    return this.files.flatMap(({ certificate }) => certificate ?? [])
  }

  /** Takes what the config names now; resolves when all of it has been read. Files that it named before are not read anew. */
  async use(specs: readonly CertificateSpec[]): Promise<void> {
    const before = this.#files
    const removed: string[] = []
    this.#files = new Map()
    for (const spec of specs) {
      const there = before.get(spec.cert)
      const same = there !== undefined && there.spec.key === spec.key && there.spec.isDefault === spec.isDefault
      this.#files.set(spec.cert, same ? there : new CertificateFile(spec))
    }
    for (const [id] of before) if (!this.#files.has(id)) removed.push(id)
    this.#watch()
    if (removed.length > 0) this.#options.changed([], removed)
    await this.#look(this.files.filter((file) => before.get(file.id) !== file), false, false)
  }

  /** Follows the files until the signal aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#rest(POLL_MS, signal)
      if (this.#dirty.size > 0) await pause(DEBOUNCE_MS)
      if (signal.aborted) break
      for (const watch of this.#watches.values()) await watch.renew()
      const dirty = new Set(this.#dirty)
      this.#dirty.clear()
      const touched = (file: CertificateFile): boolean => file.paths.some((path) => dirty.has(dirname(path)))
      await this.#look(dirty.size === 0 ? this.files : this.files.filter(touched), dirty.size > 0, true)
    }
    for (const watch of this.#watches.values()) watch[Symbol.dispose]()
  }

  #look(files: readonly CertificateFile[], force: boolean, patient: boolean): Promise<void> {
    this.#looking = this.#looking.then(() => this.#lookAt(files, force, patient)).catch((error: unknown) => {
      this.#options.log.error({ error }, 'certificates could not be looked at; please report this')
    })
    return this.#looking
  }

  async #lookAt(files: readonly CertificateFile[], force: boolean, patient: boolean): Promise<void> {
    const changed: Certificate[] = []
    for (const file of files) {
      let result: boolean | 'later' = 'later'
      for (let patience = patient ? MAX_PATIENCE : 0; result === 'later'; patience--) {
        result = await file.look(Date.now(), { force, patient: patience > 0 })
        if (result === 'later') await pause(DEBOUNCE_MS)
      }
      if (result !== true || file.certificate === undefined || this.#files.get(file.id) !== file) continue
      changed.push(file.certificate)
      const { names, notAfter, fingerprint } = file.pair!
      this.#options.log.info({ certificate: basename(file.id), names: names.slice(0, 10), notAfter: new Date(notAfter).toISOString(), fingerprint }, 'certificate in force')
    }
    if (changed.length > 0) this.#options.changed(changed, [])
    this.#options.looked()
  }

  #watch(): void {
    const wanted = new Set(this.files.flatMap(({ paths }) => paths.map((path) => dirname(path))))
    for (const [directory, watch] of this.#watches) {
      if (wanted.has(directory)) continue
      watch[Symbol.dispose]()
      this.#watches.delete(directory)
    }
    for (const directory of wanted) {
      if (this.#watches.has(directory)) continue
      const watch = new DirectoryWatch(directory, () => {
        this.#dirty.add(directory)
        this.#wake?.()
      }, ({ message }) => this.#options.log.warn(`${directory}: changes of certificates are noticed only every ${POLL_MS / 1000} s, because it cannot be watched: ${message}`))
      this.#watches.set(directory, watch)
      void watch.renew()
    }
  }

  /** Until something happened in a directory, `ms` have passed or the signal aborts. */
  #rest(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#dirty.size > 0 || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        this.#wake = undefined
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      signal.addEventListener('abort', done, { once: true })
      this.#wake = done
    })
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
