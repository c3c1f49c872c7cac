// Certificates for tests, made on the spot: an authority of our own, and leaves that it signs (X.509 v3, P-256).
import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'
import { isIP } from 'node:net'

export interface Certificate {
  /** PEM. */
  readonly cert: string
  /** PEM, PKCS#8. */
  readonly key: string
}

export interface Authority {
  /** PEM of the authority's own certificate. */
  readonly ca: string
  /** A certificate for names and IPv4 addresses; `days` may be negative: then it has expired. */
  issue(names: readonly string[], days?: number, given?: Issue): Certificate
  /** An authority that this one signs; its `ca` is its own certificate, which servers send along. */
  intermediate(name: string): Authority
}

export interface Issue {
  /** Of the key: P-256, or RSA with 2048 bits. */
  readonly kind?: 'ec' | 'rsa'
  /** The subject's common name: the first name, unless it is given. */
  readonly subject?: string
  /** Days until it is valid. */
  readonly begins?: number
}

const DAY_MS = 86_400_000

/** A new authority; nobody trusts it who is not told to. */
export function makeAuthority(name = 'Test authority'): Authority {
  return authority(name, generateKeyPairSync('ec', { namedCurve: 'P-256' }), undefined)
}

type Certify = (subject: string, publicKey: KeyObject, days: number, extensions: readonly Buffer[], begins?: number) => string

/** `signer` signs its certificate; undefined: itself. */
function authority(name: string, keys: { readonly publicKey: KeyObject; readonly privateKey: KeyObject }, signer: Certify | undefined): Authority {
  const certify: Certify = (subject, publicKey, days, extensions, begins) => {
    const begin = new Date(Date.now() + (begins ?? -Math.max(1, 1 - days)) * DAY_MS)
    const algorithm = sequence(oid('2a8648ce3d040302')) // ecdsa-with-SHA256
    const body = sequence(
      tag(0xa0, integer(Buffer.from([2]))), integer(Buffer.from([1, ...randomBytes(7)])), algorithm, commonName(name),
      sequence(time(begin), time(new Date(Date.now() + days * DAY_MS))), commonName(subject),
      publicKey.export({ type: 'spki', format: 'der' }), tag(0xa3, sequence(...extensions)),
    )
    const signature = tag(0x03, Buffer.concat([Buffer.from([0]), sign('sha256', body, keys.privateKey)]))
    return pem(sequence(body, algorithm, signature))
  }
  return {
    ca: (signer ?? certify)(name, keys.publicKey, 365, [extension('551d13', sequence(tag(0x01, Buffer.from([0xff]))))]), // basicConstraints: CA
    intermediate: (below) => authority(below, generateKeyPairSync('ec', { namedCurve: 'P-256' }), certify),
    issue(names, days = 30, { kind = 'ec', subject = names[0] ?? 'leaf', begins } = {}) {
      const own = kind === 'ec' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('rsa', { modulusLength: 2048 })
      const alternatives = names.map((each) => isIP(each) === 4 ? tag(0x87, Buffer.from(each.split('.').map(Number))) : tag(0x82, Buffer.from(each, 'latin1')))
      return {
        cert: certify(subject, own.publicKey, days, [extension('551d11', sequence(...alternatives))], begins),
        key: own.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      }
    },
  }
}

function tag(kind: number, content: Buffer): Buffer {
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([kind, ...size]), content])
}

const sequence = (...parts: readonly Buffer[]): Buffer => tag(0x30, Buffer.concat(parts))
const oid = (hex: string): Buffer => tag(0x06, Buffer.from(hex, 'hex'))
const integer = (bytes: Buffer): Buffer => tag(0x02, bytes[0]! & 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes)
const commonName = (name: string): Buffer => sequence(tag(0x31, sequence(oid('550403'), tag(0x0c, Buffer.from(name)))))
const time = (date: Date): Buffer => tag(0x17, Buffer.from(`${date.toISOString().slice(2, 19).replace(/[-:T]/g, '')}Z`))
const extension = (id: string, value: Buffer): Buffer => sequence(oid(id), tag(0x04, value))
const pem = (der: Buffer): string => `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{64}/g, '$&\n').trimEnd()}\n-----END CERTIFICATE-----\n`
