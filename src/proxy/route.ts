// A service and its routes, compiled for one worker: what a request needs at hand, beside the observed state that outlives it.
import { isHttp2, type Refusal, type RoutePolicy, type Service } from '#src/snapshot.ts'
import { balancerOf, type Balancer } from '#src/upstream/balance.ts'
import type { Endpoint } from '#src/upstream/endpoint.ts'
import { createTargetSet, type TargetSet } from '#src/upstream/target.ts'
import { attemptResults, cells, type AttemptResult } from '#src/observe/counters.ts'
import { routeText } from '#src/observe/access-record.ts'
import type { Entry } from '#src/routing/table.ts'
import { flat } from './flat.ts'
import { RetryBudget } from './retry-budget.ts'

/** One service as this worker sees it. */
export interface CompiledService {
  readonly key: string
  readonly source: Service
  readonly balancer: Balancer
  /** Its endpoints speak HTTP/2. */
  readonly http2: boolean
  /** They speak gRPC. */
  readonly grpc: boolean
  /** What `hash:…` hashes: `ip`, `path`, `header:name`, `cookie:name`; '' for other policies. */
  readonly hashOf: string
  /** Shared counters of this service (observe/counters.ts). */
  readonly cells: Float64Array
  readonly endpoints: readonly Endpoint[]
  /** Those that are always used: whether one may be ejected depends on them. */
  readonly serving: readonly Endpoint[]
  /** Outlives the table: a change of routes must not refill it. */
  readonly budget: RetryBudget
  /** When an endpoint began to answer last, by the worker's clock; outlives the table too. */
  readonly lately: { answeredAt: number }
}

export interface CompiledRoute {
  readonly service: CompiledService
  readonly router: string
  readonly refuse: Refusal
  readonly targets: TargetSet
  readonly policy: RoutePolicy
  /** What the access log says of it. */
  readonly logged: string
}

export interface CompileContext {
  endpoint(service: Service, index: number): Endpoint
  cells(slot: number): Float64Array
  readonly random: () => number
  readonly retryBudget: { readonly ratio: number; readonly floorPerSecond: number }
  readonly now: number
}

/** Compiles a service; `before` is its former self, whose budget goes on. */
export function compileService(service: Service, before: CompiledService | undefined, context: CompileContext): { service: CompiledService; entries: Entry<CompiledRoute>[] } {
  const endpoints = service.endpoints.map((_, index) => context.endpoint(service, index))
  const compiled: CompiledService = {
    key: service.key,
    source: service,
    balancer: balancerOf(service.balance),
    http2: isHttp2(service.scheme),
    grpc: service.scheme === 'grpc' || service.scheme === 'grpcs',
    hashOf: service.balance.startsWith('hash:') ? service.balance.slice(5) : '',
    cells: context.cells(service.slot),
    endpoints,
    serving: endpoints.filter((_, index) => service.endpoints[index]!.reserve === undefined),
    budget: before?.budget ?? new RetryBudget(context.retryBudget.ratio, context.retryBudget.floorPerSecond, context.now),
    lately: before?.lately ?? { answeredAt: Number.NEGATIVE_INFINITY },
  }
  // Most routes of a service have the same endpoints: they share one set, and with it one round-robin.
  const sets = new Map<string, TargetSet>()
  const targetsOf = (indexes: readonly number[]): TargetSet => {
    const key = indexes.join(',')
    let set = sets.get(key)
    if (set === undefined) {
      set = createTargetSet(indexes.map((index) => ({ endpoint: endpoints[index]!, weight: service.endpoints[index]!.weight, reserve: service.endpoints[index]!.reserve })), context.random)
      sets.set(key, set)
    }
    return set
  }
  const entries = service.routes.map((route) => ({
    match: route.match,
    value: { service: compiled, router: route.router, refuse: route.refuse, targets: targetsOf(route.endpoints), policy: route.policy, logged: flat(routeText(service.key, route.router)) },
  }))
  return { service: compiled, entries }
}

/** Counts an attempt of an exchange that has a route. */
export function countAttempt(route: CompiledRoute | null, result: AttemptResult): void {
  if (route !== null) route.service.cells[cells.attempts + attemptResults.indexOf(result)]!++
}
