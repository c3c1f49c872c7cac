// An authority that lives as long as the demo: it signs one certificate for the demo's hosts, and its key is never written down.
import 'reflect-metadata' // @peculiar/x509 asks for it
import { webcrypto } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface DemoCertificate {
  /** Paths of PEM files: the authority to trust, and the certificate with its key. */
  readonly ca: string
  readonly cert: string
  readonly key: string
}

const DAY_MS = 86_400_000
const DAYS = 30
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

/** Writes a certificate for these names, with the authority's own, into the folder. Node issues none: the library is loaded by the demo alone. */
export async function writeCertificate(folder: string, names: readonly string[]): Promise<DemoCertificate> {
  const x509 = await import('@peculiar/x509')
  const keyPair = (): Promise<webcrypto.CryptoKeyPair> => webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const [authority, own] = await Promise.all([keyPair(), keyPair()])
  const now = Date.now()
  const validity = { notBefore: new Date(now - DAY_MS), notAfter: new Date(now + DAYS * DAY_MS) }
  const issuer = `CN=Serai demo ${new Date(now).toISOString().slice(0, 16)}`
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: issuer, keys: authority, signingAlgorithm: algorithm, ...validity,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true), new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true)],
  })
  const leaf = await x509.X509CertificateGenerator.create({
    subject: `CN=${names[0] ?? 'localhost'}`, issuer, publicKey: own.publicKey, signingKey: authority.privateKey, signingAlgorithm: algorithm, ...validity,
    extensions: [
      new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns', value }))),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    ],
  })
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', own.privateKey))
  const files = { ca: join(folder, 'ca.pem'), cert: join(folder, 'demo.pem'), key: join(folder, 'demo.key') }
  await writeFile(files.ca, root.toString('pem'))
  await writeFile(files.cert, leaf.toString('pem'))
  await writeFile(files.key, x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'), { mode: 0o600 })
  return files
}
