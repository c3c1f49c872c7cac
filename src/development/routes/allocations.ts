// Allocations, their checks, and stopping or restarting them.
import type { CheckResult } from '#src/development/client/check.ts'
import { DENIED, json, text } from '#src/development/http/answer.ts'
import type { Answer } from '#src/development/http/answer.ts'
import { blocking } from '#src/development/http/blocking.ts'
import { isPage, pageOf } from '#src/development/http/page.ts'
import type { ApiRequest } from '#src/development/http/request.ts'
import { isId } from '#src/development/identifiers.ts'
import { allocationJson, allocationStubJson } from '#src/development/state/answers.ts'
import { jobKey } from '#src/development/state/rows.ts'
import type { Allocation } from '#src/development/state/rows.ts'

/** `/v1/allocations`. Namespaces that the caller may not read are left out of `*`; when that is all of them it is refused. */
export function listAllocations(request: ApiRequest): Promise<Answer> | Answer {
  const { namespace, caller, query, cluster: { store } } = request
  const readable = store.all('namespaces').map(({ name }) => name).filter((name) => caller.may(name, 'read-job'))
  if (namespace === '*' ? readable.length === 0 : !caller.may(namespace, 'read-job')) return DENIED
  const prefix = query.get('prefix') ?? ''
  return listOf(request, () => store.all('allocations')
    .filter((each) => (namespace === '*' ? readable.includes(each.namespace) : each.namespace === namespace) && each.id.startsWith(prefix))
    .sort((a, b) => a.createIndex - b.createIndex), query.get('task_states') !== 'false')
}

/** `/v1/job/:id/allocations`. */
export function listJobAllocations(request: ApiRequest): Promise<Answer> | Answer {
  const { path: [, id = ''], namespace, caller, query, cluster: { store } } = request
  if (!caller.may(namespace, 'read-job')) return DENIED
  const all = query.get('all') === 'true'
  const since = (): number => (all ? 0 : store.get('jobs', jobKey(namespace, id))?.CreateIndex ?? 0)
  return listOf(request, () => store.allocationsOf(namespace, id).filter(({ createIndex }) => createIndex >= since()), true)
}

/** `/v1/allocation/:id`. Who may not read it is told that there is none, with a 500. */
export function readAllocation(request: ApiRequest): Promise<Answer> | Answer {
  const { path: [, id = ''], caller, cluster: { store } } = request
  if (!isId(id)) return text(500, 'index error: UUID must be 36 characters')
  const row = (): Allocation | undefined => store.get('allocations', id)
  if (!caller.may(row()?.namespace ?? 'default', 'read-job')) return text(500, `Unknown allocation "${id}"`)
  const index = (): number => row()?.modifyIndex ?? store.indexOf('allocations')
  return blocking(request, {
    watch: [`allocations/${id}`],
    index,
    answer: () => {
      const allocation = row()
      return allocation === undefined ? text(404, 'alloc not found', { index: index() }) : json(allocationJson(allocation, { job: true }), { index: index() })
    },
  })
}

/** `/v1/client/allocation/:id/checks`: asked of the node's agent. Null where it has nothing to say. */
export function readChecks(request: ApiRequest): Answer {
  const { path: [, , id = ''], caller, cluster: { store, clients } } = request
  const answer = (): Answer => {
    if (!isId(id)) return text(500, 'alloc lookup failed: index error: UUID must be 36 characters')
    const allocation = store.get('allocations', id)
    if (!caller.may(allocation?.namespace ?? 'default', 'read-job')) return DENIED
    if (allocation === undefined) return text(404, `Unknown allocation "${id}"`)
    const client = clients.get(allocation.nodeId)
    if (client === undefined || !client.connected) return text(404, 'No path to node')
    const results: Readonly<Record<string, CheckResult>> | null = client.runner(id)?.checkResults ?? null
    return json(results)
  }
  return { ...answer(), fromClient: true }
}

/** `POST /v1/allocation/:id/stop`. */
export function stopAllocation({ path: [, id = ''], caller, query, cluster: { store, operations } }: ApiRequest): Answer {
  const allocation = store.get('allocations', id)
  if (allocation === undefined) return text(404, 'alloc not found')
  if (!caller.may(allocation.namespace, 'alloc-lifecycle')) return DENIED
  const { id: evaluation, index } = operations.stopAllocation(allocation, { noShutdownDelay: query.get('no_shutdown_delay') === 'true' })
  return { ...json({ EvalID: evaluation, Index: index }), index }
}

/** `POST /v1/client/allocation/:id/restart`. */
export function restartAllocation({ path: [, , id = ''], caller, cluster: { store, operations } }: ApiRequest): Answer {
  const allocation = store.get('allocations', id)
  if (allocation === undefined) return { ...text(404, `Unknown allocation "${id}"`), fromClient: true }
  if (!caller.may(allocation.namespace, 'alloc-lifecycle')) return { ...DENIED, fromClient: true }
  operations.restartAllocation(allocation)
  return { ...json({ Index: 0 }), fromClient: true }
}

function listOf(request: ApiRequest, rows: () => Allocation[], taskStates: boolean): Promise<Answer> {
  const { query, cluster: { store } } = request
  const index = (): number => store.indexOf('allocations')
  return blocking(request, {
    watch: ['allocations'],
    index,
    answer: () => {
      const page = pageOf(rows(), query, ({ createIndex, id }) => `${createIndex}.${id}`, (row) => allocationStubJson(row, { taskStates: true }))
      if (!isPage(page)) return page
      return json(page.elements.map((row) => allocationStubJson(row, { taskStates })), { index: index(), ...(page.nextToken === undefined ? {} : { nextToken: page.nextToken }) })
    },
  })
}
