// Our parsers put together as a client's connection puts them together, without the connection: pieces in, messages out.
import { Ahead } from '#src/downstream/ahead.ts'
import { BodyReader } from '#src/http1/body.ts'
import { isFault, type RequestHead } from '#src/http1/request-head.ts'
import { createReadBuffer } from '#src/io/read-buffer.ts'
import type { Pending } from '#src/io/pending.ts'
import type { Bounds } from './oracle.ts'

export interface Taken {
  readonly method: string
  readonly origin: string
  readonly body: string
  /** First octet behind it. */
  readonly end: number
}

export interface Reading {
  readonly messages: readonly Taken[]
  readonly last: 'end' | 'closed' | 'incomplete' | 'rejected'
  readonly why: string
}

/** Reads pieces of a stream as they come. */
export function readPieces(pieces: readonly Buffer[], bounds: Bounds): Reading {
  const ahead = new Ahead({ headBytes: bounds.headBytes, limits: { headers: bounds.headers, via: 'serai-fuzz' } })
  const messages: Taken[] = []
  let last: Reading['last'] = 'end'
  let why = ''
  let open: { readonly head: RequestHead; readonly body: BodyReader; text: string } | undefined
  /** Where `bytes[0]` of what is being read stands in the stream. */
  let base = 0
  const over = (): boolean => last !== 'end'
  const refuse = (reason: string): void => {
    last = 'rejected'
    why = reason
  }
  const complete = (head: RequestHead, body: string, next: number): void => {
    messages.push({ method: head.method, origin: head.rawPath + head.query, body, end: base + next })
    if (head.close) last = 'closed'
  }

  /** Returns the first octet that no message has used. */
  const read = (bytes: Buffer, from: number, to: number): number => {
    let at = from
    while (!over()) {
      if (open === undefined) {
        const head = ahead.find(bytes, at, to)
        at = ahead.next
        if (head === undefined) return at
        if (isFault(head)) refuse(head.reason)
        else if (head.contentLength === 0) complete(head, '', at)
        else open = { head, body: new BodyReader(head.contentLength), text: '' }
        if (open === undefined) continue
      }
      const { body, head } = open
      const result = body.read(bytes, at, to)
      if (result === 'bad') {
        refuse(body.fault)
        return to
      }
      open.text += bytes.latin1Slice(body.start, body.end)
      at = body.next
      if (result === 'more') return at
      complete(head, open.text, at)
      open = undefined
    }
    return to
  }

  let arrived = 0
  for (const piece of pieces) {
    if (over()) break
    const buffer = createReadBuffer(Math.max(1, piece.length))
    piece.copy(buffer.raw, buffer.offset)
    const [from, to] = [buffer.offset, buffer.offset + piece.length]
    base = arrived - from
    arrived += piece.length
    const next = ahead.size > 0 ? from : read(buffer.raw, from, to)
    if (over()) break
    if (next < to) ahead.keep(buffer.raw, next, to)
    let kept: Pending | null
    while (!over() && open === undefined && (kept = ahead.usable) !== null) {
      base = arrived - kept.to
      ahead.consume(read(kept.bytes, kept.from, kept.to))
    }
    const fault = over() ? undefined : ahead.fault()
    if (fault !== undefined) refuse(fault.reason)
  }
  if (last === 'end' && (open !== undefined || ahead.size > 0)) last = 'incomplete'
  return { messages, last, why }
}
