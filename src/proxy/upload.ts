// A request body on its way up: kept while it cannot be sent and as long as the request may be repeated, else passed on.
import { CHUNKED } from '#src/http1/body.ts'
import { frameChunk, lastChunk } from '#src/http1/chunked.ts'
import type { Wire } from '#src/io/wire.ts'
import type { UpstreamConnection } from '#src/upstream/connection.ts'

/** What is kept of a request body, for a repeat or until there is a connection. */
export const REPLAY_BYTES = 64 * 1024

export class Upload {
  /** Octets of the body, without their framing. */
  bytes = 0
  ended = false
  readonly #client: Wire
  readonly #chunked: boolean
  /** As they are sent, framing included. */
  #kept: (string | Buffer)[] | null = []
  #keptBytes = 0
  #holding = false

  /** `client` is the wire that the body comes from; `length` its octets, or `CHUNKED`. */
  constructor(client: Wire, length: number) {
    this.#client = client
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

  /** Sends the head and what is kept, and from now on passes on; `repeatable`: keeps what it has. */
  sendTo(connection: UpstreamConnection, head: string, repeatable: boolean): void {
    let text = head // the usual small body goes with the head in one write
    for (const piece of this.#kept ?? []) {
      if (typeof piece === 'string') {
        text += piece
        continue
      }
      if (text !== '') connection.wire.writeText(text)
      text = ''
      connection.wire.writeBuffer(piece)
    }
    if (text !== '') connection.wire.writeText(text)
    if (!repeatable || this.#keptBytes > REPLAY_BYTES) this.forget()
    if (this.ended) this.#client.endBody(connection.wire)
    this.#unhold()
  }

  /** The request is not sent again. */
  forget(): void {
    this.#kept = null
    this.#keptBytes = 0
  }

  /** The exchange is over: nothing of it may keep the client waiting. */
  release(): void {
    this.forget()
    this.#unhold()
  }

  #keep(bytes: Buffer, from: number, to: number, tail: string, sent: boolean): void {
    this.#keptBytes += to - from + tail.length
    if (sent && this.#keptBytes > REPLAY_BYTES) {
      this.forget()
      return
    }
    if (to > from) this.#kept?.push(to - from < 4096 ? bytes.latin1Slice(from, to) : Buffer.from(bytes.subarray(from, to)))
    if (tail !== '') this.#kept?.push(tail)
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
