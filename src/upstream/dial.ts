// How the socket of an upstream connection is opened: by address or by name, in the clear or with TLS.
import { constants } from 'node:crypto'
import type { LookupAddress } from 'node:dns'
import net from 'node:net'
import tls from 'node:tls'
import type { Dial } from '#src/io/wire.ts'
import type { UpstreamTls } from '#src/snapshot.ts'
import { tlsTerms } from '#src/tls/contexts.ts'
import type { AddressPolicy } from './address-policy.ts'
import type { Names } from './names.ts'

/** Where an endpoint's connections lead. */
export interface Origin {
  /** IP address without brackets, or a DNS name. */
  readonly host: string
  readonly port: number
  /** A job chose the name: addresses that a job may not name are left out of what it resolves to. */
  readonly guarded: boolean
  /** All that the name may lead to; null: whatever it resolves to. */
  readonly pinned: readonly LookupAddress[] | null
  /** Null: in the clear. */
  readonly tls: UpstreamTls | null
  /** What TLS offers by ALPN. */
  readonly protocol: 'http/1.1' | 'h2'
}

/** The name to verify and to send for a request to `host` ('' when it named none); '' without TLS. */
export function serverNameFor(origin: Origin, host: string): string {
  if (origin.tls === null) return ''
  if (origin.tls.serverName !== '') return origin.tls.serverName
  return host === '' ? origin.host : host.startsWith('[') ? host.slice(1, -1) : host
}

export class Dialer {
  readonly #names: Names
  readonly #ca: string
  readonly #policy: AddressPolicy
  /** By their protocol and authorities; few: making one parses certificates. */
  readonly #contexts = new Map<string, tls.SecureContext>()

  /** `ca`: PEM of the authorities to trust where a service says nothing; '' for Node's. */
  constructor(names: Names, ca: string, policy: AddressPolicy) {
    this.#names = names
    this.#ca = ca
    this.#policy = policy
  }

  /** `serverName` is what `serverNameFor` says. */
  dial(origin: Origin, serverName: string): Dial {
    const { host, port } = origin
    const where = { host, port, noDelay: true, allowHalfOpen: true, autoSelectFamily: true, ...(net.isIP(host) === 0 ? { lookup: this.#lookupFor(origin) } : {}) }
    if (origin.tls === null) return { ready: 'connect', open: () => net.connect(where) }
    const { skipVerify, ca } = origin.tls
    return {
      ready: 'secureConnect',
      open: (onread) => {
        const secureContext = this.#context(ca === '' ? this.#ca : ca, origin.protocol)
        if (secureContext instanceof Error) return new net.Socket().destroy(secureContext)
        const options: tls.ConnectionOptions & { readonly onread: net.OnReadOpts } = { // Node's types forget `onread` here
          ...where,
          onread,
          secureContext,
          servername: net.isIP(serverName) === 0 ? serverName : '', // RFC 6066: an address is no server name
          checkServerIdentity: (_, certificate) => tls.checkServerIdentity(serverName, certificate),
          rejectUnauthorized: !skipVerify,
          ALPNProtocols: [origin.protocol],
        }
        const socket = tls.connect(options).setNoDelay(true)
        if (origin.protocol === 'h2') socket.once('secureConnect', () => demandHttp2(socket))
        return socket
      },
    }
  }

  /** `Names.lookup`, or only what the name led to before; without the addresses that a job may not name. */
  #lookupFor({ guarded, pinned, port }: Origin): net.LookupFunction {
    const lookup = pinned === null ? this.#names.lookup : lookupAmong(pinned)
    if (!guarded) return lookup
    return (name, options, callback) => {
      lookup(name, options, (error, found, family) => {
        if (error !== null || typeof found === 'string') return callback(error, found, family)
        const allowed = found.filter(({ address }) => this.#policy.refusal(address, port, '') === undefined)
        if (allowed.length > 0) return callback(null, allowed)
        callback(Object.assign(new Error(`${name} resolves to addresses that a job may not name`), { code: 'EADDRESSREFUSED' }), [])
      })
    }
  }

  /** What a name led to when it was last asked for: where a pinned one may lead. */
  known(name: string): readonly LookupAddress[] {
    return this.#names.known(name)
  }

  /** Whether a connection to `address` leads where the origin's name does by now. */
  leadsTo({ host, pinned }: Origin, address: string | undefined): boolean {
    if (pinned !== null) return true // where it led when it was opened
    return address === undefined || this.#names.stillNames(host, address)
  }

  #context(ca: string, protocol: Origin['protocol']): tls.SecureContext | Error {
    const key = `${protocol} ${ca}`
    const known = this.#contexts.get(key)
    if (known !== undefined) return known
    try {
      const context = tls.createSecureContext({ minVersion: 'TLSv1.2', ...(protocol === 'h2' ? http2Terms : {}), ...(ca === '' ? {} : { ca }) })
      if (this.#contexts.size >= MAX_CONTEXTS) this.#contexts.clear()
      this.#contexts.set(key, context)
      return context
    } catch (error) {
      return Object.assign(new Error('the authorities to trust cannot be read'), { code: error instanceof Error ? `bad authorities: ${error.message}` : 'bad authorities' })
    }
  }
}

function lookupAmong(addresses: readonly LookupAddress[]): net.LookupFunction {
  return (name, _, callback) => {
    if (addresses.length > 0) return callback(null, [...addresses])
    callback(Object.assign(new Error(`${name} was not resolved before the permission to read its catalog went`), { code: 'ENOTADMITTED' }), [])
  }
}

/** Without ALPN an upstream would take our frames for a malformed HTTP/1.1 request. */
function demandHttp2(socket: tls.TLSSocket): void {
  if (socket.alpnProtocol !== 'h2') socket.destroy(Object.assign(new Error('no h2 by ALPN'), { code: 'the upstream does not offer HTTP/2' }))
}

/** Over TLS 1.2 HTTP/2 has to do without what RFC 9113's appendix A prohibits, and without renegotiation (9.2); every server of it has one of these suites. */
const http2Terms = { ciphers: tlsTerms.ciphers, secureOptions: constants.SSL_OP_NO_RENEGOTIATION } as const satisfies tls.SecureContextOptions

const MAX_CONTEXTS = 64
