// The one normal form of a request path, shared by routes and requests, so that matching and the upstream see the same.

const ORDINARY = 0
const SLASH = 1
const DOT = 2
const PERCENT = 3
const REFUSED = 4

/** What each byte means at first sight; '?' and '#' end a path, so they cannot stand in one. */
const classOf = new Uint8Array(256).fill(REFUSED)
classOf.fill(ORDINARY, 0x21, 0x7f)
for (const byte of '\\?#') classOf[byte.charCodeAt(0)] = REFUSED
classOf[0x2f] = SLASH
classOf[0x2e] = DOT
classOf[0x25] = PERCENT

/**
 * The path with unreserved octets decoded, dot segments removed, slashes merged and the remaining percent-encodings in upper case.
 * Undefined (the request is a 400): no leading slash, a byte that no path may have, a malformed percent-encoding, `%2f`, `%5c`, `%00`,
 * a backslash, or `..` above the root. Sources: RFC 3986 section 6.2.2, DESIGN section 8.
 */
export function normalisePath(path: string): string | undefined {
  if (path.charCodeAt(0) !== 0x2f) return undefined
  let usual = true
  let before = ORDINARY
  for (let at = 0; at < path.length; at++) {
    const code = path.charCodeAt(at)
    const kind = code < 256 ? classOf[code] : REFUSED
    if (kind === REFUSED) return undefined
    if (kind === PERCENT || (before === SLASH && (kind === SLASH || kind === DOT))) usual = false
    before = kind!
  }
  if (usual) return path
  const decoded = decodeUnreserved(path)
  return decoded === undefined ? undefined : removeDotSegments(decoded)
}

function decodeUnreserved(path: string): string | undefined {
  let out = ''
  let from = 0
  for (let at = path.indexOf('%'); at >= 0; at = path.indexOf('%', at + 3)) {
    const octet = path.slice(at + 1, at + 3)
    if (!/^[0-9a-f]{2}$/i.test(octet)) return undefined
    const char = String.fromCharCode(Number.parseInt(octet, 16))
    if (char === '/' || char === '\\' || char === '\0') return undefined
    out += path.slice(from, at) + (/[\w.~-]/.test(char) ? char : `%${octet.toUpperCase()}`)
    from = at + 3
  }
  return out + path.slice(from)
}

function removeDotSegments(path: string): string | undefined {
  const kept: string[] = []
  const segments = path.split('/')
  for (const segment of segments) {
    if (segment === '' || segment === '.') continue
    if (segment !== '..') kept.push(segment)
    else if (kept.pop() === undefined) return undefined
  }
  const last = segments.at(-1)
  const directory = kept.length > 0 && (last === '' || last === '.' || last === '..')
  return `/${kept.join('/')}${directory ? '/' : ''}`
}
