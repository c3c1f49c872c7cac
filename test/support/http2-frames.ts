// HTTP/2 frames by hand, for tests that say what no library would: builders, a reader, and a session without sockets.
import { Outbox, Outboxes } from '#src/io/outbox.ts'
import { WindowLoans } from '#src/http2/receive-window.ts'
import { Session, type SessionOptions, type SessionOwner } from '#src/http2/session.ts'
import { kindOfRequestField, requestFields } from '#src/http2/request-fields.ts'
import { kindOfResponseField, responseFields } from '#src/http2/response-fields.ts'
import type { StreamOwner } from '#src/http2/stream.ts'

export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
export const type = { DATA: 0, HEADERS: 1, PRIORITY: 2, RST_STREAM: 3, SETTINGS: 4, PUSH_PROMISE: 5, PING: 6, GOAWAY: 7, WINDOW_UPDATE: 8, CONTINUATION: 9, PRIORITY_UPDATE: 16 } as const

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly id: number
  readonly payload: Buffer
}

/** One frame; `payload` as octets, latin1 text or hex in pieces. */
export function frame(kind: keyof typeof type, flags: number, id: number, payload: Buffer | string | readonly number[] = ''): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : Buffer.from(payload)
  const head = Buffer.alloc(9)
  head.writeUIntBE(body.length, 0, 3)
  head[3] = type[kind]
  head[4] = flags
  head.writeUInt32BE(id, 5)
  return Buffer.concat([head, body])
}

export const word = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

export const settings = (...entries: readonly (readonly [number, number])[]): Buffer =>
  frame('SETTINGS', 0, 0, Buffer.concat(entries.map(([key, value]) => Buffer.concat([Buffer.from([key >> 8, key & 255]), word(value)]))))
export const SETTINGS_ACK = frame('SETTINGS', 1, 0)
export const windowUpdate = (id: number, by: number): Buffer => frame('WINDOW_UPDATE', 0, id, word(by))
export const rst = (id: number, code: number): Buffer => frame('RST_STREAM', 0, id, word(code))

/** A block of literals that enter no table. */
export function block(fields: readonly (readonly [string, string])[]): Buffer {
  const text = (value: string): Buffer => {
    const bytes = Buffer.from(value, 'latin1')
    if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes])
    const size = [127]
    let rest = bytes.length - 127
    for (; rest >= 128; rest >>>= 7) size.push((rest & 127) | 128)
    return Buffer.concat([Buffer.from([...size, rest]), bytes])
  }
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]))
}

export const get = (path = '/', host = 'a.example.org', ...more: (readonly [string, string])[]): Buffer =>
  block([[':method', 'GET'], [':scheme', 'http'], [':path', path], [':authority', host], ...more])
export const post = (path = '/', host = 'a.example.org', ...more: (readonly [string, string])[]): Buffer =>
  block([[':method', 'POST'], [':scheme', 'http'], [':path', path], [':authority', host], ...more])

/** Takes whole frames off the front; what is left over is returned with them. */
export function readFrames(bytes: Buffer): { readonly frames: readonly Frame[]; readonly rest: Buffer } {
  const frames: Frame[] = []
  let at = 0
  while (bytes.length - at >= 9 && bytes.length - at - 9 >= bytes.readUIntBE(at, 3)) {
    const length = bytes.readUIntBE(at, 3)
    frames.push({ type: bytes[at + 3]!, flags: bytes[at + 4]!, id: bytes.readUInt32BE(at + 5), payload: Buffer.from(bytes.subarray(at + 9, at + 9 + length)) })
    at += 9 + length
  }
  return { frames, rest: bytes.subarray(at) }
}

/** `HEADERS 5 1 …`: a frame in words, for assertions. */
export function describe({ type: kind, flags, id, payload }: Frame): string {
  const name = Object.entries(type).find(([, number]) => number === kind)?.[0] ?? String(kind)
  const tail = kind === type.RST_STREAM ? ` ${payload.readUInt32BE(0)}` : kind === type.GOAWAY ? ` ${payload.readUInt32BE(0)} ${payload.readUInt32BE(4)}` : kind === type.WINDOW_UPDATE ? ` ${payload.readUInt32BE(0)}` : ''
  return `${name} flags=${flags} id=${id} length=${payload.length}${tail}`
}

export interface Heard {
  readonly opened: { id: number; fields: [string, string][]; tooLarge: boolean; end: boolean }[]
  readonly failed: { code: number; reason: string }[]
  readonly gone: { id: number; code: number }[]
  readonly data: { id: number; text: string; end: boolean }[]
  readonly headers: { id: number; fields: [string, string][]; end: boolean }[]
  goaways: { lastId: number; code: number }[]
}

export interface Bench {
  readonly session: Session
  readonly heard: Heard
  readonly outbox: Outbox
  /** Gives the session octets, as one read. */
  feed(...pieces: readonly Buffer[]): void
  /** The frames that it has written since the last call. */
  written(): readonly Frame[]
  /** What it has written, as octets. */
  raw(): Buffer
  now: number
}

/** A session whose outbox is a list; `stuck`: the other side takes nothing until it is told to. */
export function startSession(role: 'server' | 'client', given: Partial<SessionOptions> = {}, taken: () => boolean = () => true): Bench {
  const heard: Heard = { opened: [], failed: [], gone: [], data: [], headers: [], goaways: [] }
  const chunks: Buffer[] = []
  const outbox = new Outbox(new Outboxes((error) => { throw error }), (bytes) => {
    chunks.push(Buffer.from(bytes))
    return taken()
  })
  const listen = (id: number): StreamOwner => ({
    headers: (fields, count, _, end) => void heard.headers.push({ id, fields: fields.slice(0, count).map(({ name, value }) => [name, value]), end }),
    data: (bytes, from, to, end) => void heard.data.push({ id, text: bytes.latin1Slice(from, to), end }),
    gone: (code) => void heard.gone.push({ id, code }),
    unblocked: () => undefined,
    localEnd: () => undefined,
    closed: () => undefined,
  })
  const owner: SessionOwner = {
    opened(stream, fields, count, tooLarge, end) {
      stream.owner = listen(stream.id)
      heard.opened.push({ id: stream.id, fields: fields.slice(0, count).map(({ name, value }) => [name, value]), tooLarge, end })
    },
    failed: (code, reason) => void heard.failed.push({ code, reason }),
    goaway: (lastId, code) => void heard.goaways.push({ lastId, code }),
    settled: () => undefined,
    pong: () => undefined,
    emptied: () => undefined,
  }
  const clock = { now: 0 }
  const bench: Bench = {
    get now() { return clock.now },
    set now(now) { clock.now = now },
    heard,
    outbox,
    session: new Session({
      role, owner, outbox,
      fields: role === 'server' ? requestFields : responseFields, kindOf: role === 'server' ? kindOfRequestField : kindOfResponseField,
      limits: { fields: 100, bytes: 32 * 1024 }, streams: 128, loans: new WindowLoans(0), settings: [[3, 128]], now: () => clock.now, waiting: () => undefined, ...given,
    }),
    feed(...pieces: readonly Buffer[]) {
      const bytes = Buffer.concat([Buffer.alloc(16), ...pieces, Buffer.alloc(8)])
      bench.session.read(bytes, 16, bytes.length - 8)
    },
    raw(): Buffer {
      outbox.flush()
      return Buffer.concat(chunks.splice(0))
    },
    written(): readonly Frame[] {
      return readFrames(bench.raw()).frames
    },
  }
  return bench
}
