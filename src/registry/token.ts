// The token that a registry is asked with: from the config, a file that is replaced when it rotates, or the environment.
import { readFile, stat } from 'node:fs/promises'

/** Where a token comes from; the first that is given counts. */
export interface TokenOrigin {
  readonly token?: string | undefined
  /** Read anew when it has changed. */
  readonly file?: string | undefined
}

/** How often a file is looked at, at most. */
const LOOK_MS = 1000
const MAX_BYTES = 64 * 1024

export class TokenSource {
  readonly #origin: TokenOrigin
  readonly #now: () => number
  #token: string
  #stamp = ''
  #lookedAt = Number.NEGATIVE_INFINITY
  #looking: Promise<void> | undefined
  #problem = ''

  /** `now` in milliseconds. */
  constructor(origin: TokenOrigin, now: () => number) {
    this.#origin = origin
    this.#now = now
    this.#token = origin.token ?? ''
  }

  /** Why the file could not be read the last time, or ''. */
  get problem(): string {
    return this.#problem
  }

  /** The token, or '' for none. A file that cannot be read keeps the token that it had. */
  async current(): Promise<string> {
    if (this.#now() - this.#lookedAt >= LOOK_MS) await this.#look()
    return this.#token
  }

  /** Looks again at once: `refused` was not accepted. True: there is another one now. */
  async renew(refused: string): Promise<boolean> {
    this.#stamp = ''
    await this.#look()
    return this.#token !== refused
  }

  #look(): Promise<void> {
    this.#looking ??= this.#read().finally(() => { this.#looking = undefined })
    return this.#looking
  }

  async #read(): Promise<void> {
    const { token, file } = this.#origin
    this.#lookedAt = this.#now()
    if (token !== undefined || file === undefined) return
    try {
      const { mtimeMs, size, ino } = await stat(file)
      const stamp = `${mtimeMs} ${size} ${ino}`
      if (stamp === this.#stamp) return
      if (size > MAX_BYTES) throw new Error(`it has ${size} bytes`)
      const text = (await readFile(file, 'utf8')).trim()
      if (!/^[!-~]+$/.test(text)) throw new Error('it does not hold a token')
      this.#token = text
      this.#stamp = stamp
      this.#problem = ''
    } catch (error) {
      this.#problem = `the token file ${file} cannot be used: ${error instanceof Error ? error.message : String(error)}`
    }
  }
}
