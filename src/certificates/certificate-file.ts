// One configured certificate: what its files held last that could be used, and what is wrong with what they hold now.
import { stat } from 'node:fs/promises'
import { WatchedFile } from '#src/catalog/watched-file.ts'
import type { Certificate } from '#src/messages.ts'
import { readKeyPair, type KeyPair } from './key-pair.ts'

/** As the config names it; paths absolute. */
export interface CertificateSpec {
  readonly cert: string
  /** The same as `cert` when both are in one file. */
  readonly key: string
  readonly isDefault: boolean
}

const MAX_BYTES = 1024 * 1024
const SETTLE_MS = 50
const DAY_MS = 86_400_000
/** It is told when less than this is left, or a tenth of its life. */
const SOON_MS = 7 * DAY_MS

export class CertificateFile {
  readonly spec: CertificateSpec
  /** What is in force; undefined: nothing could be used yet. */
  pair: KeyPair | undefined
  certificate: Certificate | undefined
  /** What is wrong with its files; ''. */
  #problem = ''
  #exposed = ''
  readonly #files: readonly { readonly path: string; readonly file: WatchedFile; text: string; failed: string }[]

  constructor(spec: CertificateSpec) {
    this.spec = spec
    this.#files = [...new Set([spec.cert, spec.key])].map((path) => ({ path, file: new WatchedFile(path, { maxBytes: MAX_BYTES, settleMs: SETTLE_MS }), text: '', failed: '' }))
  }

  get id(): string {
    return this.spec.cert
  }

  get paths(): readonly string[] {
    return this.#files.map(({ path }) => path)
  }

  /** Reads what has changed. True: another certificate is in force. 'later': somebody is writing. `force` reads whatever the time stamps say. */
  async look(now: number, { force, patient }: { readonly force: boolean; readonly patient: boolean }): Promise<boolean | 'later'> {
    let news = false
    for (const each of this.#files) {
      const content = await each.file.look({ force, patient })
      if (content.kind === 'settling') return 'later'
      if (content.kind === 'unchanged') continue
      news = true
      each.failed = content.kind === 'failed' ? `${each.path}: ${content.reason}` : ''
      if (content.kind === 'read') each.text = content.bytes.toString('latin1')
    }
    if (!news) return false
    this.#exposed = await readableByAll(this.spec.key)
    return this.#take(now)
  }

  #take(now: number): boolean {
    const failed = this.#files.find((each) => each.failed !== '')
    const pair = failed === undefined ? readKeyPair(this.#files[0]!.text, this.#files.at(-1)!.text) : failed.failed
    if (typeof pair === 'string') {
      this.#problem = pair
      return false
    }
    const dated = ageProblem(pair, now)
    if (dated !== '' && this.pair !== undefined && this.pair.version !== pair.version && ageProblem(this.pair, now) === '') {
      this.#problem = `the new certificate ${dated}`
      return false
    }
    this.#problem = ''
    if (pair.version === this.pair?.version) return false
    this.pair = pair
    const { names, kind, notBefore, version } = pair
    this.certificate = { id: this.id, version, names, isDefault: this.spec.isDefault, kind, notBefore, cert: shared(pair.cert), key: shared(pair.key) }
    return true
  }

  /** Everything that is wrong at this moment. */
  problems(now: number): readonly string[] {
    const { pair } = this
    const problem = this.#problem === '' ? '' : `${this.#problem}; ${pair === undefined ? 'there is none in force' : 'the last good one stays in force'}`
    const age = pair === undefined ? '' : ageProblem(pair, now)
    const soon = pair === undefined || age !== '' || pair.notAfter - now > Math.min(SOON_MS, (pair.notAfter - pair.notBefore) / 10) ? '' : `expires at ${new Date(pair.notAfter).toISOString()}`
    const unnamed = pair !== undefined && pair.names.length === 0 && !this.spec.isDefault ? 'names no host (subjectAltName), so nobody gets it' : ''
    return [problem, age, soon, unnamed, this.#exposed].filter((text) => text !== '')
  }
}

function ageProblem({ notBefore, notAfter }: KeyPair, now: number): string {
  if (now > notAfter) return `expired at ${new Date(notAfter).toISOString()}`
  return now < notBefore ? `is not valid before ${new Date(notBefore).toISOString()}` : ''
}

/** A key that every user of the machine may read; where the system tells. */
async function readableByAll(path: string): Promise<string> {
  if (process.platform === 'win32') return ''
  const mode = await stat(path).then((stats) => stats.mode, () => 0)
  return (mode & 0o004) === 0 ? '' : `${path}: every user may read the key; expected mode 0600 or 0640`
}

function shared(text: string): Uint8Array {
  const bytes = new Uint8Array(new SharedArrayBuffer(text.length))
  Buffer.from(bytes.buffer).latin1Write(text)
  return bytes
}
