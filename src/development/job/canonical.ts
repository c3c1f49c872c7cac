// A job as it was submitted → the job as Nomad keeps it: every key there, defaults filled in; or what is wrong with it.
import {
  checkDefaults, disconnectDefaults, groupDefaults, identityDefaults, jobDefaults, jobUpdateDefaults, migrateDefaults, rescheduleDefaults, resourceDefaults, restartDefaults,
  serviceDefaults, taskDefaults, updateDefaults,
} from './defaults.ts'
import type { Check, Given, Job, Network, PortSpec, RestartPolicy, Service, Task, TaskGroup, Update } from './specification.ts'

/** What somebody submits; the API refuses what has no ID or no groups. */
export type SubmittedJob = Given<Job>

/** The complete job, not yet stored: indexes 0, version 0. */
export function canonicalJob(given: SubmittedJob): Job {
  const filled = fill(jobDefaults, given)
  const namespace = filled.Namespace === '' ? 'default' : filled.Namespace
  const update = fill(jobUpdateDefaults, given['Update'] as object | null | undefined)
  const groups = (given.TaskGroups ?? []).map((group) => canonicalGroup(group, namespace, filled.Type, given['Update'] as Given<Update> | null | undefined))
  const name = filled.Name === '' ? filled.ID : filled.Name
  return { ...filled, Namespace: namespace, Name: name, TaskGroups: groups, Update: update, Stop: false, Stable: false, Status: 'pending', Version: 0, CreateIndex: 0, ModifyIndex: 0, JobModifyIndex: 0 }
}

/** The first reason to refuse the job, as Nomad words it; undefined when there is none. */
export function findMistake(job: Job): string | undefined {
  for (const group of job.TaskGroups) {
    const services = [...(group.Services ?? []), ...group.Tasks.flatMap((task) => task.Services ?? [])]
    const mistakes = services.flatMap((service) => mistakesOf(service))
    const providers = [...new Set(services.map(({ Provider }) => Provider))]
    if (providers.length > 1) mistakes.push('Multiple service providers used: task group services must use the same provider')
    if (mistakes.length > 0) return multiple(`Task group ${group.Name} validation failed: ${multiple(`Task group service validation failed: ${multiple(...mistakes)}`)}`)
  }
  return undefined
}

/** Whether a running allocation of the first group needs nothing but new services and counts to become one of the second. */
export function isInPlace(from: TaskGroup, to: TaskGroup): boolean {
  return from === to || tasksOf(from) === tasksOf(to)
}

/** What of a group cannot change without a new allocation, as text to compare. */
function tasksOf({ Networks, Tasks }: TaskGroup): string {
  return JSON.stringify([Networks, Tasks.map(({ Name, Driver, Config, Env, Resources }) => [Name, Driver, Config, Env, Resources])])
}

function mistakesOf({ Name, AddressMode, Provider, TaskName }: Service): string[] {
  const mistakes: string[] = []
  // Names may hold variables, which are replaced when an allocation registers.
  if (!/^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$/.test(Name.replace(/\$\{[^}]*\}/g, 'x')) || Name.length > 63) {
    mistakes.push(`Service[1] ${Name} validation failed: ${multiple('Service name must be valid per RFC 1123 and can contain only alphanumeric characters or dashes and must be no longer than 63 characters')}`)
  }
  if (AddressMode === 'driver' && TaskName === '') mistakes.push(`service "${Name}" cannot use address_mode="driver", only services defined in a "task" block can use this mode`)
  if (Provider !== 'nomad' && Provider !== 'consul') mistakes.push(`Service ${Name} provider "${Provider}" is invalid: must be consul or nomad`)
  return mistakes
}

const multiple = (...mistakes: readonly string[]): string =>
  `${mistakes.length} error${mistakes.length === 1 ? '' : 's'} occurred:\n${mistakes.map((each) => `\t* ${each.replaceAll('\n', '\n\t')}`).join('\n')}\n\n`

function canonicalGroup(given: Given<TaskGroup>, namespace: string, type: string, jobUpdate: Given<Update> | null | undefined): TaskGroup {
  const restart = fill(restartDefaults, given.RestartPolicy)
  const services = (given.Services ?? []).map((service) => canonicalService(service, namespace, ''))
  const tasks = (given.Tasks ?? []).map((task) => canonicalTask(task, namespace, restart))
  const nomadServices = [...services, ...tasks.flatMap((task) => task.Services ?? [])].filter(({ Provider }) => Provider === 'nomad')
  const system = type === 'system' || type === 'sysbatch'
  return {
    ...fill(groupDefaults, given),
    Networks: given.Networks?.map(canonicalNetwork) ?? null,
    Services: services.length > 0 ? services : null,
    Tasks: tasks,
    ShutdownDelay: given.ShutdownDelay ?? null,
    Constraints: constraintsOf(nomadServices),
    Disconnect: isNothing(given.Disconnect) ? null : fill(disconnectDefaults, given.Disconnect),
    Migrate: fill(migrateDefaults, given.Migrate),
    RestartPolicy: restart,
    ReschedulePolicy: fill(system ? { ...rescheduleDefaults, Delay: 0, DelayFunction: '', MaxDelay: 0, Unlimited: false } : rescheduleDefaults, given.ReschedulePolicy),
    Update: fill(updateDefaults, { ...jobUpdate, ...given.Update }),
  }
}

function constraintsOf(services: readonly Service[]): readonly object[] | null {
  if (services.length === 0) return null
  const discovery = { LTarget: '${attr.nomad.service_discovery}', Operand: '=', RTarget: 'true' }
  const checks = { LTarget: '${attr.nomad.version}', Operand: 'semver', RTarget: '>= 1.4.0' }
  return services.some(({ Checks }) => (Checks ?? []).length > 0) ? [discovery, checks] : [discovery]
}

function canonicalNetwork(given: Given<Network>): Network {
  const port = ({ Label, HostNetwork, Value, To }: Given<PortSpec>): PortSpec => ({
    Label: Label ?? '', HostNetwork: isNothing(HostNetwork) ? 'default' : HostNetwork, ...(isNothing(Value) ? {} : { Value }), ...(isNothing(To) ? {} : { To }),
  })
  const { Mode } = given as { readonly Mode?: string }
  return {
    ...(Mode === undefined || Mode === '' || Mode === 'host' ? {} : { Mode }),
    ...((given.DynamicPorts ?? []).length > 0 ? { DynamicPorts: (given.DynamicPorts ?? []).map(port) } : {}),
    ...((given.ReservedPorts ?? []).length > 0 ? { ReservedPorts: (given.ReservedPorts ?? []).map(port) } : {}),
  }
}

function canonicalService(given: Given<Service>, namespace: string, task: string): Service {
  const filled = fill(serviceDefaults, given)
  const checks = (given.Checks ?? []).map((check) => canonicalCheck(check))
  return {
    ...filled,
    AddressMode: filled.AddressMode === '' ? 'auto' : filled.AddressMode,
    Provider: filled.Provider === '' ? 'consul' : filled.Provider,
    Namespace: namespace,
    Tags: given.Tags !== undefined && given.Tags !== null && given.Tags.length > 0 ? given.Tags : null,
    CanaryTags: given.CanaryTags !== undefined && given.CanaryTags !== null && given.CanaryTags.length > 0 ? given.CanaryTags : null,
    Checks: checks.length > 0 ? checks : null,
    TaskName: task === '' ? filled.TaskName : task,
  }
}

function canonicalCheck(given: Given<Check>): Check {
  const filled = fill(checkDefaults, given)
  return {
    ...filled,
    OnUpdate: filled.OnUpdate === '' ? 'require_healthy' : filled.OnUpdate,
    Header: (given.Header ?? null) as Check['Header'],
    CheckRestart: isNothing(given.CheckRestart?.Limit) ? null : fill({ Grace: 1e9, IgnoreWarnings: false, Limit: 0 }, given.CheckRestart),
  }
}

function canonicalTask(given: Given<Task>, namespace: string, restart: RestartPolicy): Task {
  const filled = fill(taskDefaults, given)
  const services = (given.Services ?? []).map((service) => canonicalService(service, namespace, filled.Name))
  return {
    ...filled,
    Config: given.Config ?? {},
    Env: (given.Env ?? null) as Task['Env'],
    Services: services.length > 0 ? services : null,
    Identity: fill(identityDefaults, given['Identity'] as object | null | undefined),
    Resources: fill(resourceDefaults, given.Resources),
    RestartPolicy: fill(restart, given.RestartPolicy),
  }
}

/** Absent, null, or Go's zero value. */
const isNothing = (value: unknown): value is undefined | null | '' | 0 => value === undefined || value === null || value === '' || value === 0

/** Exactly the keys of the defaults: what is given where it is given, null and undefined being the default. */
function fill<T extends object>(defaults: T, given: object | null | undefined): T {
  const values = (given ?? {}) as Readonly<Record<string, unknown>>
  const filled: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(defaults)) filled[key] = values[key] ?? value
  return filled as T
}
