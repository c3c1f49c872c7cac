// The values that only TLS has: versions, hosts that ask for client certificates, where to redirect to.
import { leaf } from './scalar.ts'

/** `1.2` or `1.3`, as YAML may take for a number. */
export function tlsVersion(): ReturnType<typeof leaf<'1.2' | '1.3'>> {
  const expected = '1.2 or 1.3'
  return leaf<'1.2' | '1.3'>({ enum: ['1.2', '1.3', 1.2, 1.3], $comment: expected }, (value) => {
    const version = String(value)
    return version === '1.2' || version === '1.3' ? { value: version } : { complaint: 'is not a version of TLS', expected }
  })
}

const label = '[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?'
const hostPattern = `^(\\*|(\\*\\.)?${label}(\\.${label})*)$`

/** A host, a wildcard of one label, or `*`; in lower case. */
export function clientHost(): ReturnType<typeof leaf<string>> {
  const expected = 'a host such as a.example.org, *.example.org, or * for any'
  return leaf({ type: 'string', pattern: hostPattern, $comment: expected }, (value) => {
    const host = typeof value === 'string' ? value.toLowerCase() : ''
    return host.length <= 253 && new RegExp(hostPattern).test(host) ? { value: host } : { complaint: 'is not a host', expected }
  })
}

/** `https`, or `https:8443`, as the port. */
export function redirectPort(): ReturnType<typeof leaf<number>> {
  const pattern = '^https(:[0-9]{1,5})?$'
  const expected = 'https, or https:PORT'
  return leaf({ type: 'string', pattern, $comment: expected }, (value) => {
    if (typeof value !== 'string' || !new RegExp(pattern).test(value)) return { complaint: 'is nowhere to redirect to', expected }
    const port = value === 'https' ? 443 : Number(value.slice('https:'.length))
    return port >= 1 && port <= 65_535 ? { value: port } : { complaint: 'has no such port', expected: '1 to 65535' }
  })
}
