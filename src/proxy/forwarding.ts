// What the upstream is told about the client: X-Forwarded-*, Forwarded (RFC 7239), X-Real-IP, Via, X-Request-Id.
import { isIP, type BlockList } from 'node:net'
import { withoutFields } from '#src/http1/fields.ts'
import { forwardedValue, type RequestHead } from '#src/http1/request-head.ts'
import type { Peer } from '#src/downstream/stream.ts'
import { flat } from './flat.ts'

/** The lines to add, and who the client is according to them. */
export interface Forwarding {
  readonly fields: string
  readonly client: string
  readonly requestId: string
}

/** The lines that replace what an untrusted peer claims: the usual case. All but the last are kept for its next request (bench/README.md). */
export function forwarding(head: RequestHead, peer: Peer, via: string, requestId: string): string {
  const { told } = peer
  if (told.authority !== head.authority || told.version !== head.version) {
    const { address, scheme } = peer
    told.authority = head.authority
    told.version = head.version
    told.lines = flat(
      `X-Forwarded-For: ${address}\r\nX-Forwarded-Host: ${head.authority}\r\nX-Forwarded-Port: ${peer.localPort}\r\nX-Forwarded-Proto: ${scheme}\r\n` +
      `X-Real-IP: ${address}\r\n${element(address, head.authority, scheme, '')}Via: ${head.version} ${via}\r\nX-Request-Id: `,
    )
  }
  return `${told.lines}${requestId}\r\n`
}

/** Extends what a trusted peer says: the client is the rightmost address that is not itself trusted. */
export function trustedForwarding(head: RequestHead, peer: Peer, via: string, requestId: string, trusted: BlockList): Forwarding {
  const earlier = forwardedValue(head, 'x-forwarded-for')
  const chain = (earlier === undefined ? [] : earlier.split(',').map((part) => part.trim())).filter((part) => part !== '')
  const client = clientOf([...chain, peer.address], trusted)
  const proto = firstOf(forwardedValue(head, 'x-forwarded-proto'), /^https?$/i)?.toLowerCase() ?? peer.scheme
  const host = firstOf(forwardedValue(head, 'x-forwarded-host'), /^[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e]{1,260}$/) ?? head.authority
  const port = firstOf(forwardedValue(head, 'x-forwarded-port'), /^[0-9]{1,5}$/) ?? (proto === peer.scheme ? String(peer.localPort) : proto === 'https' ? '443' : '80')
  const id = firstOf(forwardedValue(head, 'x-request-id'), /^[\x21-\x2b\x2d-\x7e]{1,128}$/) ?? requestId
  const forwarded = forwardedValue(head, 'forwarded')
  const prefix = firstOf(forwardedValue(head, 'x-forwarded-prefix'), /^\/[\x21-\x7e]{0,255}$/)
  const fields =
    `X-Forwarded-For: ${[...chain, peer.address].join(', ')}\r\nX-Forwarded-Host: ${host}\r\nX-Forwarded-Port: ${port}\r\nX-Forwarded-Proto: ${proto}\r\n` +
    (prefix === undefined ? '' : `X-Forwarded-Prefix: ${prefix}\r\n`) +
    withoutFields(head.forwarding, extended) +
    `X-Real-IP: ${client}\r\n${element(peer.address, head.authority, peer.scheme, forwarded ?? '')}Via: ${head.version} ${via}\r\nX-Request-Id: ${id}\r\n`
  return { fields, client, requestId: id }
}

/** What is written anew; others of the family (`X-Forwarded-Ssl` of some balancers) a trusted peer may say as it likes. */
const extended: ReadonlySet<string> = new Set([
  'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-port', 'x-forwarded-proto', 'x-forwarded-prefix', 'x-real-ip', 'x-request-id', 'forwarded', 'serai-debug',
])

/** One hop of `Forwarded`, behind those there were. */
function element(address: string, authority: string, scheme: string, earlier: string): string {
  const node = address.includes(':') ? `"[${address}]"` : address
  const host = authority === '' ? '' : `;host="${authority}"`
  return `Forwarded: ${earlier === '' ? '' : `${earlier}, `}for=${node}${host};proto=${scheme}\r\n`
}

function clientOf(chain: readonly string[], trusted: BlockList): string {
  let client = chain.at(-1)!
  for (let at = chain.length - 1; at >= 0; at--) {
    const address = chain[at]!
    const family = isIP(address)
    if (family === 0) break // whoever wrote that, the one who passed it on is the last we can name
    client = address
    if (!trusted.check(address, family === 6 ? 'ipv6' : 'ipv4')) break
  }
  return client
}

/** The first member of a list, if it looks right. */
function firstOf(value: string | undefined, shape: RegExp): string | undefined {
  const first = value?.split(',', 1)[0]?.trim()
  return first !== undefined && shape.test(first) ? first : undefined
}
