// Reads what a router takes: host names and paths in the form that the routing table compares.

import { domainToASCII } from 'node:url'
import type { RouteMatch } from '#src/snapshot.ts'
import { normalisePath } from '#src/routing/path.ts'
import { NOT_BUILT } from './values.ts'
import type { Parsed } from './values.ts'

export type RoutePath = Pick<RouteMatch, 'path' | 'kind'>

const label = /^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9_])?$/

/** A host name, `*.` in front for one label, lower case and without its final dot; certificates set what a wildcard means. */
export function parseHost(text: string): Parsed<string> {
  const host = text.toLowerCase().replace(/\.$/, '')
  if (host === '') return { reason: 'expected a host name' }
  if (host === '*') return { reason: '* is not a host: for any host leave host out and give a path, such as path=/' }
  if (/:\d*$/.test(host) && !host.includes('/')) return { reason: `${text}: a host is a name without a port` }
  if (/[^ -~]/.test(host)) {
    const ascii = domainToASCII(host)
    return { reason: `${text}: expected a name in ASCII${ascii === '' ? '' : `: write ${ascii}`}` }
  }
  const labels = (host.startsWith('*.') ? host.slice(2) : host).split('.')
  if (labels.some((each) => each.includes('*'))) return { reason: `${text}: * stands only for one whole label in front, as in *.example.org` }
  if (host.length > 253 || !labels.every((each) => label.test(each))) {
    return { reason: `${text}: expected a host name such as a.example.org, without scheme, port or path` }
  }
  return { value: host }
}

/** `/api` (a segment-wise prefix, `/api/` being the same) or `=/exact`, in the form that requests are brought into. */
export function parsePath(text: string): Parsed<RoutePath> {
  if (text.startsWith('~')) return { reason: `a path by regular expression is ${NOT_BUILT}` }
  const exact = text.startsWith('=')
  const written = exact ? text.slice(1).trim() : text
  if (!written.startsWith('/')) return { reason: `${text}: expected a path that begins with /` }
  if (!exact && written.endsWith('*')) return { reason: `${text}: a path takes all that is below it, without *` }
  const path = normalisePath(written)
  if (path === undefined) return { reason: `${text}: no request can have this path: it is refused, or written with other bytes (percent-encode them)` }
  return { value: exact ? { path, kind: 'exact' } : { path: path.length > 1 ? path.replace(/\/$/, '') : path, kind: 'prefix' } }
}

/** The items of a comma list that can be read, and the reasons for those that cannot; a regular expression is never split. */
export function readList<T>(text: string, parse: (item: string) => Parsed<T>): { readonly values: readonly T[]; readonly reasons: readonly string[] } {
  const values: T[] = []
  const reasons: string[] = []
  for (const item of text.startsWith('~') ? [text] : text.split(',')) {
    const parsed = parse(item.trim())
    if ('value' in parsed) values.push(parsed.value)
    else reasons.push(parsed.reason)
  }
  return { values, reasons }
}
