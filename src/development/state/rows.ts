// What the registry remembers: immutable rows, replaced whole by each change. Times are milliseconds, wall clock.
import type { Job } from '#src/development/job/specification.ts'

export interface Namespace {
  readonly name: string
  readonly description: string
  readonly createIndex: number
  readonly modifyIndex: number
}

export type NodeStatus = 'ready' | 'down' | 'disconnected'

export interface Node {
  readonly id: string
  readonly name: string
  readonly address: string
  readonly httpAddress: string
  readonly datacenter: string
  readonly status: NodeStatus
  readonly eligible: boolean
  readonly draining: boolean
  readonly registeredAt: number
  readonly createIndex: number
  readonly modifyIndex: number
}

/** A port that an allocation got. */
export interface Port {
  readonly label: string
  readonly hostNetwork: string
  readonly address: string
  readonly value: number
  readonly reserved: boolean
}

export type DesiredStatus = 'run' | 'stop' | 'evict'
export type ClientStatus = 'pending' | 'running' | 'complete' | 'failed' | 'lost' | 'unknown'

export interface TaskEvent {
  readonly type: string
  readonly time: number
  readonly message: string
  readonly details: Readonly<Record<string, string>>
  readonly exitCode?: number
  readonly signal?: number
  readonly failsTask?: boolean
  readonly killTimeoutMs?: number
}

export interface TaskState {
  readonly state: 'pending' | 'running' | 'dead'
  readonly failed: boolean
  readonly restarts: number
  readonly lastRestart?: number
  readonly startedAt?: number
  readonly finishedAt?: number
  readonly events: readonly TaskEvent[]
}

export interface AllocationHealth {
  /** Null: not judged yet. */
  readonly healthy: boolean | null
  readonly canary: boolean
  readonly modifyIndex: number
  readonly judgedAt?: number
}

export interface Allocation {
  readonly id: string
  readonly namespace: string
  /** The version of the job that it runs. */
  readonly job: Job
  readonly group: string
  /** The number in its name: `web.web[1]`. */
  readonly slot: number
  readonly nodeId: string
  readonly nodeName: string
  readonly ports: readonly Port[]
  readonly desired: DesiredStatus
  readonly desiredDescription: string
  readonly client: ClientStatus
  readonly clientDescription: string
  readonly tasks: Readonly<Record<string, TaskState>> | undefined
  readonly deploymentId: string
  readonly health: AllocationHealth | undefined
  /** What `DesiredTransition` asks for. */
  readonly migrate: boolean
  readonly noShutdownDelay: boolean
  readonly reschedule: boolean
  readonly previous: string
  readonly next: string
  readonly evaluationId: string
  readonly createIndex: number
  readonly modifyIndex: number
  readonly serverModifyIndex: number
  readonly createdAt: number
  readonly modifiedAt: number
}

export type DeploymentStatus = 'running' | 'successful' | 'failed' | 'cancelled'

export interface DeploymentGroup {
  readonly autoPromote: boolean
  readonly autoRevert: boolean
  readonly desiredCanaries: number
  readonly desiredTotal: number
  readonly placed: number
  readonly healthy: number
  readonly unhealthy: number
  readonly canaries: readonly string[] | null
  readonly promoted: boolean
  /** Milliseconds that may pass between two healthy allocations. */
  readonly progressDeadlineMs: number
  readonly requireProgressBy: number
}

export interface Deployment {
  readonly id: string
  readonly namespace: string
  readonly job: Job
  readonly status: DeploymentStatus
  readonly description: string
  readonly groups: Readonly<Record<string, DeploymentGroup>>
  readonly createIndex: number
  readonly modifyIndex: number
  readonly createdAt: number
  readonly modifiedAt: number
}

/** A registration of a service, in the form of the API. */
export interface Registration {
  readonly ID: string
  readonly ServiceName: string
  readonly Namespace: string
  readonly NodeID: string
  readonly Datacenter: string
  readonly JobID: string
  readonly AllocID: string
  readonly Tags: readonly string[]
  readonly Address: string
  readonly Port: number
  readonly CreateIndex: number
  readonly ModifyIndex: number
}

/** The key of a job in its table. */
export const jobKey = (namespace: string, id: string): string => `${namespace}\0${id}`

/** `web.web[1]`. */
export const nameOf = ({ job, group, slot }: Allocation): string => `${job.ID}.${group}[${slot}]`

/** Its tasks have ended, or nobody knows of them any more. */
export const isTerminal = ({ client }: Allocation): boolean => client === 'complete' || client === 'failed' || client === 'lost'
