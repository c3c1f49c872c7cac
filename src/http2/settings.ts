// SETTINGS (RFC 9113 section 6.5): what both sides tell of themselves first.
import { FLOW_CONTROL_ERROR, ENHANCE_YOUR_CALM, FRAME_SIZE_ERROR, PROTOCOL_ERROR } from './error-code.ts'
import { DEFAULT_WINDOW, MAX_PAYLOAD, MAX_WINDOW, readWord, writeWord } from './frame.ts'

export const HEADER_TABLE_SIZE = 0x1
export const ENABLE_PUSH = 0x2
export const MAX_CONCURRENT_STREAMS = 0x3
export const INITIAL_WINDOW_SIZE = 0x4
export const MAX_FRAME_SIZE = 0x5
export const MAX_HEADER_LIST_SIZE = 0x6
/** RFC 8441: CONNECT with `:protocol` is understood. */
export const ENABLE_CONNECT_PROTOCOL = 0x8
/** RFC 9218 2.1: PRIORITY frames mean nothing here. */
export const NO_RFC7540_PRIORITIES = 0x9

export const SETTING_BYTES = 6
/** More entries than this in one frame are not meant well: nobody knows so many. */
const MAX_ENTRIES = 32

/** What a peer has said of itself; before it has, the defaults. */
export interface PeerSettings {
  readonly headerTableSize: number
  readonly maxConcurrentStreams: number
  readonly initialWindow: number
  readonly connectProtocol: boolean
}

export const defaultSettings: PeerSettings = { headerTableSize: 4096, maxConcurrentStreams: Number.POSITIVE_INFINITY, initialWindow: DEFAULT_WINDOW, connectProtocol: false }

/** Reads a payload on top of what was known; a number is the code of the connection error that it is. */
export function readSettings(before: PeerSettings, bytes: Buffer, from: number, to: number): PeerSettings | number {
  if ((to - from) % SETTING_BYTES !== 0) return FRAME_SIZE_ERROR
  if (to - from > MAX_ENTRIES * SETTING_BYTES) return ENHANCE_YOUR_CALM
  let { headerTableSize, maxConcurrentStreams, initialWindow, connectProtocol } = before
  for (let at = from; at < to; at += SETTING_BYTES) {
    const value = readWord(bytes, at + 2)
    switch ((bytes[at]! << 8) | bytes[at + 1]!) {
      case HEADER_TABLE_SIZE:
        headerTableSize = value
        break
      case ENABLE_PUSH:
        if (value > 1) return PROTOCOL_ERROR
        break
      case MAX_CONCURRENT_STREAMS:
        maxConcurrentStreams = value
        break
      case INITIAL_WINDOW_SIZE:
        if (value > MAX_WINDOW) return FLOW_CONTROL_ERROR
        initialWindow = value
        break
      case MAX_FRAME_SIZE:
        if (value < MAX_PAYLOAD || value > 0xff_ffff) return PROTOCOL_ERROR
        break
      case ENABLE_CONNECT_PROTOCOL:
        if (value > 1 || (connectProtocol && value === 0)) return PROTOCOL_ERROR
        connectProtocol = value === 1
        break
      default: // what we do not know is passed over (RFC 9113 6.5.2)
    }
  }
  return { headerTableSize, maxConcurrentStreams, initialWindow, connectProtocol }
}

/** Writes one entry. */
export function writeSetting(out: Buffer, at: number, key: number, value: number): void {
  out[at] = key >>> 8
  out[at + 1] = key
  writeWord(out, at + 2, value)
}
