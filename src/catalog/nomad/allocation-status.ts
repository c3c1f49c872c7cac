// What Nomad's servers say of an allocation: whether it is to run, how its client sees it, how its deployment judged it. Pure.
import { isRecord } from './registration.ts'

/** Of `/v1/allocation/:id`, of an element of `/v1/allocations`, or of an event. */
export interface AllocationStatus {
  readonly id: string
  readonly namespace: string
  readonly node: string
  /** `run`, `stop`, `evict`: what the servers want. */
  readonly desired: string
  /** `pending`, `running`, `complete`, `failed`, `lost`, `unknown`: what its client says, or what is said of its client. */
  readonly client: string
  /** Nomad's verdict in its last deployment; undefined: none, or not yet (back to none at each new job version, finding 15). */
  readonly healthy: boolean | undefined
  /** A drain will move it. */
  readonly migrating: boolean
  /** Of its tasks: one more is a crash or an asked-for restart. */
  readonly restarts: number
  /** Its ModifyIndex: what has a lower one is older. */
  readonly index: number
}

export function readStatus(body: unknown): AllocationStatus | undefined {
  if (!isRecord(body)) return undefined
  const { ID: id, Namespace: namespace, NodeID: node, DesiredStatus: desired, ClientStatus: client, ModifyIndex: index } = body
  if (typeof id !== 'string' || typeof namespace !== 'string' || typeof desired !== 'string' || typeof client !== 'string') return undefined
  const { DeploymentStatus: deployment, DesiredTransition: transition, TaskStates: tasks } = body
  const restarts = isRecord(tasks) ? Object.values(tasks).reduce<number>((sum, task) => sum + (isRecord(task) && typeof task['Restarts'] === 'number' ? task['Restarts'] : 0), 0) : 0
  return {
    id, namespace, desired, client, restarts,
    node: typeof node === 'string' ? node : '',
    healthy: isRecord(deployment) && typeof deployment['Healthy'] === 'boolean' ? deployment['Healthy'] : undefined,
    migrating: isRecord(transition) && transition['Migrate'] === true,
    index: typeof index === 'number' ? index : 0,
  }
}

/** Why an instance of it gets requests only when nothing else is left; '': it does not end. (`pending` is no end: delays and restarts have it too, finding 16.) */
export function endingWords({ desired, client, migrating }: AllocationStatus): string {
  if (desired === 'stop') return migrating ? 'its allocation is being stopped: its node is drained' : 'its allocation is being stopped'
  if (desired === 'evict') return 'its allocation is being evicted'
  switch (client) {
    case 'unknown': return 'its node is disconnected'
    case 'lost': return 'its node is lost'
    case 'failed': return 'its allocation has failed'
    case 'complete': return 'its allocation is complete'
    default: return ''
  }
}

/** Whether its tasks may be closed for a moment, although nothing of its registration changes: a crash, or a restart that was asked for. */
export function mayHaveRestarted(before: AllocationStatus | undefined, after: AllocationStatus): boolean {
  if (endingWords(after) !== '') return false
  return before !== undefined && (after.restarts > before.restarts || (after.client === 'pending' && before.client === 'running') || (after.client === 'running' && before.client === 'unknown'))
}
