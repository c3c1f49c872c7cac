// Everything that a socket received, to be read by length or up to a mark, each with a deadline.
import type { Socket } from 'node:net'
import { within } from './until.ts'

/** How the peer ended the connection: an orderly FIN, or a reset. */
export type Ending = 'fin' | 'reset'

/** The peer ended the connection before the awaited bytes had come. */
export class CutError extends Error {
  readonly ending: Ending
  constructor(ending: Ending, message: string) {
    super(message)
    this.ending = ending
  }
}

/** Reads what a socket receives. Whoever keeps nothing (`record: false`) can pass gigabytes through it. */
export class Inbox {
  readonly #socket: Socket
  readonly #deadlineMs: number
  readonly #record: boolean
  readonly #all: Buffer[] = []
  readonly #ended = Promise.withResolvers<Ending>()
  #pending: Buffer[] = []
  #pendingBytes = 0
  #received = 0
  #ending: Ending | undefined
  #wake = Promise.withResolvers<void>()

  constructor(socket: Socket, { deadlineMs, record }: { readonly deadlineMs: number; readonly record: boolean }) {
    this.#socket = socket
    this.#deadlineMs = deadlineMs
    this.#record = record
    socket.on('data', (chunk: Buffer) => {
      this.#received += chunk.length
      this.#pending.push(chunk)
      this.#pendingBytes += chunk.length
      if (record) this.#all.push(chunk)
      this.#stir()
    })
    socket.on('end', () => { this.#end('fin') })
    socket.on('error', () => { this.#end('reset') })
    socket.on('close', () => { this.#end('fin') })
  }

  /** Every byte received so far; empty without `record`. */
  get bytes(): Buffer {
    return Buffer.concat(this.#all)
  }

  /** Count of the bytes received so far, recorded or not. */
  get received(): number {
    return this.#received
  }

  /** How the peer ended the connection; fails at the deadline. */
  closed(deadlineMs = this.#deadlineMs): Promise<Ending> {
    return within(this.#ended.promise, deadlineMs, () => `the connection closing; ${this.describe()}`)
  }

  /** Resolves at the end of the connection, whenever that is. */
  get ended(): Promise<Ending> {
    return this.#ended.promise
  }

  /** The bytes up to and including `mark`. */
  async takeUntil(mark: string, what: string): Promise<Buffer> {
    let seen = 0
    for (;;) {
      const all = this.#joined()
      const at = all.indexOf(mark, Math.max(0, seen - mark.length), 'latin1')
      if (at >= 0) return this.#cut(at + mark.length)
      seen = all.length
      await this.#more(what)
    }
  }

  /** The next `count` bytes. */
  async take(count: number, what: string): Promise<Buffer> {
    while (this.#pendingBytes < count) await this.#more(`${what} (${this.#pendingBytes} of ${count} bytes came)`)
    return this.#cut(count)
  }

  /** Reads `count` bytes and keeps none of them. */
  async skip(count: number, what: string): Promise<void> {
    let left = count
    while (left > 0) {
      if (this.#pendingBytes === 0) await this.#more(`${what} (${count - left} of ${count} bytes came)`)
      const step = Math.min(left, this.#pendingBytes)
      this.#cut(step)
      left -= step
    }
  }

  /** All bytes up to the end of the connection. */
  async takeAll(): Promise<Buffer> {
    await this.closed()
    return this.#cut(this.#pendingBytes)
  }

  /** What is there now, without waiting. */
  takeAvailable(): Buffer {
    return this.#cut(this.#pendingBytes)
  }

  /** Waits for the first unread byte; false when the connection ends without one. No deadline: an idle connection is no failure. */
  async hasMore(): Promise<boolean> {
    while (this.#pendingBytes === 0) {
      if (this.#ending !== undefined) return false
      await this.#wake.promise
    }
    return true
  }

  /** A line on what was received, for error messages. */
  describe(): string {
    const shown = this.#record ? this.bytes : Buffer.concat(this.#pending)
    const start = JSON.stringify(shown.toString('latin1', 0, 600))
    return `received ${this.#received} bytes: ${start}${shown.length > 600 ? ' …' : ''}${this.#ending === undefined ? '' : ` then ${this.#ending}`}`
  }

  async #more(what: string): Promise<void> {
    if (this.#ending !== undefined) throw new CutError(this.#ending, `cut (${this.#ending}) before ${what}; ${this.describe()}`)
    await within(this.#wake.promise, this.#deadlineMs, () => `${what}; ${this.describe()}`)
  }

  #joined(): Buffer {
    if (this.#pending.length > 1) this.#pending = [Buffer.concat(this.#pending)]
    return this.#pending[0] ?? Buffer.alloc(0)
  }

  #cut(count: number): Buffer {
    const all = this.#joined()
    this.#pending = count < all.length ? [all.subarray(count)] : []
    this.#pendingBytes = all.length - count
    return all.subarray(0, count)
  }

  #stir(): void {
    this.#wake.resolve()
    this.#wake = Promise.withResolvers()
  }

  #end(ending: Ending): void {
    if (this.#ending !== undefined) return
    this.#ending = ending
    this.#ended.resolve(ending)
    this.#stir()
    if (ending === 'reset') this.#socket.destroy()
  }
}
