// Which namespace may take which hosts: DESIGN section 6.7. Pure.

/** Of the config: these hosts belong to this namespace of this catalog. */
export interface Claim {
  readonly catalog: string
  readonly namespace: string
  /** Lower case; `*.` in front stands for one label. */
  readonly hosts: readonly string[]
}

export interface Claims {
  /** Why a route of this namespace may not take this host ('' for any host, `*.…` for one label); undefined: it may. */
  refusal(catalog: string, namespace: string, host: string): string | undefined
  /** The place of a namespace's first claim; infinite without one. */
  order(catalog: string, namespace: string): number
}

export interface ClaimsOptions {
  /** Undefined: nobody has any, and anybody may take any host. */
  readonly claims: readonly Claim[] | undefined
  /** Catalogs that many may write to, without claims: there a route without a host would take everybody's requests. */
  readonly shared: readonly string[]
  /** Catalogs that only the operator writes: without claims of their own they may take any host. */
  readonly operators: readonly string[]
}

export function createClaims({ claims, shared, operators }: ClaimsOptions): Claims {
  const places = new Map<string, { readonly order: number; readonly hosts: Set<string> }>()
  for (const [order, { catalog, namespace, hosts }] of (claims ?? []).entries()) {
    const id = placeId(catalog, namespace)
    const place = places.get(id) ?? { order, hosts: new Set() }
    places.set(id, place)
    for (const host of hosts) place.hosts.add(host)
  }
  const free = new Set(operators.filter((name) => claims?.some(({ catalog }) => catalog === name) !== true))
  return {
    refusal(catalog, namespace, host) {
      if (claims === undefined) return host === '' && shared.includes(catalog) ? 'without a host it would take requests of every namespace: give it a host, or set claims' : undefined
      if (free.has(catalog)) return undefined
      const place = places.get(placeId(catalog, namespace))
      if (place === undefined) return `namespace ${namespace} has no claim to any host (claims)`
      if (host === '') return `without a host it is outside of what namespace ${namespace} may take (claims)`
      return isInside(host, place.hosts) ? undefined : `${host} is outside of what namespace ${namespace} may take (claims)`
    },
    order: (catalog, namespace) => places.get(placeId(catalog, namespace))?.order ?? Number.POSITIVE_INFINITY,
  }
}

/** A wildcard route is inside only where the same wildcard is claimed. */
const isInside = (host: string, hosts: ReadonlySet<string>): boolean => hosts.has(host) || (!host.startsWith('*.') && host.includes('.') && hosts.has(`*${host.slice(host.indexOf('.'))}`))

const placeId = (catalog: string, namespace: string): string => `${namespace}@${catalog}`
