// Frames of HTTP/2 (RFC 9113 sections 4 and 6): their numbers, and the nine octets before each.

export const DATA = 0x0
export const HEADERS = 0x1
export const PRIORITY = 0x2
export const RST_STREAM = 0x3
export const SETTINGS = 0x4
export const PUSH_PROMISE = 0x5
export const PING = 0x6
export const GOAWAY = 0x7
export const WINDOW_UPDATE = 0x8
export const CONTINUATION = 0x9
/** RFC 9218 section 7.1. */
export const PRIORITY_UPDATE = 0x10

/** On DATA and HEADERS. */
export const END_STREAM = 0x1
/** On SETTINGS and PING. */
export const ACK = 0x1
/** On HEADERS and CONTINUATION. */
export const END_HEADERS = 0x4
export const PADDED = 0x8
export const PRIORITY_FLAG = 0x20

export const FRAME_HEAD = 9
/** The largest payload that we take, and, as every peer takes it, that we send (SETTINGS_MAX_FRAME_SIZE's default). */
export const MAX_PAYLOAD = 16_384
export const MAX_STREAM_ID = 0x7fff_ffff
/** The largest window, and the largest increment (RFC 9113 6.9.1). */
export const MAX_WINDOW = 0x7fff_ffff
/** Windows before any SETTINGS or WINDOW_UPDATE. */
export const DEFAULT_WINDOW = 65_535

/** What a client sends first (RFC 9113 3.4). */
export const PREFACE: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

/** Writes the nine octets of a frame's head at `at`. */
export function writeFrameHead(out: Buffer, at: number, length: number, type: number, flags: number, id: number): void {
  out[at] = length >>> 16
  out[at + 1] = length >>> 8
  out[at + 2] = length
  out[at + 3] = type
  out[at + 4] = flags
  writeWord(out, at + 5, id)
}

/** Writes 32 bits. */
export function writeWord(out: Buffer, at: number, value: number): void {
  out[at] = value >>> 24
  out[at + 1] = value >>> 16
  out[at + 2] = value >>> 8
  out[at + 3] = value
}

/** Reads 32 bits, unsigned. */
export const readWord = (bytes: Buffer, at: number): number => ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0

/** Reads 31 bits: stream ids and window increments, whose first bit is reserved. */
export const readId = (bytes: Buffer, at: number): number => readWord(bytes, at) & 0x7fff_ffff
