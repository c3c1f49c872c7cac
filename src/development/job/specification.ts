// A job in the form of Nomad's JSON API, complete: the keys that the registry acts on by type, all others kept as they are.

type Others = Readonly<Record<string, unknown>>

export interface Check extends Others {
  readonly Name: string
  readonly Type: string
  readonly Path: string
  readonly Method: string
  readonly Protocol: string
  readonly Body: string
  readonly Header: Readonly<Record<string, readonly string[]>> | null
  readonly PortLabel: string
  /** Nanoseconds, as all durations here. */
  readonly Interval: number
  readonly Timeout: number
  readonly OnUpdate: string
  readonly TaskName: string
  readonly CheckRestart: { readonly Limit: number; readonly Grace: number; readonly IgnoreWarnings: boolean } | null
}

export interface Service extends Others {
  readonly Name: string
  readonly PortLabel: string
  readonly Provider: string
  readonly Address: string
  readonly AddressMode: string
  readonly Tags: readonly string[] | null
  readonly CanaryTags: readonly string[] | null
  readonly Checks: readonly Check[] | null
  readonly TaskName: string
}

export interface RestartPolicy {
  readonly Attempts: number
  readonly Delay: number
  readonly Interval: number
  readonly Mode: string
  readonly RenderTemplates: boolean
}

export interface Task extends Others {
  readonly Name: string
  readonly Driver: string
  readonly Config: Readonly<Record<string, unknown>>
  readonly Env: Readonly<Record<string, string>> | null
  readonly Services: readonly Service[] | null
  readonly ShutdownDelay: number
  readonly KillTimeout: number
  readonly KillSignal: string
  readonly Leader: boolean
  readonly RestartPolicy: RestartPolicy
  readonly Resources: { readonly CPU: number; readonly MemoryMB: number } & Others
}

export interface PortSpec {
  readonly Label: string
  readonly HostNetwork: string
  readonly Value?: number
  readonly To?: number
}

export interface Network extends Others {
  readonly DynamicPorts?: readonly PortSpec[]
  readonly ReservedPorts?: readonly PortSpec[]
}

export interface Update {
  readonly AutoPromote: boolean
  readonly AutoRevert: boolean
  readonly Canary: number
  readonly HealthCheck: string
  readonly HealthyDeadline: number
  readonly MaxParallel: number
  readonly MinHealthyTime: number
  readonly ProgressDeadline: number
  readonly Stagger: number
}

export interface TaskGroup extends Others {
  readonly Name: string
  readonly Count: number
  readonly Networks: readonly Network[] | null
  readonly Services: readonly Service[] | null
  readonly Tasks: readonly Task[]
  readonly ShutdownDelay: number | null
  readonly Update: Update
  readonly Migrate: { readonly MaxParallel: number } & Others
  readonly RestartPolicy: RestartPolicy
  readonly ReschedulePolicy: { readonly Attempts: number; readonly Delay: number; readonly Unlimited: boolean } & Others
  readonly Disconnect: { readonly LostAfter: number | null; readonly Replace: boolean; readonly Reconcile: string } & Others | null
}

export interface Job extends Others {
  readonly ID: string
  readonly Name: string
  readonly Namespace: string
  readonly Type: string
  readonly Priority: number
  readonly Datacenters: readonly string[]
  readonly TaskGroups: readonly TaskGroup[]
  readonly Stop: boolean
  readonly Stable: boolean
  readonly Status: string
  readonly Version: number
  readonly CreateIndex: number
  readonly ModifyIndex: number
  readonly JobModifyIndex: number
  /** Nanoseconds since 1970. */
  readonly SubmitTime: number
}

/** What somebody submits: any part of a job, the rest by default. */
export type Given<T> = { readonly [Key in keyof T]?: unknown extends T[Key] ? unknown : GivenValue<NonNullable<T[Key]>> | null | undefined }
type GivenValue<T> = T extends readonly (infer Item)[] ? readonly GivenValue<Item>[] : T extends object ? Given<T> : T

/** A service of the group or of one of its tasks, with the task's name or ''. */
export interface PlacedService {
  readonly service: Service
  readonly task: string
}

/** The services of a group that Nomad itself registers, with those of its tasks. */
export function servicesOf(group: TaskGroup): readonly PlacedService[] {
  const own = (group.Services ?? []).map((service) => ({ service, task: '' }))
  const ofTasks = group.Tasks.flatMap((task) => (task.Services ?? []).map((service) => ({ service, task: task.Name })))
  return [...own, ...ofTasks].filter(({ service }) => service.Provider === 'nomad')
}

/** The group of that name; throws where the job has none. */
export function groupOf(job: Job, name: string): TaskGroup {
  const group = job.TaskGroups.find((each) => each.Name === name)
  if (group === undefined) throw new Error(`the job ${job.ID} has no group ${name}`)
  return group
}
