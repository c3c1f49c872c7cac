// GET /v1/services and /v1/service/:name, and the registrations of a job or an allocation.
import { createHash } from 'node:crypto'
import { DENIED, json, jsonText, text } from '#src/development/http/answer.ts'
import type { Answer } from '#src/development/http/answer.ts'
import { blocking } from '#src/development/http/blocking.ts'
import { isPage, pageOf } from '#src/development/http/page.ts'
import type { ApiRequest } from '#src/development/http/request.ts'
import type { Registration } from '#src/development/state/rows.ts'
import { jobKey } from '#src/development/state/rows.ts'

/** Names and tags of all services of a namespace, or of those that the caller may read. */
export function listServices(request: ApiRequest): Promise<Answer> | Answer {
  const { namespace, caller, cluster: { store, random } } = request
  if (namespace !== '*') {
    if (!mayReadServices(request)) return DENIED
    const index = (): number => store.indexOf('services')
    return blocking(request, { watch: [`services/${namespace}`], index, answer: () => jsonText(store.services.listJson([namespace], random), { index: index() }) })
  }
  // Readable are namespaces with read-job; a workload's identity alone does not count here. With none: an empty list, and index 0.
  const readable = (): string[] => store.all('namespaces').map(({ name }) => name).filter((name) => caller.may(name, 'read-job'))
  const index = (): number => (readable().length === 0 ? 0 : store.indexOf('services'))
  return blocking(request, { watch: ['services'], index, answer: () => jsonText(store.services.listJson(readable(), random), { index: index() }) })
}

/** The registrations of one service. The namespace `*` is a name like any other here, and has none. */
export function readService(request: ApiRequest): Promise<Answer> | Answer {
  const { path: [, name = ''], namespace, query, cluster: { store } } = request
  if (!mayReadServices(request)) return DENIED
  const index = (): number => store.indexOf('services')
  const answer = (): Answer => {
    const page = pageOf(store.services.list(namespace, name), query, ({ Namespace, ID }) => `${Namespace}.${ID}`, (each) => each)
    if (!isPage(page)) return page
    const chosen = choose(page.elements, query.get('choose'))
    return Array.isArray(chosen) ? json(chosen, { index: index(), ...(page.nextToken === undefined ? {} : { nextToken: page.nextToken }) }) : chosen as Answer
  }
  // An absent name has no place in the index of names: any change beside it wakes who waits.
  const watch = store.services.has(namespace, name) ? `services/${namespace}/${name}` : namespace === '*' ? 'services/*' : `services/${namespace}`
  return blocking(request, { watch: [watch], index, answer })
}

/** `/v1/job/:id/services`. */
export function readJobServices(request: ApiRequest): Promise<Answer> | Answer {
  const { path: [, id = ''], namespace, caller, cluster: { store } } = request
  if (!caller.may(namespace, 'read-job')) return DENIED
  if (store.get('jobs', jobKey(namespace, id)) === undefined) return text(404, 'job not found', { index: 0 })
  return listBy(request, ({ Namespace, JobID }) => Namespace === namespace && JobID === id)
}

/** `/v1/allocation/:id/services`. */
export function readAllocationServices(request: ApiRequest): Promise<Answer> | Answer {
  const { path: [, id = ''], caller, cluster: { store } } = request
  const allocation = store.get('allocations', id)
  if (!caller.may(allocation?.namespace ?? 'default', 'read-job')) return DENIED
  return listBy(request, ({ AllocID }) => AllocID === id)
}

function listBy(request: ApiRequest, matches: (registration: Registration) => boolean): Promise<Answer> {
  const { store } = request.cluster
  const index = (): number => store.indexOf('services')
  return blocking(request, { watch: ['services'], index, answer: () => json(store.services.filter(matches), { index: index() }) })
}

/** Any workload's identity reads services of an explicit namespace, without a policy. */
function mayReadServices({ caller, namespace }: ApiRequest): boolean {
  return caller.kind === 'workload' || caller.may(namespace, 'read-job')
}

/** `choose=<number>|<key>`: so many, the same ones for the same key. */
function choose(list: readonly Registration[], asked: string | null): readonly Registration[] | Answer {
  if (asked === null || asked === '') return list
  const [, count, key] = /^(\d+)\|(.+)$/.exec(asked) ?? []
  if (count === undefined || key === undefined) return text(400, 'failed to choose services: Parameter for choose must be in form \'<number>|<key>\'')
  const weight = ({ ID }: Registration): string => createHash('sha256').update(`${ID}${key}`).digest('hex')
  return list.toSorted((a, b) => (weight(a) < weight(b) ? -1 : 1)).slice(0, Number(count))
}
