// What a client has sent that no request has used yet: where the next head ends, and what is kept until it does.
import { BODY_BYTES } from '#src/io/read-buffer.ts'
import { Pending } from '#src/io/pending.ts'
import { isFault, parseRequestHead, type HeadFault, type RequestHead, type RequestHeadLimits } from '#src/http1/request-head.ts'

export interface AheadLimits {
  /** Of a head, its empty line included. */
  readonly headBytes: number
  readonly limits: RequestHeadLimits
}

/** Empty lines before a request are passed over (RFC 9112 2.2: at least one, as clients of old sent one after a body), but not for ever. */
const MAX_EMPTY_LINES = 2
const CR = 0x0d
const LF = 0x0a
/** The first octet of a TLS record with a ClientHello. */
const TLS_HANDSHAKE = 0x16

export class Ahead {
  /** After `find`: the first octet that it did not use. */
  next = 0
  readonly #limits: AheadLimits
  #kept: Pending | null = null
  #earlier: RequestHead | undefined
  #emptyLines = 0

  constructor(limits: AheadLimits) {
    this.#limits = limits
  }

  /** Octets that are kept. */
  get size(): number {
    return this.#kept === null ? 0 : this.#kept.size
  }

  /** As much as one head is kept: what reads should wait. */
  get full(): boolean {
    return this.size >= this.#limits.headBytes
  }

  /** Keeps octets behind those that are kept. Whoever stops reading when it is `full` never fills it: one more read has room. */
  keep(bytes: Buffer, from: number, to: number): void {
    this.#kept ??= new Pending(this.#limits.headBytes + BODY_BYTES)
    if (!this.#kept.append(bytes, from, to)) throw new Error('a client was read on though its octets could not be kept')
  }

  drop(): void {
    this.#kept = null
  }

  /** What is kept, when the end of a head may be in it. */
  get usable(): Pending | null {
    return this.#kept !== null && this.#kept.headEnd() >= 0 ? this.#kept : null
  }

  /** Octets before `at` of what is kept are used. */
  consume(at: number): void {
    this.#kept?.consume(at)
    if (this.#kept?.size === 0) this.#kept = null
  }

  /** Everything that is kept, to be used otherwise. */
  take(): Pending | null {
    const kept = this.#kept
    this.#kept = null
    return kept
  }

  /** The head that begins at `from`; undefined when its end has not come. */
  find(bytes: Buffer, from: number, to: number): RequestHead | HeadFault | undefined {
    const at = this.#skipEmptyLines(bytes, from, to)
    this.next = at
    if (this.#emptyLines > MAX_EMPTY_LINES) return tooManyEmptyLines
    const end = bytes.indexOf('\r\n\r\n', at, 'latin1')
    if (end < 0 || end + 4 > to) return undefined
    if (end + 4 - at > this.#limits.headBytes) return this.#tooLarge(bytes, at)
    this.#emptyLines = 0
    this.next = end + 4
    const head = parseRequestHead(bytes.latin1Slice(at, end + 2), this.#limits.limits, this.#earlier)
    if (!isFault(head)) this.#earlier = head
    return head
  }

  /** Why what is kept, which has no end of a head, can never become one. The same whatever the pieces that it came in. */
  fault(): HeadFault | undefined {
    const kept = this.#kept
    if (kept === null) return undefined
    this.consume(this.#skipEmptyLines(kept.bytes, kept.from, kept.to))
    if (this.#emptyLines > MAX_EMPTY_LINES) return tooManyEmptyLines
    if (kept.bytes[kept.from] === TLS_HANDSHAKE && kept.size > 0) return { status: 400, reason: 'TLS where plain HTTP is spoken' } // nobody waits for the rest of that
    if (kept.size >= this.#limits.headBytes) return this.#tooLarge(kept.bytes, kept.from)
    return kept.bareLineFeed() ? { status: 400, reason: 'bare LF' } : undefined
  }

  #skipEmptyLines(bytes: Buffer, from: number, to: number): number {
    let at = from
    for (; at + 1 < to && bytes[at] === CR && bytes[at + 1] === LF && this.#emptyLines <= MAX_EMPTY_LINES; at += 2) this.#emptyLines++
    return at
  }

  /** 414 when the request line alone is too long, else 431. */
  #tooLarge(bytes: Buffer, from: number): HeadFault {
    const line = bytes.indexOf('\r\n', from, 'latin1')
    const lineTooLong = line < 0 || line + 2 > from + this.#limits.headBytes
    return lineTooLong ? { status: 414, reason: 'target too long' } : { status: 431, reason: 'head too large' }
  }
}

const tooManyEmptyLines: HeadFault = { status: 400, reason: 'empty lines in place of a request' }
