// The variables of an allocation: what tasks find in their environment, and what `${…}` stands for in a job.
import type { Allocation, Node } from '#src/development/state/rows.ts'
import { nameOf } from '#src/development/state/rows.ts'

/** Variables by name. `task`: '' for those of the group. */
export function environmentOf(allocation: Allocation, node: Node, task: string): Record<string, string> {
  const variables: Record<string, string> = {
    NOMAD_ALLOC_ID: allocation.id,
    NOMAD_SHORT_ALLOC_ID: allocation.id.slice(0, 8),
    NOMAD_ALLOC_INDEX: String(allocation.slot),
    NOMAD_ALLOC_NAME: nameOf(allocation),
    NOMAD_JOB_ID: allocation.job.ID,
    NOMAD_JOB_NAME: allocation.job.Name,
    NOMAD_GROUP_NAME: allocation.group,
    NOMAD_NAMESPACE: allocation.namespace,
    NOMAD_DC: node.datacenter,
    NOMAD_REGION: 'global',
    ...(task === '' ? {} : { NOMAD_TASK_NAME: task }),
  }
  for (const { label, address, value } of allocation.ports) {
    const host = address.includes(':') ? `[${address}]` : address
    variables[`NOMAD_PORT_${label}`] = variables[`NOMAD_HOST_PORT_${label}`] = variables[`NOMAD_ALLOC_PORT_${label}`] = String(value)
    variables[`NOMAD_IP_${label}`] = variables[`NOMAD_HOST_IP_${label}`] = address
    variables[`NOMAD_ADDR_${label}`] = variables[`NOMAD_HOST_ADDR_${label}`] = `${host}:${value}`
  }
  return variables
}

/** What `${node.…}` and `${attr.…}` may name beside the environment. */
export function nodeVariables({ id, name, datacenter, address }: Node): Record<string, string> {
  return { 'node.unique.id': id, 'node.unique.name': name, 'node.datacenter': datacenter, 'attr.unique.hostname': name, 'attr.unique.network.ip-address': address }
}

/** The value with every `${NAME}` that is known replaced, in texts at any depth. */
export function interpolate<T>(value: T, variables: Readonly<Record<string, string>>): T {
  if (typeof value === 'string') return value.replace(/\$\{([^}]+)\}/g, (whole, name: string) => variables[name] ?? whole) as T
  if (Array.isArray(value)) return value.map((item: unknown) => interpolate(item, variables)) as T
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, interpolate(item as unknown, variables)])) as T
  return value
}
