// gRPC-Web, as browsers speak it, for services that speak gRPC: the head is renamed, base64 taken off and put on, trailers become a message.
import type { Peer, ResponseStream } from '#src/downstream/stream.ts'
import type { Source } from '#src/io/wire.ts'
import { withoutFields } from '#src/http1/fields.ts'
import { CHUNKED } from '#src/http1/body.ts'
import type { RequestHead } from '#src/http1/request-head.ts'
import { UNKNOWN_LENGTH, type OutgoingHead } from '#src/http1/response-text.ts'

/** The message that holds the trailers has this bit in its flags (gRPC-Web, "Message framing"). */
const TRAILERS = 0x80
/** Room on both sides of a span, for who frames it as a chunk. */
const ROOM = 16

const asGrpc = (line: string): string => line.replace(/^(content-type: *application\/grpc)-web(?:-text)?/gim, '$1')

/** The head as the service gets it. */
export function grpcHead(head: RequestHead, text: boolean): RequestHead {
  return { ...head, acceptsTrailers: true, contentLength: text && head.contentLength !== 0 ? CHUNKED : head.contentLength, fields: asGrpc(withoutFields(head.fields, ofWeb)) }
}

const ofWeb: ReadonlySet<string> = new Set(['x-grpc-web', 'accept'])

/** Takes base64 off, whatever the pieces it comes in. */
export class Base64Reader {
  #left = ''

  /** What `bytes[from, to)` says, with room around it; undefined when it is not base64. Concatenated pieces with padding are allowed. */
  read(bytes: Buffer, from: number, to: number): { readonly bytes: Buffer; readonly to: number } | undefined {
    const text = this.#left + bytes.latin1Slice(from, to)
    const whole = text.length - (text.length % 4)
    this.#left = text.slice(whole)
    if (!/^(?:[A-Za-z0-9+/]{2}(?:[A-Za-z0-9+/]{2}|[A-Za-z0-9+/]=|==))*$/.test(text.slice(0, whole))) return undefined
    const out = Buffer.allocUnsafe(2 * ROOM + whole)
    let at = ROOM
    for (const [piece] of text.slice(0, whole).matchAll(/[^=]+={0,2}/g)) at += out.write(piece, at, 'base64')
    return { bytes: out, to: at }
  }

  static readonly from = ROOM

  /** All of it was read. */
  get complete(): boolean {
    return this.#left === ''
  }
}

/** The way back to a client that speaks gRPC-Web. */
export class GrpcWebReply implements ResponseStream {
  readonly #stream: ResponseStream
  readonly #text: boolean

  /** `text`: in base64. */
  constructor(stream: ResponseStream, text: boolean) {
    this.#stream = stream
    this.#text = text
  }

  get peer(): Peer {
    return this.#stream.peer
  }

  get source(): Source {
    return this.#stream.source
  }

  interim(status: number, reason: string, fields: string): void {
    this.#stream.interim(status, reason, fields)
  }

  respond(head: OutgoingHead, bytes: Buffer, from: number, to: number, end: boolean, trailers: string, source: Source): void {
    const outgoing = { ...head, fields: this.#asWeb(head.fields), length: end && from === to && trailers === '' ? head.length : UNKNOWN_LENGTH }
    if (end && trailers === '') return this.#pass(outgoing, bytes, from, to, true, source)
    this.#pass(outgoing, bytes, from, to, false, source)
    if (end) this.#end(trailers, source)
  }

  respondBody(bytes: Buffer, from: number, to: number, end: boolean, trailers: string, source: Source): void {
    if (to > from || (end && trailers === '')) this.#pass(null, bytes, from, to, end && trailers === '', source)
    if (end && trailers !== '') this.#end(trailers, source)
  }

  answer(head: OutgoingHead, body: string, close: boolean): void {
    this.#stream.answer({ ...head, fields: this.#asWeb(head.fields) }, body, close)
  }

  cut(): void {
    this.#stream.cut()
  }

  tunnel(): void {
    this.#stream.cut() // no gRPC call becomes a tunnel
  }

  pass(): void {
    // There is no tunnel.
  }

  end(): void {
    // There is no tunnel.
  }

  shut(): void {
    this.#stream.shut()
  }

  #asWeb(fields: string): string {
    return fields.replace(/^(content-type: *application\/grpc)(?=[+;\r])/gim, this.#text ? '$1-web-text' : '$1-web')
  }

  #pass(head: OutgoingHead | null, bytes: Buffer, from: number, to: number, end: boolean, source: Source): void {
    if (!this.#text || to === from) {
      if (head === null) this.#stream.respondBody(bytes, from, to, end, '', source)
      else this.#stream.respond(head, bytes, from, to, end, '', source)
      return
    }
    const coded = bytes.toString('base64', from, to)
    const out = Buffer.allocUnsafe(2 * ROOM + coded.length)
    const behind = ROOM + out.latin1Write(coded, ROOM)
    if (head === null) this.#stream.respondBody(out, ROOM, behind, end, '', source)
    else this.#stream.respond(head, out, ROOM, behind, end, '', source)
  }

  /** The trailers as the last message: lines in lower case, without an empty one. */
  #end(trailers: string, source: Source): void {
    const lines = trailers.replace(/^[^:]+/gm, (name) => name.toLowerCase())
    const out = Buffer.allocUnsafe(2 * ROOM + 5 + lines.length)
    out[ROOM] = TRAILERS
    out.writeUInt32BE(lines.length, ROOM + 1)
    out.latin1Write(lines, ROOM + 5)
    this.#pass(null, out, ROOM, ROOM + 5 + lines.length, true, source)
  }
}
