// A request body on its way up: kept while it cannot be sent and as long as the request may be repeated, else passed on.
import { CHUNKED } from '#src/http1/body.ts'
import { frameChunk, lastChunk } from '#src/http1/chunked.ts'
import type { RequestHead } from '#src/http1/request-head.ts'
import type { ReadBuffers } from '#src/io/read-buffer.ts'
import type { Source } from '#src/io/wire.ts'
import type { UpstreamStream } from '#src/upstream/stream.ts'

/** What is kept of a request body, for a repeat or until there is a connection. */
export const REPLAY_BYTES = 64 * 1024
/** Below this, one latin1 string is cheaper to write than a copied buffer (bench/README.md). */
export const SMALL = 4096

/** How the upstream is told where the body ends: HTTP/1.1 by chunks or a length, HTTP/2 by its frames. */
export type BodyFraming = 'chunks' | 'length' | 'frames'

export const bodyFraming = ({ contentLength }: RequestHead, http2: boolean): BodyFraming => (http2 ? 'frames' : contentLength === CHUNKED ? 'chunks' : 'length')

export class Upload {
  /** Octets of the body, without their framing. */
  bytes = 0
  ended = false
  readonly #client: Source
  readonly #framing: BodyFraming
  readonly #buffers: ReadBuffers
  /** As they are sent, framing included. */
  #kept: (string | Buffer)[] | null = []
  #keptBytes = 0
  /** What follows the last octets: the last chunk, or the lines of trailers. */
  #tail = ''
  #holding = false

  /** `client` is where the body comes from; `buffers` count what is kept. */
  constructor(client: Source, framing: BodyFraming, buffers: ReadBuffers) {
    this.#client = client
    this.#buffers = buffers
    this.#framing = framing
  }

  /** All of it that has come is still at hand: the request can be sent, once more too. */
  get whole(): boolean {
    return this.#kept !== null
  }

  /** Takes `bytes[from, to)`; passes it on when there is a connection that the request was sent to. */
  take(connection: UpstreamStream | null, bytes: Buffer, from: number, to: number, end: boolean, trailers: string): void {
    this.bytes += to - from
    if (end) {
      this.ended = true
      if (this.#framing !== 'length') this.#tail = this.#framing === 'chunks' ? lastChunk(trailers) : trailers
    }
    const framed = this.#framing === 'chunks' && to > from
    const begin = framed ? frameChunk(bytes, from, to) : from
    const stop = framed ? to + 2 : to
    if (this.#kept !== null) this.#keep(bytes, begin, stop, connection !== null)
    if (connection === null) {
      if (!end && this.#keptBytes >= REPLAY_BYTES) this.#hold()
      return
    }
    if (stop > begin || end) connection.send(bytes, begin, stop, end, this.#tail, this.#client)
    if (end) this.#client.endBody(connection.wire)
  }

  /** What goes with the head in one write, where the upstream speaks HTTP/1.1: the usual small body. `sendRest` is to follow. */
  get first(): string {
    const kept = this.#kept
    if (kept === null || this.#framing === 'frames') return ''
    const piece = kept.length === 0 ? '' : kept[0]!
    if (typeof piece !== 'string') return ''
    return kept.length <= 1 && this.#tail !== '' ? piece + this.#tail : piece
  }

  /** Sends what is kept behind `first`, and from now on passes on; `repeatable`: keeps what it has. */
  sendRest(connection: UpstreamStream, repeatable: boolean): void {
    const kept = this.#kept ?? []
    const begun = this.#framing !== 'frames' && typeof (kept[0] ?? '') === 'string'
    for (let at = begun ? 1 : 0; at < kept.length; at++) {
      const end = this.ended && at === kept.length - 1
      connection.sendKept(kept[at]!, end, end ? this.#tail : '', this.#client)
    }
    if (this.ended && !begun && kept.length === 0) connection.sendKept('', true, this.#tail, this.#client)
    if ((!repeatable && !connection.mayBeUntaken) || this.#keptBytes > REPLAY_BYTES) this.forget()
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

  #keep(bytes: Buffer, from: number, to: number, sent: boolean): void {
    this.#count(to - from)
    if (sent && this.#keptBytes > REPLAY_BYTES) {
      this.forget()
      return
    }
    if (to > from) this.#push(to - from < SMALL ? bytes.latin1Slice(from, to) : Buffer.from(bytes.subarray(from, to)))
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
