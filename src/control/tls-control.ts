// TLS as the main thread sees it: certificates from files, the keys of session tickets, and what is shown of both.
import { randomBytes } from 'node:crypto'
import type { Problem } from '#src/catalog/catalog.ts'
import { CertificateFiles } from '#src/certificates/certificate-files.ts'
import type { Config } from '#src/config/schema.ts'
import type { Certificate, ToWorker } from '#src/messages.ts'

export interface TlsControlOptions {
  /** Says something to all workers. */
  tell(message: ToWorker): void
  readonly log: { info(fields: object, message: string): void; warn(fieldsOrMessage: object | string, message?: string): void; error(fields: object, message: string): void }
}

/** A certificate as it is shown: nothing of its key. */
export interface CertificateRow {
  readonly file: string
  readonly names: readonly string[]
  readonly default: boolean
  readonly state: 'good' | 'expired' | 'not yet valid' | 'missing'
  readonly keyType: string
  readonly issuer: string
  readonly notBefore: string | null
  readonly notAfter: string | null
  readonly daysLeft: number | null
  readonly fingerprint: string
  readonly problems: readonly string[]
}

const TICKET_KEY_BYTES = 48
/** Node takes one key: at each change, sessions that were to be resumed take a whole handshake once. */
const ROTATE_MS = 12 * 60 * 60 * 1000
const DAY_MS = 86_400_000
const MAX_SERIES = 5000

export class TlsControl {
  readonly #options: TlsControlOptions
  readonly #files: CertificateFiles
  #ticketKeys: Uint8Array = randomBytes(TICKET_KEY_BYTES)
  #told = new Set<string>()

  constructor(options: TlsControlOptions) {
    this.#options = options
    this.#files = new CertificateFiles({
      changed: (changed, removed) => options.tell({ kind: 'certificates', changed, removed }),
      looked: () => this.#tellProblems(),
      log: { info: options.log.info.bind(options.log), warn: (message) => options.log.warn(message), error: options.log.error.bind(options.log) },
    })
  }

  get certificates(): readonly Certificate[] {
    return this.#files.certificates
  }

  get ticketKeys(): Uint8Array {
    return this.#ticketKeys
  }

  /** Resolves when the certificates that the config names have been read, or failed to be. */
  configure({ tls }: Config): Promise<void> {
    return this.#files.use(tls.certificates.map(({ cert, key = cert, default: isDefault }) => ({ cert, key, isDefault })))
  }

  /** Follows the files, and renews the tickets' keys, until the signal aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    const timer = setInterval(() => {
      this.#ticketKeys = randomBytes(TICKET_KEY_BYTES)
      this.#options.tell({ kind: 'ticket keys', keys: this.#ticketKeys })
    }, ROTATE_MS)
    await this.#files.follow(signal)
    clearInterval(timer)
  }

  problems(now: number = Date.now()): Problem[] {
    return this.#files.files.flatMap((file) => file.problems(now).map((reason) => ({ service: '@tls', router: '', tag: '', reason, where: file.id })))
  }

  views(now: number = Date.now()): CertificateRow[] {
    return this.#files.files.map((file) => {
      const { pair, spec } = file
      return {
        file: spec.cert,
        names: pair?.names ?? [],
        default: spec.isDefault,
        state: pair === undefined ? 'missing' : now > pair.notAfter ? 'expired' : now < pair.notBefore ? 'not yet valid' : 'good',
        keyType: pair?.kind ?? '',
        issuer: pair?.issuer ?? '',
        notBefore: pair === undefined ? null : new Date(pair.notBefore).toISOString(),
        notAfter: pair === undefined ? null : new Date(pair.notAfter).toISOString(),
        daysLeft: pair === undefined ? null : Math.floor((pair.notAfter - now) / DAY_MS),
        fingerprint: pair?.fingerprint ?? '',
        problems: file.problems(now),
      }
    })
  }

  /** By the first name of each; of those that share it, the one that expires first. */
  expiries(now: number = Date.now()): { readonly name: string; readonly expiresInSeconds: number }[] {
    const seconds = new Map<string, number>()
    for (const { pair, id } of this.#files.files) {
      if (pair === undefined) continue
      const name = pair.names[0] ?? id
      const left = (pair.notAfter - now) / 1000
      if (seconds.size < MAX_SERIES || seconds.has(name)) seconds.set(name, Math.min(left, seconds.get(name) ?? left))
    }
    return [...seconds].map(([name, expiresInSeconds]) => ({ name, expiresInSeconds }))
  }

  /** Each problem is logged when it comes up and when it is gone. */
  #tellProblems(): void {
    const problems = new Map(this.problems().map((problem) => [JSON.stringify(problem), problem]))
    for (const [id, problem] of problems) if (!this.#told.has(id)) this.#options.log.warn({ problem }, 'problem')
    const solved = [...this.#told].filter((id) => !problems.has(id)).map((id) => JSON.parse(id) as unknown)
    if (solved.length > 0) this.#options.log.info({ solved, count: solved.length }, 'problems solved')
    this.#told = new Set(problems.keys())
  }
}
