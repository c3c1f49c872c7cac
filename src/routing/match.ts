// Looking a request up: the exact host, then a wildcard of one label, then any; within a host the exact path, then the longest prefix.
import { shardOf, type HostRoutes, type RoutingTable } from './table.ts'

/**
 * The route for a request, or undefined. `host` is lower case without port; `path` is in normal form (path.ts).
 * A host whose routes do not cover the path falls through to the wider one.
 */
export function matchRoute<R>(table: RoutingTable<R>, host: string, path: string): R | undefined {
  const own = table.exact[shardOf(host)]!.get(host)
  if (own !== undefined) {
    const route = matchPath(own, path)
    if (route !== undefined) return route
  }
  const dot = host.indexOf('.')
  if (dot > 0) {
    const parent = host.slice(dot + 1)
    const wild = table.wildcard[shardOf(parent)]!.get(parent)
    if (wild !== undefined) {
      const route = matchPath(wild, path)
      if (route !== undefined) return route
    }
  }
  return table.any === undefined ? undefined : matchPath(table.any, path)
}

/** Whole segments only: `/api` takes `/api` and `/api/x`, not `/apis`. */
function matchPath<R>(routes: HostRoutes<R>, path: string): R | undefined {
  if (routes.exact !== undefined) {
    const route = routes.exact.get(path)
    if (route !== undefined) return route
  }
  if (routes.prefixes !== undefined) {
    let end = path.length
    if (path.charCodeAt(end - 1) === 0x2f) end--
    for (; end > 0; end = path.lastIndexOf('/', end - 1)) {
      const route = routes.prefixes.get(end === path.length ? path : path.slice(0, end))
      if (route !== undefined) return route
    }
  }
  return routes.root
}
