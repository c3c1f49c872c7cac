// What RFC 9113 lets a server do with each frame of its client, slow and obvious: the errors that fit, the windows, and who has ended what.
import { type, type Frame } from '#test/support/http2-frames.ts'
import { HpackOracle, type Pair } from './hpack-oracle.ts'

const PROTOCOL_ERROR = 1
const FLOW_CONTROL_ERROR = 3
const STREAM_CLOSED = 5
const FRAME_SIZE_ERROR = 6
const REFUSED_STREAM = 7
const COMPRESSION_ERROR = 9
const MAX_WINDOW = 2 ** 31 - 1
const MAX_PAYLOAD = 16_384
const CONNECTION_WINDOW = 1024 * 1024

/** Reactions by name: `connection 1` is a GOAWAY of that code, `stream 5` an RST_STREAM of the frame's stream. */
export class Expected {
  /** One of these has to come, if there are any. */
  readonly must = new Set<string>()
  /** One of these may. */
  readonly may = new Set<string>()

  connection(...codes: readonly number[]): void {
    for (const code of codes) this.must.add(`connection ${code}`)
  }

  /** The error of a stream may be made one of the connection (5.4.2). */
  stream(code: number, may = false): void {
    for (const scope of ['stream', 'connection']) (may ? this.may : this.must).add(`${scope} ${code}`)
  }
}

interface StreamModel {
  /** The peer has ended its side; we ours. */
  remote: boolean
  local: boolean
  /** What may still be sent, by us and by the peer. */
  outWindow: number
  inWindow: number
}

export class ServerOracle {
  readonly open = new Map<number, StreamModel>()
  /** Heads that a stream was opened with, or trailers, as they must be heard. */
  readonly heads: { readonly id: number; readonly fields: readonly Pair[] }[] = []
  /** Octets of bodies by stream. */
  readonly bodies = new Map<number, string>()
  lastId = 0
  /** What may still be sent on the connection, by us and by the peer, and what the peer has sent in all. */
  outWindow = 65_535
  inWindow = CONNECTION_WINDOW
  received = 0
  /** What has still to be answered: payloads of PING, and SETTINGS. */
  readonly pings: string[] = []
  unacknowledged = 0
  /** SETTINGS_HEADER_TABLE_SIZE of the peer. */
  table = 4096
  readonly #closed = new Map<number, 'ended' | 'cut'>()
  readonly #hpack = new HpackOracle(4096)
  readonly #most: number
  #settled = false
  #initial = 65_535
  #connects = false
  #block: { readonly id: number; readonly end: boolean; readonly parts: Buffer[] } | undefined

  /** `most`: streams at once. */
  constructor(most: number) {
    this.#most = most
  }

  /** Takes a frame of the client, as far as it is right. */
  takes({ type: kind, flags, id: word, payload }: Frame): Expected {
    const expected = new Expected()
    const id = word & MAX_WINDOW
    const size = payload.length
    if (size > MAX_PAYLOAD) expected.stream(FRAME_SIZE_ERROR) // 4.2
    else if (this.#block !== undefined ? kind !== type.CONTINUATION || id !== this.#block.id : kind === type.CONTINUATION) expected.connection(PROTOCOL_ERROR) // 6.10
    else if (!this.#settled && kind !== type.SETTINGS) expected.connection(PROTOCOL_ERROR) // 3.4
    else this.#takesAt(expected, kind, flags, id, payload)
    return expected
  }

  #takesAt(expected: Expected, kind: number, flags: number, id: number, payload: Buffer): void {
    const known = id !== 0 && id % 2 === 1 && id <= this.lastId
    const stream = this.open.get(id)
    const size = payload.length
    const sized = (right: boolean): void => { if (!right) expected.connection(FRAME_SIZE_ERROR) }
    const ofConnection = (right: boolean): void => { if (!right) expected.connection(PROTOCOL_ERROR) }
    switch (kind) {
      case type.DATA:
        return this.#takeData(expected, flags, id, payload)
      case type.HEADERS: {
        const parts = fragment(flags, payload)
        ofConnection(id % 2 === 1) // 5.1.1
        if (typeof parts === 'number') expected.connection(parts, PROTOCOL_ERROR)
        else if (id % 2 === 1) {
          if (parts.dependsOn === id) expected.stream(PROTOCOL_ERROR, true) // RFC 7540 5.3.1, which 9113 has dropped
          this.#block = { id, end: (flags & 1) !== 0, parts: [parts.block] }
          if ((flags & 4) !== 0) this.#takeBlock(expected)
        }
        return
      }
      case type.CONTINUATION:
        this.#block!.parts.push(payload)
        if ((flags & 4) !== 0) this.#takeBlock(expected)
        return
      case type.PRIORITY:
        ofConnection(id !== 0)
        if (size !== 5) expected.stream(FRAME_SIZE_ERROR, stream === undefined && id <= this.lastId)
        else if ((payload.readUInt32BE(0) & MAX_WINDOW) === id) expected.stream(PROTOCOL_ERROR, true)
        return
      case type.RST_STREAM:
        sized(size === 4)
        ofConnection(known)
        if (size === 4 && stream !== undefined) this.#close(id, 'ended')
        return
      case type.SETTINGS:
        ofConnection(id === 0)
        if ((flags & 1) === 0) this.#takeSettings(expected, payload)
        else sized(size === 0)
        return
      case type.PUSH_PROMISE:
        return expected.connection(PROTOCOL_ERROR)
      case type.PING:
        ofConnection(id === 0)
        sized(size === 8)
        if (id === 0 && size === 8 && (flags & 1) === 0) this.pings.push(payload.toString('hex'))
        return
      case type.GOAWAY:
        ofConnection(id === 0)
        return sized(size >= 8)
      case type.WINDOW_UPDATE: {
        sized(size === 4)
        const by = size === 4 ? payload.readUInt32BE(0) & MAX_WINDOW : 0
        if (id !== 0) ofConnection(known)
        if (id !== 0 && known && by === 0) expected.stream(PROTOCOL_ERROR, stream === undefined)
        else if (id === 0) {
          ofConnection(by > 0)
          if ((this.outWindow += by) > MAX_WINDOW) expected.connection(FLOW_CONTROL_ERROR)
        } else if (stream !== undefined && (stream.outWindow += by) > MAX_WINDOW) expected.stream(FLOW_CONTROL_ERROR)
        return
      }
      case type.PRIORITY_UPDATE: // RFC 9218 7.1
        ofConnection(id === 0)
        sized(size >= 4)
        if (size >= 4) ofConnection((payload.readUInt32BE(0) & MAX_WINDOW) % 2 === 1) // else the connection, or a push that was never promised
        return
      default: // 5.5
    }
  }

  #takeData(expected: Expected, flags: number, id: number, payload: Buffer): void {
    const size = payload.length
    const stream = this.open.get(id)
    const isPadded = (flags & 8) !== 0
    const pad = isPadded ? (payload[0] ?? 0) + 1 : 0
    if (id % 2 === 0 || id > this.lastId) expected.connection(PROTOCOL_ERROR)
    if (isPadded && size === 0) expected.connection(FRAME_SIZE_ERROR, PROTOCOL_ERROR)
    else if (pad > size) expected.connection(PROTOCOL_ERROR)
    if (size > this.inWindow) expected.connection(FLOW_CONTROL_ERROR)
    if (stream === undefined) expected.stream(STREAM_CLOSED, this.#closed.get(id) === 'cut')
    else if (stream.remote) expected.stream(STREAM_CLOSED)
    else if (size > stream.inWindow) expected.stream(FLOW_CONTROL_ERROR)
    this.inWindow -= size
    this.received += size
    if (expected.must.size > 0 || stream === undefined) return
    stream.inWindow -= size
    this.bodies.set(id, (this.bodies.get(id) ?? '') + payload.latin1Slice(isPadded ? 1 : 0, isPadded ? size - pad + 1 : size))
    if ((flags & 1) !== 0) this.#endRemote(id, stream)
  }

  /** A header block is whole. */
  #takeBlock(expected: Expected): void {
    const { id, end, parts } = this.#block!
    this.#block = undefined
    const fields = this.#hpack.decode(Buffer.concat(parts))
    const stream = this.open.get(id)
    if (fields === undefined) expected.connection(COMPRESSION_ERROR)
    else if (stream !== undefined) {
      if (stream.remote) expected.stream(STREAM_CLOSED)
      else if (!end) expected.stream(PROTOCOL_ERROR) // 8.1: trailers end the stream
      else {
        this.heads.push({ id, fields })
        this.#endRemote(id, stream)
      }
    } else if (id <= this.lastId) {
      const how = this.#closed.get(id)
      expected.stream(STREAM_CLOSED, how === 'cut')
      if (how === undefined) expected.connection(PROTOCOL_ERROR) // 5.1.1: it was passed over
    } else {
      this.lastId = id
      if (this.open.size >= this.#most) {
        expected.stream(REFUSED_STREAM)
        expected.stream(PROTOCOL_ERROR)
      } else {
        this.open.set(id, { remote: end, local: false, outWindow: this.#initial, inWindow: 65_535 })
        this.heads.push({ id, fields })
      }
    }
  }

  #takeSettings(expected: Expected, payload: Buffer): void {
    if (payload.length % 6 !== 0) return expected.connection(FRAME_SIZE_ERROR)
    let initial = this.#initial
    for (let at = 0; at < payload.length; at += 6) {
      const value = payload.readUInt32BE(at + 2)
      switch (payload.readUInt16BE(at)) {
        case 1:
          this.table = value
          break
        case 2:
          if (value > 1) expected.connection(PROTOCOL_ERROR)
          break
        case 4:
          if (value > MAX_WINDOW) expected.connection(FLOW_CONTROL_ERROR)
          initial = value
          break
        case 5:
          if (value < MAX_PAYLOAD || value > 2 ** 24 - 1) expected.connection(PROTOCOL_ERROR)
          break
        case 8: // RFC 8441 3
          if (value > 1 || (this.#connects && value === 0)) expected.connection(PROTOCOL_ERROR)
          this.#connects ||= value === 1
          break
        default:
      }
    }
    for (const stream of this.open.values()) if ((stream.outWindow += initial - this.#initial) > MAX_WINDOW) expected.connection(FLOW_CONTROL_ERROR)
    this.#initial = initial
    this.#settled = true
    this.unacknowledged++
  }

  // ── what the server does ──

  /** The server has reset it. */
  cut(id: number): void {
    this.#close(id, 'cut')
  }

  endLocal(id: number): void {
    const stream = this.open.get(id)!
    stream.local = true
    if (stream.remote) this.#close(id, 'ended')
  }

  #endRemote(id: number, stream: StreamModel): void {
    stream.remote = true
    if (stream.local) this.#close(id, 'ended')
  }

  #close(id: number, how: 'ended' | 'cut'): void {
    this.open.delete(id)
    this.#closed.set(id, how)
  }
}

/** 6.2: the fragment in the payload of HEADERS; a number is the error that it is. */
function fragment(flags: number, payload: Buffer): { readonly block: Buffer; readonly dependsOn: number } | number {
  let at = 0
  let pad = 0
  let dependsOn = -1
  if ((flags & 8) !== 0) {
    if (payload.length === 0) return FRAME_SIZE_ERROR
    pad = payload[at++]!
  }
  if ((flags & 0x20) !== 0) {
    if (payload.length < at + 5) return FRAME_SIZE_ERROR
    dependsOn = payload.readUInt32BE(at) & MAX_WINDOW
    at += 5
  }
  return at + pad > payload.length ? PROTOCOL_ERROR : { block: payload.subarray(at, payload.length - pad), dependsOn }
}
