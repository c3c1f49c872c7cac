// From what the catalogs say to what the data plane serves: instances become services with routes and endpoints. Pure.

import type { Instance, Problem } from '#src/catalog/catalog.ts'
import type { Endpoint, Route, ServiceKey } from '#src/snapshot.ts'
import { compare, groupInstances } from './carriers.ts'
import type { Carrier, Group } from './carriers.ts'
import { settleConflicts } from './conflicts.ts'
import type { Age, Holders } from './conflicts.ts'
import { sameData } from './diff.ts'
import type { AssembledService } from './diff.ts'
import { createProblemList } from './problem-list.ts'
import type { Form } from './routers.ts'
import { draftServices } from './service-drafts.ts'
import type { ServiceDraft } from './service-drafts.ts'
import type { AssembleOptions } from './tag-cache.ts'
import { rememberVanished, routesLeft } from './vanished.ts'
import type { Vanished } from './vanished.ts'
import { weightsOf } from './weights.ts'

/** What one assembly leaves to the next. */
export interface AssemblyMemory {
  readonly options: AssembleOptions
  readonly groups: readonly Group[]
  readonly drafts: ReadonlyMap<ServiceKey, ServiceDraft>
  /** What each service was made of: a draft, or what rivals left of one. */
  readonly claims: ReadonlyMap<ServiceKey, ServiceDraft>
  readonly services: ReadonlyMap<ServiceKey, AssembledService>
  readonly holders: Holders
  readonly vanished: Vanished
}

export interface AssembleInput {
  /** The last good reading of each catalog, with the problems of the last one; undefined until there is one. */
  readonly readings: ReadonlyMap<string, { readonly instances: readonly Instance[]; readonly problems: readonly Problem[] } | undefined>
  readonly previous: AssemblyMemory | undefined
  /** Milliseconds, of a clock that does not run backwards. */
  readonly now: number
  readonly options: AssembleOptions
  /** Ages of jobs that were asked for, by `jobId`. */
  readonly ages?: ReadonlyMap<string, number | 'unreadable'>
}

/** A job of which the age decides between services. */
export interface ContestedJob {
  readonly catalog: string
  readonly namespace: string
  readonly job: string
}

export const jobId = ({ catalog, namespace, job }: ContestedJob): string => `${catalog}/${namespace}/${job}`

export interface Assembly {
  /** Sorted; a service that did not change is the same object as before. */
  readonly services: ReadonlyMap<ServiceKey, AssembledService>
  readonly problems: readonly Problem[]
  /** Every catalog was read once. */
  readonly complete: boolean
  readonly memory: AssemblyMemory
  /** Jobs whose services claim the same requests as others. */
  readonly contested: readonly ContestedJob[]
  /** When to assemble again even if nothing happens (a clock as `now`): a vanished service is then forgotten. */
  readonly nextChangeAt: number | undefined
}

/**
 * Equal input, in whatever order, gives equal output. What did not change costs little: an instance that is the same object
 * as the last time is taken for unchanged.
 */
export function assemble({ readings, previous, now, options, ages = new Map() }: AssembleInput): Assembly {
  const problems = createProblemList()
  for (const reading of readings.values()) reading?.problems.forEach(problems.tell)

  const groups = groupInstances(readings, previous?.groups)
  const drafts = draftServices(groups, options, previous?.options === options ? previous.drafts : undefined)
  for (const draft of drafts.values()) draft.problems.forEach(problems.tell)
  const { claims: settled, holders, contested } = settleConflicts([...drafts.values()], previous?.holders,
    (draft) => ({ age: ageOf(draft, ages), order: options.claims.order(draft.catalog, draft.namespace) }), problems.tell)

  const claims = new Map<ServiceKey, ServiceDraft>()
  const assembled: AssembledService[] = []
  for (const claim of settled) {
    if (claim.forms.length === 0) continue
    const last = previous?.services.get(claim.key)
    claims.set(claim.key, claim)
    assembled.push(last !== undefined && previous?.claims.get(claim.key) === claim ? last : unlessSame(last, buildService(claim)))
  }
  const vanished = rememberVanished(previous, (key) => drafts.has(key), now)
  for (const [key, { service }] of vanished) assembled.push(unlessSame(previous?.services.get(key), routesLeft(service, holders)))

  const services = new Map<ServiceKey, AssembledService>()
  for (const service of assembled.sort((a, b) => compare(a.key, b.key))) if (service.routes.length > 0) services.set(service.key, service)
  return {
    services,
    problems: problems.toArray(),
    complete: [...readings.values()].every((reading) => reading !== undefined),
    contested: [...contested].flatMap((key) => jobsOf(drafts.get(key))),
    memory: { options, groups, drafts, claims, services, holders, vanished },
    nextChangeAt: vanished.size === 0 ? undefined : Math.min(...Array.from(vanished.values(), ({ until }) => until)),
  }
}

const jobsOf = (draft: ServiceDraft | undefined): ContestedJob[] => (draft?.jobs ?? []).map((job) => ({ catalog: draft!.catalog, namespace: draft!.namespace, job }))

/** That of its oldest job. */
function ageOf(draft: ServiceDraft, ages: ReadonlyMap<string, number | 'unreadable'>): Age {
  const known = jobsOf(draft).map((job) => ages.get(jobId(job)) ?? 'unknown')
  if (known.length === 0) return 'none'
  if (known.includes('unknown')) return 'unknown'
  const numbers = known.filter((age) => typeof age === 'number')
  return numbers.length === 0 ? 'unreadable' : Math.min(...numbers)
}

const unlessSame = (last: AssembledService | undefined, service: AssembledService): AssembledService =>
  last !== undefined && sameData(last, service) ? last : service

function buildService({ key, settings, forms }: ServiceDraft): AssembledService {
  return { key, ...settings, ...connectRoutes(forms) }
}

/** The endpoints are the instances that carry one of the routes and are ready, or in reserve; each route points at its own. */
function connectRoutes(forms: readonly Form[]): { readonly endpoints: readonly Endpoint[]; readonly routes: readonly Route[] } {
  const serving = (form: Form): readonly Carrier[] => (form.refuse === '' ? form.carriers.filter(({ ready, reserve }) => ready || reserve !== undefined) : [])
  const endpoints = new Map<string, Endpoint>()
  const weights = weightsOf(forms.flatMap(serving))
  for (const form of forms) {
    for (const { address, instance, reserve } of serving(form)) {
      // Two registrations of one address are one endpoint; carriers come newest first, so the newer's weight counts, unless it alone is in reserve.
      const known = endpoints.get(address)
      if (known !== undefined && (known.reserve === undefined || reserve !== undefined)) continue
      endpoints.set(address, { address, host: instance.host, port: instance.port, weight: weights.get(address)!, ...(reserve === undefined ? {} : { reserve }), ...(instance.guarded === true ? { guarded: true } : {}), ...(instance.pinned === true ? { pinned: true } : {}) })
    }
  }
  const sorted = [...endpoints.values()].sort((a, b) => compare(a.address, b.address))
  const places = new Map(sorted.map(({ address }, at) => [address, at]))
  const routes = forms.map((form): Route => {
    const own = new Set(serving(form).map(({ address }) => places.get(address)!))
    return { router: form.router, match: form.match, refuse: form.refuse, endpoints: [...own].sort((a, b) => a - b), policy: form.policy }
  })
  routes.sort(({ match: a }, { match: b }) => compare(a.host, b.host) || compare(a.path, b.path) || compare(a.kind, b.kind))
  return { endpoints: sorted, routes }
}
