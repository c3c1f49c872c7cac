// How changes of the table reach a worker's plane: one message in a turn of the loop, so that requests get theirs in between.
import { receiveMessageOnPort, type MessagePort } from 'node:worker_threads'
import type { TableMessage } from '#src/messages.ts'
import type { SnapshotSlice } from '#src/snapshot.ts'
import type { Plane } from './plane.ts'

export interface TableIntakeOptions {
  readonly port: MessagePort
  readonly plane: Plane
  /** The plane's pages of counters; further ones are added. */
  readonly pages: SharedArrayBuffer[]
  swapped(revision: number): void
  /** A change was missed: nothing is taken until the whole snapshot comes. */
  behind(): void
}

export class TableIntake {
  readonly #options: TableIntakeOptions
  #taking = false
  #behind = false

  constructor(options: TableIntakeOptions) {
    this.#options = options
  }

  /** There is something to take. */
  wake(): void {
    if (!this.#taking) this.#takeNext()
  }

  #takeNext(): void {
    const { port, pages } = this.#options
    const received = receiveMessageOnPort(port) as { readonly message: TableMessage } | undefined
    this.#taking = received !== undefined
    if (received === undefined) return
    setImmediate(() => this.#takeNext())
    const { message } = received
    if (message.kind === 'page') pages.push(message.page)
    else if (!this.#behind || message.slice.from === -1) this.#take(message.slice)
  }

  #take(slice: SnapshotSlice): void {
    const { plane, swapped, behind } = this.#options
    this.#behind = !plane.apply(slice)
    if (this.#behind) behind()
    else if (slice.last) swapped(slice.to)
  }
}
