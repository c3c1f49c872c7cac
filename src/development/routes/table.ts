// Which path and method leads to which route.
import type { Handler } from '#src/development/http/request.ts'
import { listAllocations, listJobAllocations, readAllocation, readChecks, restartAllocation, stopAllocation } from './allocations.ts'
import { collectGarbage, deleteNamespace, drainNode, listNamespaces, listNodes, listRegions, putNamespace, readAgent, readHealth, readLeader, readNode, readOwnToken } from './cluster.ts'
import { failDeployment, listDeployments, promoteDeployment, readDeployment } from './deployments.ts'
import { deregisterJob, listJobDeployments, listJobs, readJob, readJobSummary, registerJob, scaleJob } from './jobs.ts'
import { listServices, readAllocationServices, readJobServices, readService } from './services.ts'

export interface Route {
  readonly methods: readonly string[]
  /** Segments after /v1; `*` stands for any one. */
  readonly pattern: readonly string[]
  readonly handle: Handler
  /** Asks nobody who they are. */
  readonly open?: boolean
  /** How a token that is none is answered. */
  readonly whenBad: 'denied' | 'agent' | 'client' | 'token'
}

const route = (methods: string, pattern: string, handle: Handler, options: Partial<Pick<Route, 'open' | 'whenBad'>> = {}): Route =>
  ({ methods: methods.split(' '), pattern: pattern.split('/'), handle, whenBad: 'denied', ...options })

const routes: readonly Route[] = [
  route('GET', 'services', listServices),
  route('GET', 'service/*', readService),
  route('GET', 'allocations', listAllocations),
  route('GET', 'allocation/*', readAllocation),
  route('GET', 'allocation/*/services', readAllocationServices),
  route('POST PUT', 'allocation/*/stop', stopAllocation),
  route('GET', 'client/allocation/*/checks', readChecks, { whenBad: 'client' }),
  route('POST PUT', 'client/allocation/*/restart', restartAllocation, { whenBad: 'client' }),
  route('GET', 'jobs', listJobs),
  route('POST PUT', 'jobs', registerJob),
  route('GET', 'job/*', readJob),
  route('POST PUT', 'job/*', registerJob),
  route('DELETE', 'job/*', deregisterJob),
  route('GET', 'job/*/allocations', listJobAllocations),
  route('GET', 'job/*/services', readJobServices),
  route('GET', 'job/*/summary', readJobSummary),
  route('GET', 'job/*/deployments', listJobDeployments),
  route('POST PUT', 'job/*/scale', scaleJob),
  route('GET', 'deployments', listDeployments),
  route('GET', 'deployment/*', readDeployment),
  route('POST PUT', 'deployment/promote/*', promoteDeployment),
  route('POST PUT', 'deployment/fail/*', failDeployment),
  route('GET', 'nodes', listNodes),
  route('GET', 'node/*', readNode),
  route('POST PUT', 'node/*/drain', drainNode),
  route('GET', 'namespaces', listNamespaces),
  route('POST PUT', 'namespace/*', putNamespace),
  route('DELETE', 'namespace/*', deleteNamespace),
  route('PUT', 'system/gc', collectGarbage),
  route('GET', 'acl/token/self', readOwnToken, { whenBad: 'token' }),
  route('GET', 'agent/self', readAgent, { whenBad: 'agent' }),
  route('GET', 'agent/health', readHealth, { open: true }),
  route('GET', 'status/leader', readLeader, { open: true }),
  route('GET', 'regions', listRegions, { open: true }),
]

/** The route with the path's decoded segments; 'method' where the path exists with another method, 'none' where it does not. */
export function findRoute(method: string, pathname: string): { readonly route: Route; readonly path: readonly string[] } | 'none' | 'method' {
  if (!pathname.startsWith('/v1/')) return 'none'
  const raw = pathname.slice(4)
  // As Nomad does: a slash is a slash, encoded or not, and a service's path has no second one.
  const path = decode(raw).split('/')
  const found = routes.filter(({ pattern }) => pattern.length === path.length && pattern.every((segment, at) => segment === '*' || segment === path[at]))
  if (found.length === 0) return path[0] === 'service' ? 'method' : 'none'
  const route = found.find(({ methods }) => methods.includes(method))
  return route === undefined ? 'method' : { route, path }
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}
