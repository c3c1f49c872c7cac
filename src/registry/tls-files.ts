// The certificate files that a registry is asked with: read again when they have changed, so that they can rotate as tokens do.
import { readFileSync, statSync } from 'node:fs'
import { createSecureContext } from 'node:tls'

/** Paths of PEM files. */
export interface TlsPaths {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

export type TlsTexts = { readonly [Name in keyof TlsPaths]?: Buffer }

/** Few and small, and looked at when a connection is opened only: that is rare, so reading may block. */
export class TlsFiles {
  readonly #paths: readonly (readonly [name: keyof TlsPaths, path: string])[]
  #stamp = ''
  #texts: TlsTexts = {}
  #problem = ''

  /** Throws when a file cannot be read or used. */
  constructor({ ca, cert, key }: TlsPaths) {
    this.#paths = Object.entries({ ca, cert, key }).flatMap(([name, path]) => (path === undefined ? [] : [[name as keyof TlsPaths, path] as const]))
    this.#read()
  }

  /** Why the files could not be used the last time, or ''. */
  get problem(): string {
    return this.#problem
  }

  /** The same object as long as nothing has changed. What cannot be used, such as a key whose certificate is still to come, keeps what there was. */
  current(): TlsTexts {
    try {
      this.#read()
      this.#problem = ''
    } catch (error) {
      this.#problem = `the registry's TLS files cannot be used: ${error instanceof Error ? error.message : String(error)}`
    }
    return this.#texts
  }

  #read(): void {
    const stamp = this.#paths.map(([, path]) => {
      const { mtimeMs, size, ino } = statSync(path)
      return `${mtimeMs} ${size} ${ino}`
    }).join()
    if (stamp === this.#stamp) return
    const texts: TlsTexts = Object.fromEntries(this.#paths.map(([name, path]) => [name, readFileSync(path)]))
    createSecureContext(texts)
    this.#texts = texts
    this.#stamp = stamp
  }
}
