// A certificate with its chain and its private key, read from PEM text: the chain in order, and everything checked that OpenSSL would trip over. Pure.
import { createPrivateKey, hash, X509Certificate, type KeyObject } from 'node:crypto'
import tls from 'node:tls'
import { tlsTerms } from '#src/tls/contexts.ts'

export interface KeyPair {
  /** Lower case: hosts, and `*.` wildcards of one label; of the subject's alternative names, as nobody reads the common name any more. */
  readonly names: readonly string[]
  /** Of the key: `ec`, `rsa`, … */
  readonly kind: string
  /** Wall clock, milliseconds. */
  readonly notBefore: number
  readonly notAfter: number
  readonly issuer: string
  /** SHA-256 of the certificate, hex. */
  readonly fingerprint: string
  /** Differs when certificate, chain or key do. */
  readonly version: string
  /** PEM, the chain behind it in order. */
  readonly cert: string
  /** PEM. */
  readonly key: string
}

/** Nobody has a longer chain. */
const MAX_CHAIN = 10
const MAX_CERTIFICATES = 100

/** The pair in these texts (which may be one and the same), or what is wrong with them, in words that show nothing of the key. */
export function readKeyPair(certText: string, keyText: string): KeyPair | string {
  const certificates = readCertificates(certText)
  if (typeof certificates === 'string') return certificates
  const key = readKey(keyText)
  if (typeof key === 'string') return key
  const leaf = certificates.find((certificate) => certificate.checkPrivateKey(key))
  if (leaf === undefined) return 'the key does not belong to the certificate'
  const chain = chainOf(leaf, certificates)
  const cert = chain.map((certificate) => certificate.toString()).join('')
  const keyPem = key.export({ type: 'pkcs8', format: 'pem' }).toString()
  const refused = refusedByOpenssl(cert, keyPem)
  if (refused !== undefined) return refused
  return {
    names: namesOf(leaf),
    kind: key.asymmetricKeyType ?? '',
    notBefore: leaf.validFromDate.getTime(),
    notAfter: leaf.validToDate.getTime(),
    issuer: leaf.issuer.split('\n').findLast((line) => line.startsWith('CN=') || line.startsWith('O='))?.replace(/^\w+=/, '') ?? '',
    fingerprint: leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
    version: hash('sha256', cert + keyPem).slice(0, 32),
    cert, key: keyPem,
  }
}

function readCertificates(text: string): X509Certificate[] | string {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0) return 'expected a PEM file with a certificate (-----BEGIN CERTIFICATE-----)'
  if (blocks.length > MAX_CERTIFICATES) return `${blocks.length} certificates in one file; expected one with its chain`
  try {
    return blocks.map((block) => new X509Certificate(block))
  } catch {
    return 'a certificate in it cannot be read'
  }
}

function readKey(text: string): KeyObject | string {
  const [block] = /-----BEGIN [A-Z ]*PRIVATE KEY-----[^]+?-----END [A-Z ]*PRIVATE KEY-----/.exec(text) ?? []
  if (block === undefined) return 'expected a PEM file with a private key (-----BEGIN PRIVATE KEY-----)'
  if (block.includes('ENCRYPTED')) return 'the key is encrypted; expected one without a passphrase, in a file that only this program may read'
  try {
    return createPrivateKey(block)
  } catch {
    return 'the private key cannot be read'
  }
}

/** From the leaf towards the root, which clients have already; others in the file are left out. */
function chainOf(leaf: X509Certificate, certificates: readonly X509Certificate[]): X509Certificate[] {
  const chain = [leaf]
  for (let last = leaf; chain.length < MAX_CHAIN && last.subject !== last.issuer;) {
    const issuer = certificates.find((each) => !chain.includes(each) && last.checkIssued(each) && last.verify(each.publicKey))
    if (issuer === undefined || issuer.subject === issuer.issuer) break
    chain.push(issuer)
    last = issuer
  }
  return chain
}

const hostName = /^(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/

function namesOf({ subjectAltName = '' }: X509Certificate): string[] {
  const names = subjectAltName.split(', ').filter((name) => name.startsWith('DNS:')).map((name) => name.slice(4).toLowerCase().replace(/\.$/, ''))
  return [...new Set(names.filter((name) => hostName.test(name)))].sort()
}

/** Keys that are too short, curves that nobody speaks: said once here rather than at each handshake. */
function refusedByOpenssl(cert: string, key: string): string | undefined {
  try {
    tls.createSecureContext({ ...tlsTerms, cert, key })
    return undefined
  } catch (error) {
    return `OpenSSL refuses it: ${error instanceof Error ? error.message.replace(/^.*:/, '').trim() : String(error)}`
  }
}
