// Where lines finally go: a standard stream or a file, written without ever holding up the thread that asks.
import { close, constants, fstat, fstatSync, open, openSync, stat, write } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { isatty } from 'node:tty'
import { promisify } from 'node:util'

/** One writer at a time: the next `put` waits for the one before it. */
export interface Outlet {
  /** Writes all of it; rejects with what went wrong when some of it could not be written. */
  put(bytes: Uint8Array): Promise<void>
  /** The next `put` opens the file anew; nothing to do for a stream. */
  reopen(): void
  /** Gives up what is being written. */
  close(): void
}

const { O_APPEND, O_CREAT, O_NOCTTY, O_NONBLOCK, O_WRONLY } = constants
/** Without O_NONBLOCK a FIFO would hold a pool thread, and the process at its exit, for as long as nobody reads it. */
const FILE_FLAGS = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY
const FILE_MODE = 0o640
const RENAME_CHECK_MS = 1000
/** Only a FIFO or a terminal is ever full; a reader that comes back waits this long for the rest. */
const FULL_RETRY_MS = 20

/** Standard output (1) or error (2). */
export function standardOutlet(fd: 1 | 2): Outlet {
  const kind = fstatSync(fd)
  if (!kind.isFIFO() && !kind.isSocket()) return new DescriptorOutlet(isatty(fd) ? ownTerminal(fd) : fd)
  // Node's stream of a pipe or socket writes without blocking (files and terminals it writes synchronously), and ends cleanly at exit.
  const stream = fd === 1 ? process.stdout : process.stderr
  // What fails is told to each write; without a listener it would end the process.
  stream.on('error', () => {})
  return {
    put: (bytes) => new Promise((resolve, reject) => {
      stream.write(bytes, (error) => { if (error) reject(error); else resolve() })
    }),
    reopen() {},
    close() {},
  }
}

/**
 * A file that is appended to, made with mode 0640, and opened anew when it was renamed or removed.
 * Throws when it cannot be opened now; later failures are those of a `put`.
 */
export function fileOutlet(path: string): Outlet {
  return new DescriptorOutlet(openSync(path, FILE_FLAGS, FILE_MODE), path)
}

/** The terminal by a description of our own: O_NONBLOCK set on the inherited one would be felt by the shell. */
function ownTerminal(fd: 1 | 2): number {
  try {
    return openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY)
  } catch {
    return fd
  }
}

const asyncWrite = promisify(write)
const asyncOpen = promisify(open)
const asyncStat = promisify(stat)
const asyncFstat = promisify(fstat)
const newline = Buffer.from('\n')

/** Bytes to a descriptor by the thread pool. */
class DescriptorOutlet implements Outlet {
  /** Undefined after a failure to open the file again. */
  #fd: number | undefined
  readonly #path: string | undefined
  #reopen = false
  #checkedAt = performance.now()
  /** The last line ends in its middle: what comes next must not be glued to it. */
  #torn = false
  #busy = false
  #closed = false

  constructor(fd: number, path?: string) {
    this.#fd = fd
    this.#path = path
  }

  async put(bytes: Uint8Array): Promise<void> {
    this.#busy = true
    try {
      const fd = await this.#current()
      await this.#writeAll(fd, this.#torn ? Buffer.concat([newline, bytes]) : bytes)
    } finally {
      this.#busy = false
      if (this.#closed) this.#release()
    }
  }

  reopen(): void {
    this.#reopen = true
  }

  close(): void {
    this.#closed = true
    if (!this.#busy) this.#release()
  }

  async #writeAll(fd: number, bytes: Uint8Array): Promise<void> {
    let at = 0
    while (at < bytes.length) {
      if (this.#closed) throw new Error('closed before all was written')
      try {
        at += (await asyncWrite(fd, bytes, at)).bytesWritten
      } catch (error) {
        if (at > 0) this.#torn = bytes[at - 1] !== newline[0]
        if (!isFull(error)) throw error
        await pause(FULL_RETRY_MS)
      }
    }
    this.#torn = false
  }

  /** The descriptor to write to, after a look at whether the file is still where it was. */
  async #current(): Promise<number> {
    if (this.#path === undefined) return this.#fd!
    if (this.#fd !== undefined && !this.#reopen && !(await this.#hasMoved(this.#fd, this.#path))) return this.#fd
    this.#release()
    this.#fd = await asyncOpen(this.#path, FILE_FLAGS, FILE_MODE)
    this.#reopen = false
    this.#torn = false
    this.#checkedAt = performance.now()
    return this.#fd
  }

  async #hasMoved(fd: number, path: string): Promise<boolean> {
    if (performance.now() - this.#checkedAt < RENAME_CHECK_MS) return false
    this.#checkedAt = performance.now()
    const opened = await asyncFstat(fd)
    const named = await asyncStat(path).catch(() => undefined)
    return named === undefined || named.ino !== opened.ino || named.dev !== opened.dev
  }

  #release(): void {
    // The standard descriptors stay open: the next file that is opened must not get their number.
    if (this.#fd !== undefined && this.#fd > 2) close(this.#fd)
    this.#fd = undefined
  }
}

function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EAGAIN'
}
