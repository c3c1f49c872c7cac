// Jobs: registering, reading, scaling and stopping them.
import type { SubmittedJob } from '#src/development/job/canonical.ts'
import { DENIED, json, text } from '#src/development/http/answer.ts'
import type { Answer } from '#src/development/http/answer.ts'
import { blocking } from '#src/development/http/blocking.ts'
import { isPage, pageOf } from '#src/development/http/page.ts'
import type { ApiRequest } from '#src/development/http/request.ts'
import type { Evaluation } from '#src/development/schedule/operations.ts'
import { deploymentJson, jobStubJson, jobSummaryJson } from '#src/development/state/answers.ts'
import { jobKey } from '#src/development/state/rows.ts'

/** `GET /v1/jobs`: needs list-jobs, which read-job does not include. */
export function listJobs(request: ApiRequest): Promise<Answer> | Answer {
  const { namespace, caller, query, cluster: { store } } = request
  const readable = store.all('namespaces').map(({ name }) => name).filter((name) => caller.may(name, 'list-jobs'))
  if (namespace === '*' ? readable.length === 0 : !readable.includes(namespace)) return DENIED
  const prefix = query.get('prefix') ?? ''
  const index = (): number => Math.max(store.indexOf('jobs'), 1)
  return blocking(request, {
    watch: ['jobs'],
    index,
    answer: () => {
      const jobs = store.all('jobs').filter(({ Namespace }) => (namespace === '*' ? readable.includes(Namespace) : Namespace === namespace))
        .filter(({ ID }) => ID.startsWith(prefix))
        .sort((a, b) => (a.Namespace === b.Namespace ? (a.ID < b.ID ? -1 : 1) : (a.Namespace < b.Namespace ? -1 : 1)))
      const stub = (job: (typeof jobs)[number]): object => jobStubJson(job, store.allocationsOf(job.Namespace, job.ID))
      const page = pageOf(jobs, query, ({ Namespace, ID }) => `${Namespace}.${ID}`, stub)
      return isPage(page) ? json(page.elements.map(stub), { index: index(), ...(page.nextToken === undefined ? {} : { nextToken: page.nextToken }) }) : page
    },
  })
}

/** `GET /v1/job/:id`. */
export function readJob(request: ApiRequest): Promise<Answer> | Answer {
  const { path: [, id = ''], namespace, caller, cluster: { store } } = request
  if (!caller.may(namespace, 'read-job')) return DENIED
  const row = (): ReturnType<typeof store.get<'jobs'>> => store.get('jobs', jobKey(namespace, id))
  const index = (): number => row()?.ModifyIndex ?? store.indexOf('jobs')
  return blocking(request, {
    watch: [`jobs/${jobKey(namespace, id)}`],
    index,
    answer: () => {
      const job = row()
      return job === undefined ? text(404, 'job not found', { index: index() }) : json(job, { index: index() })
    },
  })
}

/** `GET /v1/job/:id/summary`: how many allocations of each group are in which state. */
export function readJobSummary(request: ApiRequest): Promise<Answer> | Answer {
  const { path: [, id = ''], namespace, caller, cluster: { store } } = request
  if (!caller.may(namespace, 'read-job')) return DENIED
  const index = (): number => Math.max(store.indexOf('allocations'), store.get('jobs', jobKey(namespace, id))?.ModifyIndex ?? 0)
  return blocking(request, {
    watch: ['allocations', `jobs/${jobKey(namespace, id)}`],
    index,
    answer: () => {
      const job = store.get('jobs', jobKey(namespace, id))
      return job === undefined ? text(404, 'job not found', { index: index() }) : json(jobSummaryJson(job, store.allocationsOf(namespace, id), index()), { index: index() })
    },
  })
}

/** `GET /v1/job/:id/deployments`. */
export function listJobDeployments(request: ApiRequest): Promise<Answer> | Answer {
  const { path: [, id = ''], namespace, caller, cluster: { store } } = request
  if (!caller.may(namespace, 'read-job')) return DENIED
  const index = (): number => store.indexOf('deployments')
  return blocking(request, { watch: ['deployments'], index, answer: () => json(store.deploymentsOf(namespace, id).toReversed().map(deploymentJson), { index: index() }) })
}

/** `PUT /v1/jobs` and `PUT /v1/job/:id`. */
export async function registerJob({ caller, namespace, body, cluster: { operations } }: ApiRequest): Promise<Answer> {
  const { Job: given } = await body() as { readonly Job?: SubmittedJob | null }
  if (given === undefined || given === null) return text(400, 'Job must be specified')
  const job = (given.Namespace ?? '') === '' ? { ...given, Namespace: namespace === '*' ? 'default' : namespace } : given
  if (!caller.may(job.Namespace ?? 'default', 'submit-job')) return DENIED
  return evaluationAnswer(operations.register(job), { Warnings: warningsOf(job) })
}

/** `DELETE /v1/job/:id`. */
export function deregisterJob({ path: [, id = ''], caller, namespace, query, cluster: { operations } }: ApiRequest): Answer {
  if (!caller.may(namespace, 'submit-job')) return DENIED
  return evaluationAnswer(operations.deregister(namespace, id, { purge: query.get('purge') === 'true', noShutdownDelay: query.get('no_shutdown_delay') === 'true' }), {})
}

/** `POST /v1/job/:id/scale`. */
export async function scaleJob({ path: [, id = ''], caller, namespace, body, cluster: { operations } }: ApiRequest): Promise<Answer> {
  if (!caller.may(namespace, 'scale-job') && !caller.may(namespace, 'submit-job')) return DENIED
  const { Count, Target } = await body() as { readonly Count?: number | null; readonly Target?: Readonly<Record<string, string>> | null }
  return evaluationAnswer(operations.scale(namespace, id, Target?.['Group'] ?? '', Count ?? 0), { Warnings: '' })
}

function evaluationAnswer({ id, index, job }: Evaluation, more: object): Answer {
  return { ...json({ EvalID: id, EvalCreateIndex: index, JobModifyIndex: job.JobModifyIndex, ...more, Index: index, LastContact: 0, KnownLeader: false, NextToken: '' }), index }
}

function warningsOf({ TaskGroups }: SubmittedJob): string {
  const careless = (TaskGroups ?? []).filter((group) => {
    const services = [...(group.Services ?? []), ...(group.Tasks ?? []).flatMap((task) => task.Services ?? [])]
    return services.length > 0 && (group.ShutdownDelay ?? 0) === 0 && (group.Tasks ?? []).every((task) => (task.ShutdownDelay ?? 0) === 0)
  })
  if (careless.length === 0) return ''
  const lines = careless.map(({ Name }) => `* group "${Name ?? ''}" defines services, but neither the group nor any of its tasks have shutdown_delay set`)
  return `${lines.length} warning${lines.length === 1 ? '' : 's'}:\n\n${lines.join('\n')}`
}
