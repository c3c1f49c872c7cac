// A request body on its way up: kept while it cannot be sent and as long as the request may be repeated, else passed on.
import { CHUNKED } from '#src/http1/body.ts'
import { frameChunk, lastChunk } from '#src/http1/chunked.ts'
import type { ReadBuffers } from '#src/io/read-buffer.ts'
import type { Wire } from '#src/io/wire.ts'
import type { UpstreamConnection } from '#src/upstream/connection.ts'

/** What is kept of a request body, for a repeat or until there is a connection. */
export const REPLAY_BYTES = 64 * 1024
/** Below this, one latin1 string is cheaper to write than a copied buffer (bench/README.md). */
const SMALL = 4096

export class Upload {
  /** Octets of the body, without their framing. */
  bytes = 0
  ended = false
  readonly #client: Wire
  readonly #chunked: boolean
  readonly #buffers: ReadBuffers
  /** As they are sent, framing included. */
  #kept: (string | Buffer)[] | null = []
  #keptBytes = 0
  #holding = false

  /** `client` is the wire that the body comes from; `length` its octets, or `CHUNKED`; `buffers` count what is kept. */
  constructor(client: Wire, length: number, buffers: ReadBuffers) {
    this.#client = client
    this.#buffers = buffers
    this.#chunked = length === CHUNKED
  }

  /** All of it that has come is still at hand: the request can be sent, once more too. */
  get whole(): boolean {
    return this.#kept !== null
  }

  /** Takes `bytes[from, to)`; passes it on when there is a connection that the request was sent to. */
  take(connection: UpstreamConnection | null, bytes: Buffer, from: number, to: number, end: boolean, trailers: string): void {
    this.bytes += to - from
    if (end) this.ended = true
    const framed = this.#chunked && to > from
    const begin = framed ? frameChunk(bytes, from, to) : from
    const stop = framed ? to + 2 : to
    const tail = end && this.#chunked ? lastChunk(trailers) : ''
    if (this.#kept !== null) this.#keep(bytes, begin, stop, tail, connection !== null)
    if (connection === null) {
      if (!end && this.#keptBytes >= REPLAY_BYTES) this.#hold()
      return
    }
    if (stop > begin) connection.wire.pass('', bytes, begin, stop, this.#client)
    if (tail !== '') connection.wire.writeText(tail)
    if (!end) return
    this.#client.endBody(connection.wire)
    connection.requestSent()
  }

  /** What goes with the head in one write: the usual small body. `sendRest` is to follow. */
  get first(): string {
    const piece = this.#kept?.[0]
    return typeof piece === 'string' ? piece : ''
  }

  /** Sends what is kept behind `first`, and from now on passes on; `repeatable`: keeps what it has. */
  sendRest(connection: UpstreamConnection, repeatable: boolean): void {
    const kept = this.#kept ?? []
    for (let at = typeof kept[0] === 'string' ? 1 : 0; at < kept.length; at++) {
      const piece = kept[at]!
      if (typeof piece === 'string') connection.wire.writeText(piece)
      else connection.wire.writeBuffer(piece)
    }
    if ((!repeatable && !connection.untaken) || this.#keptBytes > REPLAY_BYTES) this.forget()
    if (this.ended) this.#client.endBody(connection.wire)
    this.#unhold()
  }

  /** The request is not sent again. */
  forget(): void {
    this.#kept = null
    this.#count(-this.#keptBytes)
  }

  /** The exchange is over: nothing of it may keep the client waiting. */
  release(): void {
    this.forget()
    this.#unhold()
  }

  #keep(bytes: Buffer, from: number, to: number, tail: string, sent: boolean): void {
    this.#count(to - from + tail.length)
    if (sent && this.#keptBytes > REPLAY_BYTES) {
      this.forget()
      return
    }
    if (to > from) this.#push(to - from < SMALL ? bytes.latin1Slice(from, to) : Buffer.from(bytes.subarray(from, to)))
    if (tail !== '') this.#push(tail)
  }

  /** Small pieces that follow each other become one. */
  #push(piece: string | Buffer): void {
    const kept = this.#kept
    if (kept === null) return
    const last = kept.at(-1)
    if (typeof piece === 'string' && typeof last === 'string' && last.length < SMALL) kept[kept.length - 1] = last + piece
    else kept.push(piece)
  }

  #count(change: number): void {
    this.#keptBytes += change
    if (change !== 0) this.#buffers.count(change)
  }

  #hold(): void {
    if (this.#holding) return
    this.#holding = true
    this.#client.hold()
  }

  #unhold(): void {
    if (!this.#holding) return
    this.#holding = false
    this.#client.unhold()
  }
}
