// What OpenSSL needs to be one of our identities: made when a client asks for it, kept within bounds.
import { constants, hash } from 'node:crypto'
import tls from 'node:tls'
import { LRUCache } from 'lru-cache'
import type { Identity } from './identities.ts'

/** A context takes about 60 KiB beside its certificates. */
const MAX_CONTEXTS = 1000

/** Mozilla's intermediate profile, its version 5.7 without finite-field Diffie-Hellman. Our order counts, but for clients that put ChaCha20 first: they have no AES in hardware. */
export const tlsTerms = {
  minVersion: 'TLSv1.2',
  ciphers: [
    'TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305',
  ].join(':'),
  ecdhCurve: 'X25519MLKEM768:X25519:prime256v1:secp384r1',
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_CIPHER_SERVER_PREFERENCE | constants.SSL_OP_PRIORITIZE_CHACHA,
} as const satisfies tls.SecureContextOptions

/**
 * Where clients show certificates no session is resumed: it would stand in for a certificate that has expired since, and OpenSSL
 * repeats what it found then. Without tickets a session would have to be kept here, and none is.
 */
const withoutSessions = tlsTerms.secureOptions | constants.SSL_OP_NO_TICKET

/** How long a session can be resumed; its ticket's key does not live longer. */
const SESSION_SECONDS = 12 * 60 * 60

export class Contexts {
  readonly #contexts = new LRUCache<string, tls.SecureContext>({ max: MAX_CONTEXTS })
  #ticketKeys: Buffer
  #minVersion: 'TLSv1.2' | 'TLSv1.3'

  /** `ticketKeys`: the 48 octets that all workers share. */
  constructor(ticketKeys: Uint8Array, minVersion: 'TLSv1.2' | 'TLSv1.3') {
    this.#ticketKeys = Buffer.from(ticketKeys)
    this.#minVersion = minVersion
  }

  /** New keys: older tickets lead to a whole handshake. */
  rotate(ticketKeys: Uint8Array): void {
    this.#ticketKeys = Buffer.from(ticketKeys)
    this.#contexts.clear()
  }

  configure(minVersion: 'TLSv1.2' | 'TLSv1.3'): void {
    if (minVersion === this.#minVersion) return
    this.#minVersion = minVersion
    this.#contexts.clear()
  }

  /** Throws when OpenSSL cannot use what the main thread found good. */
  of(identity: Identity): tls.SecureContext {
    const known = this.#contexts.get(identity.key)
    if (known !== undefined) return known
    const { certificates, policy } = identity
    const context = tls.createSecureContext({
      ...tlsTerms,
      minVersion: this.#minVersion,
      cert: certificates.map(({ cert }) => Buffer.from(cert)),
      key: certificates.map(({ key }) => Buffer.from(key)),
      ...(policy === null ? {} : { ca: policy.ca, secureOptions: withoutSessions }),
      ticketKeys: this.#ticketKeys,
      sessionTimeout: SESSION_SECONDS,
      // A session of one policy is none under another: a ticket must not stand in for a client's certificate.
      sessionIdContext: policy === null ? 'serai' : hash('sha256', policy.id).slice(0, 32),
    })
    this.#contexts.set(identity.key, context)
    return context
  }
}
