// What should run and what does → what to stop, to change and to place. Pure; the rules of Nomad's service and system schedulers that a catalog sees.
import { toMs } from '#src/development/duration.ts'
import { isInPlace } from '#src/development/job/canonical.ts'
import { groupOf } from '#src/development/job/specification.ts'
import type { Job, TaskGroup } from '#src/development/job/specification.ts'
import { isTerminal } from '#src/development/state/rows.ts'
import type { Allocation, ClientStatus, Deployment, Node } from '#src/development/state/rows.ts'

export interface Stop {
  readonly allocation: Allocation
  readonly description: string
  /** What the servers say of it from now on, where they do not wait for its client to say so. */
  readonly client?: ClientStatus
}

export interface Placement {
  readonly group: string
  readonly slot: number
  /** Undefined: any node that takes work. */
  readonly nodeId: string | undefined
  readonly canary: boolean
  /** What it replaces: it starts when that has ended, if on the same node. */
  readonly previous: Allocation | undefined
}

export interface Plan {
  readonly stops: readonly Stop[]
  readonly placements: readonly Placement[]
  /** Running allocations that become allocations of the job's new version as they are. */
  readonly updates: readonly Allocation[]
  /** Allocations whose node is away for the time that their group allows. */
  readonly unknown: readonly Allocation[]
  /** When to look again even if nothing happens, wall clock in milliseconds. */
  readonly again: number | undefined
}

export interface Situation {
  readonly job: Job
  /** All allocations of the job. */
  readonly allocations: readonly Allocation[]
  /** The deployment of the job's present version, if there is one. */
  readonly deployment: Deployment | undefined
  readonly nodes: ReadonlyMap<string, Node>
  readonly now: number
}

const NOT_NEEDED = 'alloc not needed due to job update'
const UPDATED = 'alloc is being updated due to job update'
const MIGRATED = 'alloc is being migrated'
const LOST = 'alloc is lost since its node is down'

interface Draft {
  readonly stops: Stop[]
  readonly placements: Placement[]
  readonly updates: Allocation[]
  readonly unknown: Allocation[]
  readonly again: number[]
}

/** The next step towards what the job wants. Applied, and asked again at each change, it gets there. */
export function reconcile(situation: Situation): Plan {
  const { job, allocations } = situation
  const draft: Draft = { stops: [], placements: [], updates: [], unknown: [], again: [] }
  for (const name of new Set([...allocations.map(({ group }) => group), ...job.TaskGroups.map(({ Name }) => Name)])) {
    const group = job.TaskGroups.find(({ Name }) => Name === name)
    const own = allocations.filter((each) => each.group === name && each.desired === 'run')
    if (job.Stop || group === undefined) draft.stops.push(...own.filter((each) => !isTerminal(each)).map((allocation) => ({ allocation, description: NOT_NEEDED })))
    else reconcileGroup(situation, group, own, draft)
  }
  return { ...draft, again: draft.again.length > 0 ? Math.min(...draft.again) : undefined }
}

function reconcileGroup(situation: Situation, group: TaskGroup, own: readonly Allocation[], draft: Draft): void {
  const { job, nodes, now } = situation
  const system = job.Type === 'system'
  const usable = [...nodes.values()].filter(({ status, eligible }) => status === 'ready' && eligible)
  const staying: Allocation[] = []
  const vacant: Allocation[] = []

  for (const allocation of own.filter((each) => !isTerminal(each))) {
    const node = nodes.get(allocation.nodeId)
    if (node === undefined || node.status !== 'ready') leaveNode(allocation, group, node, now, draft, staying, vacant)
    else if (allocation.migrate) {
      draft.stops.push({ allocation, description: MIGRATED })
      vacant.push(allocation)
    } else staying.push(allocation)
  }
  for (const allocation of own.filter(({ client, next }) => client === 'failed' && next === '')) {
    const due = allocation.modifiedAt + toMs(group.ReschedulePolicy.Delay)
    if (!group.ReschedulePolicy.Unlimited && group.ReschedulePolicy.Attempts === 0) continue
    if (due > now) {
      draft.again.push(due)
      staying.push(allocation)
    } else vacant.push(allocation)
  }
  const running = updateInPlace(job, group, staying, draft)
  if (system) placeOnEveryNode(situation, group, running, vacant, usable, draft)
  else placeCount(situation, group, running, vacant, draft)
}

/** An allocation whose node does not answer: lost, or unknown for as long as its group allows. */
function leaveNode(allocation: Allocation, group: TaskGroup, node: Node | undefined, now: number, draft: Draft, staying: Allocation[], vacant: Allocation[]): void {
  const allowed = toMs(group.Disconnect?.LostAfter ?? 0)
  const until = allocation.client === 'unknown' ? allocation.modifiedAt + allowed : now + allowed
  if (node !== undefined && allowed > 0 && until > now) {
    if (allocation.client !== 'unknown') draft.unknown.push(allocation)
    draft.again.push(until)
    if (group.Disconnect?.Replace !== true) staying.push(allocation)
    return
  }
  draft.stops.push({ allocation, description: LOST, client: 'lost' })
  vacant.push(allocation)
}

/** Allocations of older versions that only need new services become ones of the present version. The answer holds all that stay. */
function updateInPlace(job: Job, group: TaskGroup, staying: readonly Allocation[], draft: Draft): Allocation[] {
  return staying.map((allocation) => {
    if (allocation.job.Version === job.Version || !isInPlace(groupOf(allocation.job, allocation.group), group)) return allocation
    draft.updates.push(allocation)
    return { ...allocation, job, health: undefined }
  })
}

function placeCount({ job, deployment }: Situation, group: TaskGroup, running: readonly Allocation[], vacant: readonly Allocation[], draft: Draft): void {
  const state = deployment?.groups[group.Name]
  const isCanary = ({ id }: Allocation): boolean => state?.canaries?.includes(id) === true
  const present = running.filter(({ job: { Version } }) => Version === job.Version)
  const old = running.filter(({ job: { Version } }) => Version !== job.Version)
  const canaries = present.filter(isCanary)

  if (old.length > 0 && group.Update.Canary > 0 && state?.promoted !== true) {
    // The old ones stay as they are until the canaries are promoted.
    if (deployment?.status === 'failed') draft.stops.push(...canaries.map((allocation) => ({ allocation, description: NOT_NEEDED })))
    else {
      const slots = freeSlots(canaries)
      for (let count = canaries.length; count < group.Update.Canary; count++) draft.placements.push(placement(group, slots(), { canary: true }))
    }
    fill(group, group.Count, running.filter((each) => !isCanary(each)), vacant, draft)
    return
  }
  const kept = new Set(running)
  // Too many: old ones go first, then the highest numbers.
  const byNeed = [...old, ...present.toSorted((a, b) => b.slot - a.slot || b.createIndex - a.createIndex)]
  for (const allocation of byNeed.slice(0, Math.max(0, running.length - group.Count))) {
    draft.stops.push({ allocation, description: NOT_NEEDED })
    kept.delete(allocation)
  }
  if (deployment?.status !== 'failed') {
    const unsettled = [...kept].filter((each) => each.job.Version === job.Version && !draft.updates.some(({ id }) => id === each.id) && each.health?.healthy !== true && each.deploymentId !== '')
    const parallel = group.Update.MaxParallel === 0 ? Infinity : Math.max(0, group.Update.MaxParallel - unsettled.length)
    for (const allocation of old.filter((each) => kept.has(each)).slice(0, parallel)) {
      draft.stops.push({ allocation, description: UPDATED })
      draft.placements.push(placement(group, allocation.slot, { previous: allocation }))
    }
  }
  fill(group, group.Count, [...kept], vacant, draft)
}

/** Places what is missing: first in the places of those that went away. */
function fill(group: TaskGroup, wanted: number, kept: readonly Allocation[], vacant: readonly Allocation[], draft: Draft): void {
  const slots = freeSlots(kept)
  const gone = [...vacant]
  for (let count = kept.length; count < wanted; count++) {
    const previous = gone.shift()
    const slot = previous !== undefined && !kept.some((each) => each.slot === previous.slot) ? previous.slot : slots()
    draft.placements.push(placement(group, slot, { previous }))
  }
}

/** System jobs: one on each node, replaced a few at a time. */
function placeOnEveryNode({ job, deployment }: Situation, group: TaskGroup, running: readonly Allocation[], vacant: readonly Allocation[], usable: readonly Node[], draft: Draft): void {
  const old = running.filter(({ job: { Version } }) => Version !== job.Version)
  const unsettled = running.filter((each) => each.job.Version === job.Version && each.health?.healthy !== true && each.deploymentId !== '')
  const parallel = group.Update.MaxParallel === 0 ? Infinity : Math.max(0, group.Update.MaxParallel - unsettled.length)
  if (deployment?.status !== 'failed') {
    for (const allocation of old.slice(0, parallel)) {
      draft.stops.push({ allocation, description: UPDATED })
      draft.placements.push(placement(group, 0, { previous: allocation, nodeId: allocation.nodeId }))
    }
  }
  for (const { id } of usable) {
    if (running.some(({ nodeId }) => nodeId === id)) continue
    draft.placements.push(placement(group, 0, { previous: vacant.find(({ nodeId }) => nodeId === id), nodeId: id }))
  }
}

function placement({ Name }: TaskGroup, slot: number, { canary = false, previous, nodeId }: { readonly canary?: boolean; readonly previous?: Allocation | undefined; readonly nodeId?: string }): Placement {
  return { group: Name, slot, canary, previous, nodeId }
}

/** The lowest numbers that none of these has, one at each call. */
function freeSlots(taken: readonly Allocation[]): () => number {
  const used = new Set(taken.map(({ slot }) => slot))
  let next = 0
  return () => {
    while (used.has(next)) next++
    used.add(next)
    return next
  }
}
