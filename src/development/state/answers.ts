// Rows in the form of the API, key for key as Nomad 2.0 was recorded.
import { NO_TIME, toNanoseconds, toTimestamp } from '#src/development/clock.ts'
import { groupOf } from '#src/development/job/specification.ts'
import type { Job, Task } from '#src/development/job/specification.ts'
import { taskStatesJson } from './task-states.ts'
import { nameOf } from './rows.ts'
import type { Allocation, AllocationHealth, Deployment, Namespace, Port } from './rows.ts'

/** `/v1/allocation/:id`, and with `job: false` what events carry. Keys that Nomad leaves out while they are empty are left out. */
export function allocationJson(allocation: Allocation, { job }: { readonly job: boolean }): object {
  const group = groupOf(allocation.job, allocation.group)
  const networks = networksJson(allocation.ports)
  const tasks = (row: (task: Task) => object): object => Object.fromEntries(group.Tasks.map((task) => [task.Name, row(task)]))
  const { CPU, MemoryMB } = group.Tasks.reduce((sum, { Resources }) => ({ CPU: sum.CPU + Resources.CPU, MemoryMB: sum.MemoryMB + Resources.MemoryMB }), { CPU: 0, MemoryMB: 0 })
  return {
    ID: allocation.id,
    Namespace: allocation.namespace,
    EvalID: allocation.evaluationId,
    Name: nameOf(allocation),
    NodeID: allocation.nodeId,
    NodeName: allocation.nodeName,
    JobID: allocation.job.ID,
    ...(job ? { Job: allocation.job } : {}),
    TaskGroup: allocation.group,
    Resources: resourcesJson(CPU, MemoryMB, MemoryMB, 300, networks),
    SharedResources: resourcesJson(0, 0, 0, 300, networks),
    TaskResources: tasks(({ Resources }) => resourcesJson(Resources.CPU, Resources.MemoryMB, 0, 0, null)),
    AllocatedResources: {
      Tasks: tasks(({ Resources }) => ({
        Cpu: { CpuShares: Resources.CPU, ReservedCores: null }, Memory: { MemoryMB: Resources.MemoryMB, MemoryMaxMB: 0 }, Networks: null, Devices: null,
      })),
      TaskLifecycles: tasks(() => null as unknown as object),
      Shared: { Networks: networks, DiskMB: 300, Ports: portsJson(allocation.ports) },
    },
    Metrics: { ...metrics, ScoreMetaData: [{ NodeID: allocation.nodeId, Scores: { binpack: 0.01 }, NormScore: 0.01 }] },
    DesiredStatus: allocation.desired,
    ...(allocation.desiredDescription === '' ? {} : { DesiredDescription: allocation.desiredDescription }),
    ...transitionsOf(allocation),
    ClientStatus: allocation.client,
    ...(allocation.clientDescription === '' ? {} : { ClientDescription: allocation.clientDescription }),
    ...(allocation.tasks === undefined ? {} : { TaskStates: taskStatesJson(allocation.tasks), NetworkStatus: { InterfaceName: '', Address: '', AddressIPv6: '', DNS: null } }),
    ...(allocation.deploymentId === '' ? {} : { DeploymentID: allocation.deploymentId }),
    ...(allocation.health === undefined ? {} : { DeploymentStatus: healthJson(allocation.health) }),
    ...(allocation.previous === '' ? {} : { PreviousAllocation: allocation.previous }),
    ...(allocation.next === '' ? {} : { NextAllocation: allocation.next }),
    SigningKeyID: '17e318f2-9509-fe2b-c945-f45ff073a21b',
    CreateIndex: allocation.createIndex,
    ModifyIndex: allocation.modifyIndex,
    AllocModifyIndex: allocation.serverModifyIndex,
    CreateTime: toNanoseconds(allocation.createdAt),
    ModifyTime: toNanoseconds(allocation.modifiedAt),
  }
}

/** An element of `/v1/allocations` and `/v1/job/:id/allocations`. */
export function allocationStubJson(allocation: Allocation, { taskStates }: { readonly taskStates: boolean }): object {
  return {
    ID: allocation.id,
    EvalID: allocation.evaluationId,
    Name: nameOf(allocation),
    Namespace: allocation.namespace,
    NodeID: allocation.nodeId,
    NodeName: allocation.nodeName,
    JobID: allocation.job.ID,
    JobType: allocation.job.Type,
    JobVersion: allocation.job.Version,
    TaskGroup: allocation.group,
    DesiredStatus: allocation.desired,
    DesiredDescription: allocation.desiredDescription,
    ClientStatus: allocation.client,
    ClientDescription: allocation.clientDescription,
    DesiredTransition: transitionJson(allocation),
    TaskStates: taskStates && allocation.tasks !== undefined ? taskStatesJson(allocation.tasks) : null,
    DeploymentStatus: allocation.health === undefined ? null : healthJson(allocation.health),
    FollowupEvalID: '',
    NextAllocation: allocation.next,
    RescheduleTracker: null,
    PreemptedAllocations: null,
    PreemptedByAllocation: '',
    CreateIndex: allocation.createIndex,
    ModifyIndex: allocation.modifyIndex,
    CreateTime: toNanoseconds(allocation.createdAt),
    ModifyTime: toNanoseconds(allocation.modifiedAt),
  }
}

/** `/v1/deployment/:id`. */
export function deploymentJson({ id, namespace, job, status, description, groups, createIndex, modifyIndex, createdAt, modifiedAt }: Deployment): object {
  return {
    ID: id,
    Namespace: namespace,
    JobID: job.ID,
    JobVersion: job.Version,
    JobModifyIndex: job.JobModifyIndex,
    JobSpecModifyIndex: job.JobModifyIndex,
    JobCreateIndex: job.CreateIndex,
    IsMultiregion: false,
    TaskGroups: Object.fromEntries(Object.entries(groups).map(([name, group]) => [name, {
      AutoRevert: group.autoRevert,
      AutoPromote: group.autoPromote,
      ProgressDeadline: group.progressDeadlineMs * 1e6,
      RequireProgressBy: group.requireProgressBy === 0 ? NO_TIME : toTimestamp(group.requireProgressBy),
      Promoted: group.promoted,
      PlacedCanaries: group.canaries,
      DesiredCanaries: group.desiredCanaries,
      DesiredTotal: group.desiredTotal,
      PlacedAllocs: group.placed,
      HealthyAllocs: group.healthy,
      UnhealthyAllocs: group.unhealthy,
    }])),
    Status: status,
    StatusDescription: description,
    EvalPriority: 50,
    CreateIndex: createIndex,
    ModifyIndex: modifyIndex,
    CreateTime: toNanoseconds(createdAt),
    ModifyTime: toNanoseconds(modifiedAt),
  }
}

/** `/v1/job/:id/summary`. */
export function jobSummaryJson(job: Job, allocations: readonly Allocation[], index: number): object {
  const count = (group: string, matches: (allocation: Allocation) => boolean): number => allocations.filter((each) => each.group === group && matches(each)).length
  const summary = (group: string): object => ({
    Queued: 0,
    Complete: count(group, ({ client }) => client === 'complete'),
    Failed: count(group, ({ client }) => client === 'failed'),
    Running: count(group, ({ client }) => client === 'running'),
    Starting: count(group, ({ client }) => client === 'pending'),
    Lost: count(group, ({ client }) => client === 'lost'),
    Unknown: count(group, ({ client }) => client === 'unknown'),
  })
  return {
    JobID: job.ID,
    Namespace: job.Namespace,
    Summary: Object.fromEntries(job.TaskGroups.map(({ Name }) => [Name, summary(Name)])),
    Children: { Pending: 0, Running: 0, Dead: 0 },
    CreateIndex: job.CreateIndex,
    ModifyIndex: index,
  }
}

/** An element of `/v1/jobs`; `changed` is the index of the last change to its allocations. */
export function jobStubJson(job: Job, allocations: readonly Allocation[]): object {
  return {
    ID: job.ID, ParentID: '', Name: job.Name, Namespace: job.Namespace, Datacenters: job.Datacenters, NodePool: job['NodePool'], Multiregion: null, Type: job.Type, Priority: job.Priority,
    Periodic: false, ParameterizedJob: false, Stop: job.Stop, Status: job.Status, StatusDescription: '',
    JobSummary: jobSummaryJson(job, allocations, Math.max(job.CreateIndex, ...allocations.map(({ modifyIndex }) => modifyIndex))),
    CreateIndex: job.CreateIndex, ModifyIndex: job.ModifyIndex, JobModifyIndex: job.JobModifyIndex, SubmitTime: job.SubmitTime,
  }
}

/** An element of `/v1/namespaces`. */
export function namespaceJson({ name, description, createIndex, modifyIndex }: Namespace): object {
  return {
    Name: name, Description: description, Quota: '', Capabilities: null, NodePoolConfiguration: null, VaultConfiguration: null, ConsulConfiguration: null, Meta: null,
    RequiredExtraClaims: null, OptionalExtraClaims: null, Hash: 'C7UbjDwBK0dK8wQq7Izg7SJIzaV+lIo2X7wRtzY3pSw=', CreateIndex: createIndex, ModifyIndex: modifyIndex,
  }
}

function transitionJson({ migrate, noShutdownDelay, reschedule }: Allocation): object {
  const asked = (yes: boolean): true | null => yes || null
  return { Migrate: asked(migrate), Reschedule: reschedule || (migrate ? false : null), ForceReschedule: null, NoShutdownDelay: asked(noShutdownDelay), MigrateDisablePlacement: null }
}

/** The whole allocation shows transitions only once one was asked for. */
function transitionsOf(allocation: Allocation): object {
  return allocation.migrate || allocation.noShutdownDelay || allocation.reschedule ? { DesiredTransition: transitionJson(allocation) } : {}
}

function healthJson({ healthy, canary, modifyIndex, judgedAt }: AllocationHealth): object {
  return { Healthy: healthy, Timestamp: judgedAt === undefined ? null : toTimestamp(judgedAt), Canary: canary, ModifyIndex: modifyIndex }
}

function networksJson(ports: readonly Port[]): object[] | null {
  const [first] = ports
  if (first === undefined) return null
  const list = (reserved: boolean): object[] => ports.filter((port) => port.reserved === reserved).map(({ label, hostNetwork, value }) => ({ Label: label, Value: value, HostNetwork: hostNetwork }))
  const [fixed, dynamic] = [list(true), list(false)]
  const ip = ports.find(({ hostNetwork }) => hostNetwork === 'default')?.address ?? first.address
  return [{ IP: ip, ...(fixed.length > 0 ? { ReservedPorts: fixed } : {}), ...(dynamic.length > 0 ? { DynamicPorts: dynamic } : {}) }]
}

function portsJson(ports: readonly Port[]): object[] | null {
  return ports.length === 0 ? null : ports.map(({ label, value, address }) => ({ Label: label, Value: value, HostIP: address }))
}

function resourcesJson(cpu: number, memory: number, memoryMax: number, disk: number, networks: object[] | null): object {
  return { CPU: cpu, Cores: 0, MemoryMB: memory, MemoryMaxMB: memoryMax, DiskMB: disk, IOPS: 0, Networks: networks, Devices: null, NUMA: null, SecretsMB: 0 }
}

const metrics = {
  NodesEvaluated: 1, NodesFiltered: 0, NodesInPool: 1, NodePool: 'default', NodesAvailable: { dc1: 1 }, ClassFiltered: null, ConstraintFiltered: null, NodesExhausted: 0, ClassExhausted: null,
  DimensionExhausted: null, QuotaExhausted: null, ResourcesExhausted: null, Scores: null, AllocationTime: 29474, CoalescedFailures: 0,
}
