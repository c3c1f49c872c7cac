// The PROXY protocol (HAProxy's proxy-protocol.txt, versions 1 and 2): what a balancer says about the client before the client's own octets. Pure.
import { isIPv4, isIPv6 } from 'node:net'

export interface ProxyHeader {
  /** Octets that it takes. */
  readonly length: number
  /** The client's address; '' when the balancer speaks for itself (LOCAL, UNKNOWN, no address of the internet). */
  readonly address: string
  /** The port that the client connected to; 0 with no address. */
  readonly port: number
}

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const MAX_V1 = 107
/** Addresses, and whatever a balancer adds (type-length-values). */
const MAX_V2_PAYLOAD = 2048
/** What may come before the header has ended. */
export const MAX_PROXY_HEADER_BYTES = 16 + MAX_V2_PAYLOAD

/** The header at `bytes[from, to)`; undefined when its end has not come; 'bad' as soon as it cannot be one. */
export function readProxyHeader(bytes: Buffer, from: number, to: number): ProxyHeader | 'bad' | undefined {
  if (from >= to) return undefined
  return bytes[from] === 0x50 ? readV1(bytes, from, to) : readV2(bytes, from, to)
}

function readV1(bytes: Buffer, from: number, to: number): ProxyHeader | 'bad' | undefined {
  const text = bytes.latin1Slice(from, Math.min(to, from + MAX_V1))
  const end = text.indexOf('\r\n')
  const start = 'PROXY '
  if (!start.startsWith(text.slice(0, start.length))) return 'bad'
  if (end < 0) return text.length === MAX_V1 ? 'bad' : undefined
  const [, family, source, target, sourcePort, port, ...more] = text.slice(0, end).split(' ')
  const length = end + 2
  if (family === 'UNKNOWN') return { length, address: '', port: 0 }
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isZonelessIPv6 : undefined
  const sound = isAddress !== undefined && more.length === 0 && isAddress(source ?? '') && isAddress(target ?? '') && isPort(sourcePort) && isPort(port)
  return sound ? { length, address: plain(source!), port: Number(port) } : 'bad'
}

/** Without a zone, which means nothing on another machine. */
const isZonelessIPv6 = (text: string): boolean => isIPv6(text) && !text.includes('%')

const isPort = (text: string | undefined): boolean => text !== undefined && /^[0-9]{1,5}$/.test(text) && Number(text) <= 65_535

function readV2(bytes: Buffer, from: number, to: number): ProxyHeader | 'bad' | undefined {
  const known = Math.min(to - from, SIGNATURE.length)
  if (bytes.compare(SIGNATURE, 0, known, from, from + known) !== 0) return 'bad'
  if (to - from < 16) return undefined
  const command = bytes[from + 12]!
  const family = bytes[from + 13]!
  const payload = bytes.readUInt16BE(from + 14)
  if ((command !== 0x20 && command !== 0x21) || payload > MAX_V2_PAYLOAD) return 'bad'
  if (to - from < 16 + payload) return undefined
  const at = from + 16
  const length = 16 + payload
  if (command === 0x20) return { length, address: '', port: 0 }
  switch (family) {
    case 0x11:
      return payload < 12 ? 'bad' : { length, address: bytes.subarray(at, at + 4).join('.'), port: bytes.readUInt16BE(at + 10) }
    case 0x21:
      return payload < 36 ? 'bad' : { length, address: plain(ipv6(bytes, at)), port: bytes.readUInt16BE(at + 34) }
    default:
      return { length, address: '', port: 0 }
  }
}

function ipv6(bytes: Buffer, at: number): string {
  const groups = Array.from({ length: 8 }, (_, group) => bytes.readUInt16BE(at + 2 * group).toString(16)).join(':')
  return new URL(`http://[${groups}]`).hostname.slice(1, -1) // in its usual form, so that equal addresses are equal text
}

/** An IPv4 address in its own form, and IPv6 in its usual one. */
function plain(address: string): string {
  if (!address.includes(':')) return address
  const usual = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(usual) ?? []
  if (high === undefined || low === undefined) return usual
  const [a, b] = [parseInt(high, 16), parseInt(low, 16)]
  return `${a >> 8}.${a & 255}.${b >> 8}.${b & 255}`
}
