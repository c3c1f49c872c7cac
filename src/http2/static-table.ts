// HPACK's static table (RFC 7541 appendix A): fields that both sides know from the start.

/** Name and value of entry n at place n - 1. */
export const staticTable: readonly (readonly [name: string, value: string])[] = (
  ':authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|:scheme https|:status 200|' +
  ':status 204|:status 206|:status 304|:status 400|:status 404|:status 500|accept-charset|' +
  'accept-encoding gzip, deflate|accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|' +
  'authorization|cache-control|content-disposition|content-encoding|content-language|content-length|' +
  'content-location|content-range|content-type|cookie|date|etag|expect|expires|from|host|if-match|' +
  'if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|link|location|max-forwards|' +
  'proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|server|set-cookie|' +
  'strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate'
).split('|').map((entry) => {
  const space = entry.indexOf(' ')
  return space < 0 ? ([entry, ''] as const) : ([entry.slice(0, space), entry.slice(space + 1)] as const)
})

/** The lowest index of each name. */
export const staticNames: ReadonlyMap<string, number> = new Map(staticTable.map(([name], at) => [name, at + 1] as const).reverse())

const valuesOf = new Map<string, readonly (readonly [value: string, index: number])[]>(
  [...staticNames.keys()].map((name) => [name, staticTable.flatMap((entry, at) => (entry[0] === name ? [[entry[1], at + 1] as const] : []))]),
)

/** The index of an entry with this name and value, or 0. */
export function staticIndex(name: string, value: string): number {
  for (const [known, index] of valuesOf.get(name) ?? []) if (known === value) return index
  return 0
}
