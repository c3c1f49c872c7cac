// The content of one file, read within bounds: when it has settled, and only when it may have changed.

import { constants } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import { open, readlink, stat } from 'node:fs/promises'

/** What a look at the file gave. */
export type Content =
  | { readonly kind: 'unchanged' }
  /** It was written a moment ago: look again after so many milliseconds. */
  | { readonly kind: 'settling'; readonly waitMs: number }
  | { readonly kind: 'read'; readonly bytes: Buffer }
  | { readonly kind: 'failed'; readonly reason: string }

/** Younger than this, a file may change once more without a change of its time stamps. */
const STAMP_MS = 1000

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'no permission to read it',
  EPERM: 'no permission to read it',
  ELOOP: 'its links lead round in a circle',
  ENOTDIR: 'a part of its path is not a directory',
  EISDIR: 'expected a file, found a directory',
}

export class WatchedFile {
  readonly #path: string
  readonly #maxBytes: number
  readonly #settleMs: number
  /** Identity, size and times at the last look; '' when they prove nothing. */
  #stamp = ''

  constructor(path: string, { maxBytes, settleMs }: { readonly maxBytes: number; readonly settleMs: number }) {
    this.#path = path
    this.#maxBytes = maxBytes
    this.#settleMs = settleMs
  }

  /** Looks at the file; `force` reads it whatever its stamps, `patient` lets a writer finish. Never throws. */
  async look({ force, patient }: { readonly force: boolean; readonly patient: boolean }): Promise<Content> {
    try {
      const now = Date.now()
      const before = await stat(this.#path, { bigint: true })
      if (!force && this.#stamp !== '' && this.#stamp === stampOf(before)) return { kind: 'unchanged' }
      const age = now - Number(before.mtimeMs)
      if (patient && age >= 0 && age < this.#settleMs) return { kind: 'settling', waitMs: this.#settleMs - age }
      return await this.#read(now)
    } catch (error) {
      this.#stamp = ''
      return { kind: 'failed', reason: await this.#explain(error) }
    }
  }

  async #read(now: number): Promise<Content> {
    this.#stamp = ''
    // Opening a pipe would otherwise wait for its writer.
    await using file = await open(this.#path, constants.O_RDONLY | constants.O_NONBLOCK)
    const stats = await file.stat({ bigint: true })
    if (!stats.isFile()) return { kind: 'failed', reason: `expected a file, found ${stats.isDirectory() ? 'a directory' : 'something else'}` }
    const tooLarge = { kind: 'failed', reason: `larger than ${this.#maxBytes / 1_048_576} MiB` } as const
    if (stats.size > this.#maxBytes) return tooLarge
    const buffer = Buffer.alloc(Math.min(Number(stats.size) + 1, this.#maxBytes + 1))
    let length = 0
    for (let read = -1; read !== 0 && length < buffer.length; length += read) ({ bytesRead: read } = await file.read(buffer, length, buffer.length - length))
    // If it grew while it was read, its notice or the next look brings the rest.
    if (length <= Number(stats.size) && now - Number(stats.mtimeMs) >= STAMP_MS) this.#stamp = stampOf(stats)
    return { kind: 'read', bytes: buffer.subarray(0, length) }
  }

  async #explain(error: unknown): Promise<string> {
    const { code, message } = error as NodeJS.ErrnoException
    const target = code === 'ENOENT' ? await readlink(this.#path).catch(() => undefined) : undefined
    return target === undefined ? (reasons[code ?? ''] ?? message) : `it is a link to ${target}, which does not exist`
  }
}

const stampOf = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string => `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`
