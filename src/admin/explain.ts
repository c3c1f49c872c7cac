// Why a request goes where it goes: listener, host, route, endpoints, each with its reason; pure.
import type { Problem } from '#src/catalog/catalog.ts'
import { parseAuthority } from '#src/http1/authority.ts'
import { matchRoute } from '#src/routing/match.ts'
import { normalisePath } from '#src/routing/path.ts'
import { TableBuilder } from '#src/routing/table.ts'
import type { RoutingTable } from '#src/routing/table.ts'
import { certificateStep, listenerFor } from './explain-tls.ts'
import type { CertificateView, EndpointView, Explanation, Question, RouteView, ServiceView, StatusView } from './subject.ts'

/** What an explanation is made of. */
export interface ExplainedView {
  readonly complete: boolean
  readonly listeners: StatusView['listeners']
  readonly routes: readonly RouteView[]
  readonly services: readonly ServiceView[]
  readonly problems: readonly Problem[]
  readonly certificates: readonly CertificateView[]
}

type Step = Explanation['steps'][number]

interface Target {
  readonly scheme: 'http' | 'https'
  readonly host: string
  /** That of the URL's scheme where it names none. */
  readonly port: string
  readonly namesPort: boolean
  /** As it was asked. */
  readonly path: string
}

/** The question is not one about a request, with what was expected. */
export class QuestionError extends Error {}

/** Routes of one host that are listed one by one. */
const MAX_ROUTES_SHOWN = 50

/** Answers as the data plane would, over the same matcher. Throws a QuestionError when `url` is none, or the Host header no host. */
export function explain(view: ExplainedView, question: Question): Explanation {
  const target = readTarget(question)
  const path = normalisePath(target.path)
  const asked = { url: question.url, method: question.method, host: target.host, path: path ?? target.path }
  const { listener, step } = listenerFor(view.listeners, target.scheme, target.port, target.namesPort)
  const certificate = target.scheme === 'https' && listener?.tls === true ? certificateStep(view.certificates, target.host) : undefined
  const first = [...catalogSteps(view), step, ...(certificate === undefined ? [] : [certificate])]
  const answered = (status: number, summary: string, steps: readonly Step[], problems: readonly Problem[]): Explanation =>
    ({ question: asked, outcome: 'answered', status, summary, steps: [...first, ...steps], problems })

  const tlsProblems = view.problems.filter(({ service }) => service === '@tls')
  if (certificate !== undefined && !certificate.ok && certificate.name === target.host) return answered(0, `no connection: ${certificate.why}`, [], tlsProblems)
  if (listener?.redirectPort !== undefined && target.scheme === 'http') {
    return answered(301, `301 to https on port ${listener.redirectPort}: the listener ${listener.name} serves nothing itself`, [], [])
  }
  if (path === undefined) return answered(400, `400: the path ${target.path} is refused (malformed, or it could be read in two ways)`, [], [])

  const hosts = candidateHosts(target.host)
  const candidates = view.routes.filter(({ host }) => hosts.includes(host))
  const taken = matchRoute(tableOf(candidates), target.host, path)
  const steps = [...hostSteps(hosts, candidates, taken), ...routeSteps(hosts, candidates, taken, path)]
  const problems = view.problems.filter((problem) => touches(problem, candidates, hosts) || (taken === undefined && problem.service.startsWith('@')))

  if (taken === undefined) {
    return view.complete
      ? answered(404, `404: no route takes ${target.host}${path}`, steps, problems)
      : answered(503, `503: no route takes ${target.host}${path} so far, and not every catalog was read yet`, steps, problems)
  }
  if (taken.refuse !== '') return answered(503, `503: the route of ${taken.service} takes it, and ${refusals[taken.refuse]}`, steps, problems)

  const endpoints = endpointsOf(taken, view.services)
  const all = [...steps, ...endpoints.map(endpointStep)]
  const usable = usableEndpoints(endpoints, taken)
  if (usable.length === 0) return answered(503, `503: the route of ${taken.service} takes it, and none of its ${endpoints.length} endpoints is ready`, all, problems)
  const summary = `goes to ${taken.service} (router ${taken.router}), at ${usable.map(({ address }) => address).join(' or ')}`
  return { question: asked, outcome: 'forwarded', status: 0, summary, steps: [...first, ...all], problems }
}

const refusals = {
  problem: 'its tags have a problem that takes it out of service',
  vanished: 'all instances of the service have vanished a short time ago',
} as const satisfies Readonly<Record<Exclude<RouteView['refuse'], ''>, string>>

function readTarget({ url, headers }: Question): Target {
  const parts = /^(?:(https?):\/\/)?(?!\w*:\/\/)([^/?#]*)([^?#]*)/i.exec(url)
  const authority = parseAuthority(parts?.[2] ?? '')
  if (parts === null || authority === undefined) throw new QuestionError(`${JSON.stringify(url)} is not an URL; expected http://host/path`)
  const hostHeader = headers.findLast(([name]) => name.toLowerCase() === 'host')?.[1]
  const host = hostHeader === undefined ? authority : parseAuthority(hostHeader)
  if (host === undefined) throw new QuestionError(`${JSON.stringify(hostHeader)} is not a Host; expected host or host:port`)
  const scheme = parts[1]?.toLowerCase() === 'https' ? 'https' : 'http'
  return { scheme, host: host.host, port: authority.port || (scheme === 'https' ? '443' : '80'), namesPort: authority.port !== '', path: parts[3] || '/' }
}

function catalogSteps({ complete }: ExplainedView): Step[] {
  return complete ? [] : [{ stage: 'catalogs', name: 'catalogs', ok: false, why: 'not every catalog was read yet: what has no route is answered 503, not 404' }]
}

/** From the narrowest to the widest, as the matcher asks them. */
function candidateHosts(host: string): string[] {
  const dot = host.indexOf('.')
  return [host, ...(dot > 0 ? [`*${host.slice(dot)}`] : []), '']
}

function tableOf(routes: readonly RouteView[]): RoutingTable<RouteView> {
  const builder = new TableBuilder<RouteView>()
  for (const [service, own] of Map.groupBy(routes, (route) => route.service)) builder.set(service, own.map((route) => ({ match: route, value: route })))
  return builder.finish()
}

function hostSteps(hosts: readonly string[], candidates: readonly RouteView[], taken: RouteView | undefined): Step[] {
  const takenAt = taken === undefined ? hosts.length : hosts.indexOf(taken.host)
  return hosts.map((host, at) => {
    const count = candidates.filter((route) => route.host === host).length
    const step = { stage: 'host', name: hostName(host), ok: at === takenAt } as const
    if (count === 0) return { ...step, why: 'no route names it' }
    if (at === takenAt) return { ...step, why: `${counted(count, 'route')}, one takes the path` }
    return { ...step, why: at < takenAt ? `${counted(count, 'route')}, none takes the path: the next wider host is asked` : `${counted(count, 'route')}, not asked: ${hostName(hosts[takenAt]!)} is narrower` }
  })
}

function routeSteps(hosts: readonly string[], candidates: readonly RouteView[], taken: RouteView | undefined, path: string): Step[] {
  const asked = hosts.slice(0, taken === undefined ? hosts.length : hosts.indexOf(taken.host) + 1)
  const routes = asked.flatMap((host) => candidates.filter((route) => route.host === host))
  const others = routes.filter((route) => route !== taken)
  return [...(taken === undefined ? [] : [taken]), ...others.slice(0, MAX_ROUTES_SHOWN)].map((route) => ({
    stage: 'route',
    name: `${hostName(route.host)}${route.kind === 'exact' ? ` =${route.path}` : ` ${route.path}`} → ${route.service} (router ${route.router})`,
    ok: route === taken && route.refuse === '',
    why: route === taken ? takenWhy(route) : notTakenWhy(route, path),
  }))
}

function takenWhy({ kind, refuse }: RouteView): string {
  if (refuse !== '') return `takes it, and answers 503: ${refusals[refuse]}`
  return kind === 'exact' ? 'is exactly this path' : 'is the longest prefix of the path, by segments'
}

function notTakenWhy({ kind, path: own }: RouteView, path: string): string {
  if (kind === 'exact') return own === path ? 'another service has the same match' : `takes ${own} alone`
  const prefix = own.endsWith('/') ? own : `${own}/`
  return path === own || path.startsWith(prefix) || `${path}/` === prefix ? 'takes it too, but is less specific' : `takes only what is below ${own}`
}

function endpointsOf(route: RouteView, services: readonly ServiceView[]): EndpointView[] {
  const service = services.find(({ key }) => key === route.service)
  return service?.endpoints.filter(({ address }) => route.endpoints.includes(address) || route.waiting.includes(address)) ?? []
}

function endpointStep({ address, state, why, weight }: EndpointView): Step {
  const reason = [state, why].filter((part) => part !== '').join(': ')
  return { stage: 'endpoint', name: address, ok: isReady(state), why: weight === 0 ? `${reason}; weight 0: takes traffic only when no other can` : reason }
}

/** What picks are made from: the ready ones with a weight; else any ready one; else (panic) those that were ready before; else those that leave. */
function usableEndpoints(endpoints: readonly EndpointView[], route: RouteView): EndpointView[] {
  const ready = endpoints.filter(({ state }) => isReady(state))
  const weighted = ready.filter(({ weight }) => weight > 0)
  if (weighted.length > 0) return weighted
  if (ready.length > 0) return ready
  const failing = endpoints.filter(({ state, address }) => (state === 'failing' || state === 'ejected' || state === 'unhealthy') && route.endpoints.includes(address))
  return failing.length > 0 ? failing : endpoints.filter(({ state }) => state === 'leaving')
}

function isReady(state: EndpointView['state']): boolean {
  return state === 'ready' || state === 'slow start'
}

/** A problem with one of the services that share the host, or with a tag that names the host and gave no route. */
function touches(problem: Problem, candidates: readonly RouteView[], hosts: readonly string[]): boolean {
  const tag = problem.tag.toLowerCase()
  return candidates.some(({ service }) => service === problem.service) || hosts.some((host) => host !== '' && tag.includes(host))
}

function hostName(host: string): string {
  return host === '' ? 'any host' : host
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
