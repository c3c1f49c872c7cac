// What a TLS client says first (RFC 8446 4.1.2, 5.1; RFC 6066 3; RFC 7301): the ClientHello, read within bounds before OpenSSL sees it. Pure.
import { isIP } from 'node:net'

export interface ClientHello {
  /** Lower case, without a trailing dot; '' when it names none (or an address, which is no server name). */
  readonly serverName: string
  /** Protocols that it offers by ALPN, in its order. */
  readonly protocols: readonly string[]
}

/** Why octets are no ClientHello. */
export interface HelloFault {
  readonly fault: 'plain_http' | 'ssl2' | 'not_tls' | 'too_large' | 'malformed'
  /** For the log. */
  readonly detail: string
}

/** A hello with post-quantum key shares has 2 KiB; this is what may come before its end. */
export const MAX_HELLO_BYTES = 16 * 1024
/** A message may be cut into many records; nobody needs more. */
const MAX_RECORDS = 32
const MAX_RECORD = 16 * 1024

const HANDSHAKE = 22
const CLIENT_HELLO = 1
const SERVER_NAME = 0
const ALPN = 16

/** The ClientHello at `bytes[from, to)`; undefined when its end has not come; or why it is none, as soon as that is certain. */
export function readClientHello(bytes: Buffer, from: number, to: number): ClientHello | HelloFault | undefined {
  if (from >= to) return undefined
  const first = bytes[from]!
  if (first !== HANDSHAKE) return notTls(bytes, from, to)
  const parts: Buffer[] = []
  let have = 0
  let need = 4
  for (let at = from, records = 0; have < need; records++) {
    if (records === MAX_RECORDS) return fault('too_large', `more than ${MAX_RECORDS} records`)
    if (to - at >= 2 && (bytes[at] !== HANDSHAKE || bytes[at + 1] !== 3)) return fault('malformed', 'not a handshake record')
    if (to - at < 5) return to - from > MAX_HELLO_BYTES ? tooLarge : undefined
    const length = bytes.readUInt16BE(at + 3)
    if (length === 0 || length > MAX_RECORD) return fault('malformed', 'length of a record')
    at += 5
    parts.push(bytes.subarray(at, Math.min(at + length, to)))
    have += Math.min(length, to - at)
    if (have >= 4 && need === 4) {
      const head = parts.length === 1 ? parts[0]! : Buffer.concat(parts)
      if (head[0] !== CLIENT_HELLO) return fault('malformed', `handshake message ${head[0]}`)
      need = 4 + head.readUIntBE(1, 3)
      if (need > MAX_HELLO_BYTES) return tooLarge
    }
    if (at + length > to && have < need) return to - from > MAX_HELLO_BYTES ? tooLarge : undefined
    at += length
  }
  const message = parts.length === 1 ? parts[0]! : Buffer.concat(parts)
  return parseHello(new Reader(message, 4, need))
}

/** Whether a result of `readClientHello` is a refusal. */
export const isHelloFault = (result: ClientHello | HelloFault): result is HelloFault => 'fault' in result

/** A fatal alert as the record that carries it, in the clear: before ServerHello nothing is encrypted. */
export const alertRecord = (description: number): Buffer => Buffer.from([21, 3, 3, 0, 2, 2, description])

export const alerts = { protocolVersion: 70, decodeError: 50, internalError: 80, unrecognizedName: 112 } as const

const fault = (kind: HelloFault['fault'], detail: string): HelloFault => ({ fault: kind, detail })
const tooLarge = fault('too_large', `more than ${MAX_HELLO_BYTES} octets`)

function notTls(bytes: Buffer, from: number, to: number): HelloFault | undefined {
  const first = bytes[from]!
  // Methods are letters; no record type is one.
  if ((first >= 0x41 && first <= 0x5a) || (first >= 0x61 && first <= 0x7a)) return fault('plain_http', 'it begins with a letter')
  if (first < 0x80) return fault('not_tls', `it begins with ${first}`)
  if (to - from < 3) return undefined
  return bytes[from + 2] === CLIENT_HELLO ? fault('ssl2', 'a hello of SSL 2') : fault('not_tls', `it begins with ${first}`)
}

function parseHello(hello: Reader): ClientHello | HelloFault {
  hello.skip(2 + 32) // version, random
  if (hello.block(1).left > 32) return fault('malformed', 'session id')
  const suites = hello.block(2)
  if (suites.left === 0 || suites.left % 2 !== 0) return fault('malformed', 'cipher suites')
  if (hello.block(1).left === 0) return fault('malformed', 'compression methods')
  let serverName = ''
  let protocols: readonly string[] = []
  if (hello.left > 0) {
    const extensions = hello.block(2)
    const seen = new Set<number>()
    while (extensions.left > 0 && !extensions.short) {
      const type = extensions.number(2)
      const content = extensions.block(2)
      if (seen.has(type)) return fault('malformed', `extension ${type} repeated`)
      seen.add(type)
      if (type === SERVER_NAME) {
        const name = readServerName(content)
        if (name === undefined) return fault('malformed', 'server name')
        serverName = name
      } else if (type === ALPN) {
        const offered = readProtocols(content)
        if (offered === undefined) return fault('malformed', 'ALPN')
        protocols = offered
      }
    }
    if (extensions.short) return fault('malformed', 'extensions')
  }
  return hello.short || hello.left > 0 ? fault('malformed', 'lengths') : { serverName, protocols }
}

/** One name of one type, as RFC 6066 has it; undefined for anything that could be read in two ways. */
function readServerName(content: Reader): string | undefined {
  const list = content.block(2)
  const type = list.number(1)
  const name = list.block(2).text()
  if (content.short || list.short || content.left > 0 || list.left > 0 || type !== 0) return undefined
  if (isIP(name) !== 0) return ''
  const plain = name.endsWith('.') ? name.slice(0, -1) : name
  return plain.length <= 253 && hostName.test(plain) ? plain.toLowerCase() : undefined
}

const hostName = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/

function readProtocols(content: Reader): string[] | undefined {
  const list = content.block(2)
  const protocols: string[] = []
  while (list.left > 0 && !list.short) {
    const name = list.block(1).text()
    if (name === '') return undefined
    protocols.push(name)
  }
  return content.short || list.short || content.left > 0 || protocols.length === 0 ? undefined : protocols
}

/** Reads on within a span; what goes beyond it makes the reader `short`, never an exception. */
class Reader {
  short = false
  readonly #bytes: Buffer
  #at: number
  readonly #end: number

  constructor(bytes: Buffer, at: number, end: number) {
    this.#bytes = bytes
    this.#at = at
    this.#end = end
  }

  get left(): number {
    return this.#end - this.#at
  }

  skip(count: number): void {
    if (count > this.left) this.short = true
    this.#at = Math.min(this.#at + count, this.#end)
  }

  /** A number of `size` octets; 0 when they are not there. */
  number(size: number): number {
    const at = this.#at
    this.skip(size)
    return this.short ? 0 : this.#bytes.readUIntBE(at, size)
  }

  /** The span behind a length of `size` octets. */
  block(size: number): Reader {
    const length = this.number(size)
    const at = this.#at
    this.skip(length)
    const inner = new Reader(this.#bytes, at, this.#at)
    inner.short = this.short
    return inner
  }

  text(): string {
    return this.#bytes.latin1Slice(this.#at, this.#end)
  }
}
