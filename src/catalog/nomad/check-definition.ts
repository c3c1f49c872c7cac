// Which checks a job defines for its services: read from the job that an allocation carries. Pure.
import { readStatus } from './allocation-status.ts'
import type { AllocationStatus } from './allocation-status.ts'
import { isRecord } from './registration.ts'

/** One service of a task group with its checks, as the job file names them. */
export interface DefinedService {
  readonly group: string
  /** May hold `${…}`: what that became, only registrations say. */
  readonly name: string
  /** Of its port. */
  readonly portLabel: string
  readonly checks: readonly DefinedCheck[]
}

/** A check as a job defines it. */
export interface DefinedCheck {
  readonly name: string
  readonly kind: 'http' | 'tcp'
  /** Milliseconds. */
  readonly intervalMs: number
  readonly timeoutMs: number
  /** '': that of its service. */
  readonly portLabel: string
  readonly https: boolean
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, readonly string[]>>
  readonly body: string
}

/** A version of a job, as far as it concerns routing. */
export interface JobDefinition {
  readonly namespace: string
  readonly job: string
  readonly version: number
  /** Of the job, through all its versions: who had a host first. */
  readonly createIndex: number
  readonly services: readonly DefinedService[]
}

/** What is read of an allocation. */
export interface Allocation {
  readonly id: string
  readonly namespace: string
  readonly job: string
  readonly jobVersion: number
  readonly group: string
  readonly status: AllocationStatus
  /** Of the networks that it was given; '' where it has none. */
  readonly nodeAddress: string
}

/** `/v1/allocation/:id`; undefined: that is no allocation with its job. */
export function readAllocation(body: unknown): { readonly allocation: Allocation; readonly definition: JobDefinition } | undefined {
  if (!isRecord(body) || !isRecord(body['Job'])) return undefined
  const { Job: job } = body
  const definition = readJob(job)
  const allocation = definition === undefined ? undefined : readStub({ ...body, JobVersion: definition.version })
  return allocation === undefined || definition === undefined ? undefined : { allocation, definition }
}

/** An element of `/v1/allocations`. */
export function readStub(body: unknown): Allocation | undefined {
  if (!isRecord(body)) return undefined
  const { JobID: job, JobVersion: jobVersion, TaskGroup: group } = body
  const status = readStatus(body)
  if (status === undefined || typeof job !== 'string' || typeof jobVersion !== 'number' || typeof group !== 'string') return undefined
  const { id, namespace } = status
  return { id, namespace, job, jobVersion, group, status, nodeAddress: networkAddress(body['AllocatedResources']) }
}

/** `/v1/job/:id`, or the job within an allocation. */
export function readJob(body: unknown): JobDefinition | undefined {
  if (!isRecord(body)) return undefined
  const { ID: job, Namespace: namespace, Version: version, CreateIndex: createIndex, TaskGroups: groups } = body
  if (typeof job !== 'string' || typeof namespace !== 'string' || typeof version !== 'number' || typeof createIndex !== 'number') return undefined
  const services = list(groups).flatMap((group) => {
    const name = String(group['Name'])
    return [...list(group['Services']), ...list(group['Tasks']).flatMap((task) => list(task['Services']))]
      .filter((service) => service['Provider'] === 'nomad')
      .map((service): DefinedService => ({ group: name, name: String(service['Name']), portLabel: textOf(service['PortLabel']), checks: list(service['Checks']).map(readCheck) }))
  })
  return { namespace, job, version, createIndex, services }
}

/** The checks of a registered service in a group; a name with `${…}` may stand for any. */
export function checksOf({ services }: JobDefinition, group: string, service: string): readonly DefinedCheck[] {
  const own = services.filter((each) => each.group === group)
  const exact = own.filter(({ name }) => name === service)
  const candidates = exact.length > 0 ? exact : own.filter(({ name }) => name.includes('${'))
  // A check of a port that is not the service's own is told by that port.
  const checks = candidates.flatMap(({ checks: defined, portLabel }) => defined.map((check) => (check.portLabel === portLabel ? { ...check, portLabel: '' } : check)))
  return [...new Map(checks.map((check) => [check.name, check])).values()]
}

function readCheck(check: Record<string, unknown>): DefinedCheck {
  const nanoseconds = (value: unknown): number => (typeof value === 'number' ? value / 1e6 : 0)
  return {
    name: textOf(check['Name']),
    kind: check['Type'] === 'tcp' ? 'tcp' : 'http',
    intervalMs: nanoseconds(check['Interval']),
    timeoutMs: nanoseconds(check['Timeout']),
    portLabel: textOf(check['PortLabel']),
    https: check['Protocol'] === 'https',
    method: textOf(check['Method']) || 'GET',
    path: textOf(check['Path']) || '/',
    headers: isRecord(check['Header']) ? Object.fromEntries(Object.entries(check['Header']).map(([name, values]) => [name, Array.isArray(values) ? values.map(String) : [String(values)]])) : {},
    body: textOf(check['Body']),
  }
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

/** One result of `/v1/client/allocation/:id/checks`. */
export interface CheckResult {
  readonly service: string
  readonly check: string
  readonly status: 'success' | 'failure' | 'pending'
  /** What the check said: a reason for people. */
  readonly output: string
  /** When it ran last, by its node's clock in whole seconds: another number is another run. */
  readonly ranAt: number
}

/** Undefined: unknown. `null` and an empty map say nothing: before the first run, after the last, and for jobs without checks (finding 14). */
export function readChecks(body: unknown): readonly CheckResult[] | undefined {
  if (!isRecord(body)) return undefined
  const results = Object.values(body).flatMap((value): CheckResult[] => {
    if (!isRecord(value) || typeof value['Service'] !== 'string' || typeof value['Check'] !== 'string') return []
    const status = value['Status'] === 'success' || value['Status'] === 'failure' ? value['Status'] : 'pending'
    return [{ service: value['Service'], check: value['Check'], status, output: typeof value['Output'] === 'string' ? value['Output'].trim().slice(0, 200) : '', ranAt: typeof value['Timestamp'] === 'number' ? value['Timestamp'] : 0 }]
  })
  return results.length === 0 ? undefined : results
}

const list = (value: unknown): readonly Record<string, unknown>[] => (Array.isArray(value) ? value.filter(isRecord) : [])

function networkAddress(resources: unknown): string {
  const shared = isRecord(resources) ? resources['Shared'] : undefined
  const [network] = isRecord(shared) ? list(shared['Networks']) : []
  const address = network?.['IP']
  return typeof address === 'string' ? address : ''
}
