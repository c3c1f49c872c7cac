// A naive reader of HTTP/1.1 messages for both ends of a test: it believes what it reads and keeps every header as it came.
import type { Inbox } from './inbox.ts'

export type HeaderPair = readonly [name: string, value: string]

/** The fields of a message: pairs in the order and the spelling in which they came. */
export class Headers {
  readonly pairs: readonly HeaderPair[]
  constructor(pairs: readonly HeaderPair[]) {
    this.pairs = pairs
  }
  /** The first value of a field, whatever its case. */
  get(name: string): string | undefined {
    return this.all(name)[0]
  }
  /** Every value of a field, in order. */
  all(name: string): string[] {
    return this.pairs.filter(([each]) => each.toLowerCase() === name.toLowerCase()).map(([, value]) => value)
  }
}

export interface Head {
  /** The raw head, its closing empty line included. */
  readonly raw: string
  readonly startLine: string
  readonly headers: Headers
}

export interface Body {
  /** Empty when the body was read without being kept. */
  readonly body: Buffer
  readonly bodyBytes: number
  readonly text: string
  readonly trailers: Headers
}

/** How a body is framed: its length, in chunks, or up to the end of the connection. */
export type Framing = number | 'chunked' | 'close'

/** Reads a head; `what` names it in errors. */
export async function readHead(inbox: Inbox, what: string): Promise<Head> {
  const raw = (await inbox.takeUntil('\r\n\r\n', what)).toString('latin1')
  const [startLine = '', ...lines] = raw.slice(0, -4).split('\r\n')
  return { raw, startLine, headers: new Headers(pairsOf(lines)) }
}

/** The framing that the fields declare; undefined when they declare none. */
export function declaredFraming(headers: Headers): Framing | undefined {
  if (headers.get('transfer-encoding') !== undefined) return 'chunked'
  const length = headers.get('content-length')
  return length === undefined ? undefined : Number(length)
}

/** Reads a body; `keep: false` counts its bytes and lets them go. */
export async function readBody(inbox: Inbox, framing: Framing, keep: boolean): Promise<Body> {
  if (framing === 'chunked') return readChunks(inbox, keep)
  if (framing === 'close') {
    const body = await inbox.takeAll()
    return bodyOf([body], body.length, [])
  }
  if (keep) return bodyOf([await inbox.take(framing, 'the end of the body')], framing, [])
  await inbox.skip(framing, 'the end of the body')
  return bodyOf([], framing, [])
}

async function readChunks(inbox: Inbox, keep: boolean): Promise<Body> {
  const parts: Buffer[] = []
  let bytes = 0
  for (;;) {
    const line = (await inbox.takeUntil('\r\n', 'the size of a chunk')).toString('latin1')
    const size = Number.parseInt(line, 16)
    if (Number.isNaN(size)) throw new Error(`not the size of a chunk: ${JSON.stringify(line)}; ${inbox.describe()}`)
    if (size === 0) break
    if (keep) parts.push(await inbox.take(size, 'the end of a chunk'))
    else await inbox.skip(size, 'the end of a chunk')
    bytes += size
    const end = await inbox.take(2, 'the line end after a chunk')
    if (end.toString('latin1') !== '\r\n') throw new Error(`no line end after a chunk of ${size} bytes; ${inbox.describe()}`)
  }
  const lines: string[] = []
  for (;;) {
    const line = (await inbox.takeUntil('\r\n', 'the end of the trailers')).toString('latin1').slice(0, -2)
    if (line === '') return bodyOf(parts, bytes, pairsOf(lines))
    lines.push(line)
  }
}

function bodyOf(parts: readonly Buffer[], bodyBytes: number, trailers: readonly HeaderPair[]): Body {
  const body = Buffer.concat(parts)
  return { body, bodyBytes, get text() { return body.toString('utf8') }, trailers: new Headers(trailers) }
}

function pairsOf(lines: readonly string[]): HeaderPair[] {
  return lines.map((line) => {
    const colon = line.indexOf(':')
    return colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
}
