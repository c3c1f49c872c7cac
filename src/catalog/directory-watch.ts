// Notices changes in one directory for as long as it can: through replacement of the directory, and through its absence.

import { watch as watchPath } from 'node:fs'
import type { FSWatcher } from 'node:fs'
import { stat } from 'node:fs/promises'

/** The file system's notices; `fs.watch` unless a test stands in for a system that refuses it. */
export type Watch = (path: string, listener: (event: string, name: string | null) => void) => FSWatcher

export class DirectoryWatch {
  readonly #path: string
  readonly #onChange: (name: string | null) => void
  readonly #onRefused: (error: Error) => void
  readonly #watch: Watch
  #watcher: FSWatcher | undefined
  /** Device and inode of what is being watched: a watch stays with a directory that was moved away. */
  #identity = ''
  #refused = false

  /** `onRefused` is called once, when the system does not watch (too many watches, say); a missing directory is no refusal. */
  constructor(path: string, onChange: (name: string | null) => void, onRefused: (error: Error) => void, watch: Watch = watchPath) {
    this.#path = path
    this.#onChange = onChange
    this.#onRefused = onRefused
    this.#watch = watch
  }

  /** Watches what now is at the path; call it again from time to time. Never throws. */
  async renew(): Promise<void> {
    try {
      const { dev, ino } = await stat(this.#path)
      if (this.#watcher !== undefined && this.#identity === `${dev}:${ino}`) return
      this[Symbol.dispose]()
      const watcher = this.#watch(this.#path, (_, name) => { this.#onChange(name) })
      watcher.on('error', (error: Error) => { this.#lose(error) })
      this.#watcher = watcher
      this.#identity = `${dev}:${ino}`
    } catch (error) {
      if (error instanceof Error) this.#lose(error)
    }
  }

  #lose(error: Error): void {
    this[Symbol.dispose]()
    const { code } = error as NodeJS.ErrnoException
    if (this.#refused || code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES' || code === 'ELOOP') return
    this.#refused = true
    this.#onRefused(error)
  }

  [Symbol.dispose](): void {
    this.#watcher?.close()
    this.#watcher = undefined
  }
}
