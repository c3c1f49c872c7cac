// Deployments: made with a version of a job, counted from its allocations, and what becomes of them. Pure.
import { toMs } from '#src/development/duration.ts'
import type { Job, TaskGroup } from '#src/development/job/specification.ts'
import type { Allocation, Deployment, DeploymentGroup } from '#src/development/state/rows.ts'

export const RUNNING = 'Deployment is running'
export const NEEDS_PROMOTION = 'Deployment is running but requires manual promotion'
export const SUCCESSFUL = 'Deployment completed successfully'
export const STOPPED = 'Cancelled because job is stopped'
export const SUPERSEDED = 'Cancelled due to newer version of job'
export const FAILED_BY_USER = 'Deployment marked as failed'
export const FAILED_PROGRESS = 'Failed due to progress deadline'

/** Whether versions of the job are rolled out by deployments. */
export function deploys(job: Job): boolean {
  return (job.Type === 'service' || job.Type === 'system') && job.TaskGroups.some(({ Update }) => Update.MaxParallel > 0)
}

/** A deployment of the job's present version. `canary`: whether there is anything older that canaries stand beside. */
export function newDeployment(id: string, job: Job, canary: boolean, desired: (group: TaskGroup) => number, index: number, now: number): Deployment {
  const groups = Object.fromEntries(job.TaskGroups.map((group): [string, DeploymentGroup] => [group.Name, {
    autoPromote: group.Update.AutoPromote,
    autoRevert: group.Update.AutoRevert,
    desiredCanaries: canary ? group.Update.Canary : 0,
    desiredTotal: desired(group),
    placed: 0,
    healthy: 0,
    unhealthy: 0,
    canaries: null,
    promoted: false,
    progressDeadlineMs: toMs(group.Update.ProgressDeadline),
    requireProgressBy: now + toMs(group.Update.ProgressDeadline),
  }]))
  const description = needsPromotion(groups) ? NEEDS_PROMOTION : RUNNING
  return { id, namespace: job.Namespace, job, status: 'running', description, groups, createIndex: index, modifyIndex: index, createdAt: now, modifiedAt: now }
}

/** The deployment with its groups counted anew from all allocations of the job. */
export function counted(deployment: Deployment, allocations: readonly Allocation[], index: number, now: number): Deployment {
  const own = allocations.filter(({ deploymentId }) => deploymentId === deployment.id)
  const groups = Object.fromEntries(Object.entries(deployment.groups).map(([name, group]): [string, DeploymentGroup] => {
    const members = own.filter((each) => each.group === name)
    const healthy = members.filter(({ health }) => health?.healthy === true).length
    const canaries = members.filter(({ health, id }) => health?.canary === true || group.canaries?.includes(id) === true).map(({ id }) => id)
    return [name, {
      ...group,
      placed: members.length,
      healthy,
      unhealthy: members.filter(({ health }) => health?.healthy === false).length,
      canaries: canaries.length > 0 ? canaries : null,
      requireProgressBy: healthy > group.healthy ? now + group.progressDeadlineMs : group.requireProgressBy,
    }]
  }))
  return { ...deployment, groups, modifyIndex: index, modifiedAt: now }
}

/** Whether the counts of two states of a deployment differ. */
export const differs = (a: Deployment, b: Deployment): boolean => JSON.stringify(a.groups) !== JSON.stringify(b.groups)

/** Every group has all it wants, healthy and promoted. */
export function isComplete({ groups }: Deployment): boolean {
  return Object.values(groups).every(({ healthy, desiredTotal, desiredCanaries, promoted }) => healthy >= desiredTotal && (desiredCanaries === 0 || promoted))
}

/** All canaries are there and healthy, and nobody has promoted them yet. */
export function awaitsPromotion({ groups }: Deployment, allocations: readonly Allocation[]): boolean {
  const waiting = Object.values(groups).filter(({ desiredCanaries, promoted }) => desiredCanaries > 0 && !promoted)
  return waiting.length > 0 && waiting.every((group) => healthyCanaries(group, allocations) >= group.desiredCanaries)
}

export function healthyCanaries({ canaries }: DeploymentGroup, allocations: readonly Allocation[]): number {
  return allocations.filter(({ id, health, desired }) => canaries?.includes(id) === true && health?.healthy === true && desired === 'run').length
}

/** The deployment with all its canaries promoted. */
export function promoted(deployment: Deployment, index: number, now: number): Deployment {
  const groups = Object.fromEntries(Object.entries(deployment.groups).map(([name, group]) => [name, group.desiredCanaries > 0 ? { ...group, promoted: true } : group]))
  return { ...deployment, groups, description: RUNNING, modifyIndex: index, modifiedAt: now }
}

const needsPromotion = (groups: Readonly<Record<string, DeploymentGroup>>): boolean => Object.values(groups).some(({ desiredCanaries, promoted: done, autoPromote }) => desiredCanaries > 0 && !done && !autoPromote)
