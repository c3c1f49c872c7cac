// Addresses in a config: what to listen on, and whom to trust.
import { isIP } from 'node:net'
import { leaf, type Parsed } from './scalar.ts'

/** What a listener binds. */
export interface BindAddress {
  /** IP address without brackets, or a name; '' is every address, IPv6 and IPv4. */
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
}

const bindPattern = '^(\\[[^\\]]+\\]|[^:\\[\\]]*):([0-9]{1,5})$'
const expectedBind = 'an address such as :80, 127.0.0.1:80, [::1]:80'

/** `:80`, `host:80` or `[::1]:80`. */
export function bindAddress(): ReturnType<typeof leaf<BindAddress>> {
  return leaf({ type: 'string', pattern: bindPattern, $comment: expectedBind }, parseBind)
}

/** `host:port` as a person writes it, IPv6 in brackets; `:port` for every address. */
export const formatAddress = ({ host, port }: BindAddress): string => `${host.includes(':') ? `[${host}]` : host}:${port}`

function parseBind(value: unknown): Parsed<BindAddress> {
  const wrong = { complaint: 'is not an address to listen on', expected: expectedBind }
  const [, written, digits] = typeof value === 'string' ? (new RegExp(bindPattern).exec(value) ?? []) : []
  if (written === undefined || digits === undefined) return wrong
  const host = written.startsWith('[') ? written.slice(1, -1) : written
  const known = written.startsWith('[') ? isIP(host) === 6 : host === '' || isIP(host) === 4 || isHostName(host)
  if (!known) return wrong
  const port = Number(digits)
  return port > 65535 ? { complaint: 'has no such port', expected: '0 to 65535' } : { value: { host, port } }
}

// A last label of digits is a mistyped IPv4 address, never a name.
const isHostName = (host: string): boolean =>
  host.length <= 253 && /^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*(?![0-9]+$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(host)

/** A CIDR block; a single address stands for the block of itself. */
export function cidr(): ReturnType<typeof leaf<string>> {
  const expected = 'CIDR, e.g. 10.1.2.0/24, 2001:db8::/32'
  return leaf<string>({ type: 'string', $comment: expected }, (value) => {
    const wrong = { complaint: 'is not a block of addresses', expected }
    const [, address, bits] = typeof value === 'string' ? (/^([0-9a-fA-F.:]+)(?:\/([0-9]{1,3}))?$/.exec(value) ?? []) : []
    const family = isIP(address ?? '')
    if (address === undefined || family === 0) return wrong
    const most = family === 4 ? 32 : 128
    return bits !== undefined && Number(bits) > most ? wrong : { value: `${address}/${bits === undefined ? most : Number(bits)}` }
  })
}

/** The address of a server, with or without a port: `10.0.0.53`, `10.0.0.53:5353`, `[2001:db8::53]:53`. */
export function serverAddress(): ReturnType<typeof leaf<string>> {
  const expected = 'an IP address, with or without a port, e.g. 10.0.0.53, 127.0.0.1:8600, [2001:db8::53]:53'
  return leaf<string>({ type: 'string', $comment: expected }, (value) => {
    const [, inBrackets, bare, port = '53'] = typeof value === 'string' ? (/^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+|[0-9a-fA-F:.]+?))(?::([0-9]{1,5}))?$/.exec(value) ?? []) : []
    const known = inBrackets === undefined ? isIP(String(value)) !== 0 || isIP(bare ?? '') === 4 : isIP(inBrackets) === 6
    const sound = known && Number(port) > 0 && Number(port) < 65536
    return sound ? { value: String(value) } : { complaint: 'is not the address of a server', expected }
  })
}
