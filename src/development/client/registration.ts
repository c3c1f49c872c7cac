// An allocation's services as they are registered: names and tags with variables replaced, addresses and ports by Nomad's rules.
import { groupOf, servicesOf } from '#src/development/job/specification.ts'
import type { Service } from '#src/development/job/specification.ts'
import type { Allocation, Node, Registration } from '#src/development/state/rows.ts'
import { environmentOf, interpolate, nodeVariables } from './environment.ts'

/** A registration before the servers gave it indexes. */
export type Draft = Omit<Registration, 'CreateIndex' | 'ModifyIndex'>

/** The registrations of the group (`task` is '') or of one task. Canary tags stand in for the others while the allocation is a canary. */
export function registrationsOf(allocation: Allocation, node: Node, task: string): Draft[] {
  const variables = { ...nodeVariables(node), ...environmentOf(allocation, node, task) }
  return servicesOf(groupOf(allocation.job, allocation.group)).filter((each) => each.task === task).map(({ service }) => {
    const name = interpolate(service.Name, variables)
    const { address, port } = addressOf(allocation, node, service)
    const tags = allocation.health?.canary === true && service.CanaryTags !== null ? service.CanaryTags : (service.Tags ?? [])
    return {
      ID: `_nomad-task-${allocation.id}-${task === '' ? `group-${allocation.group}` : task}-${name}-${service.PortLabel}`,
      ServiceName: name,
      Namespace: allocation.namespace,
      NodeID: allocation.nodeId,
      Datacenter: node.datacenter,
      JobID: allocation.job.ID,
      AllocID: allocation.id,
      Tags: interpolate(tags, variables),
      Address: interpolate(address, variables),
      Port: port,
    }
  })
}

/** Where a service is: a literal port has no address, no port label has port 0, a given address is taken as it is. */
export function addressOf(allocation: Allocation, node: Node, { Address, PortLabel }: Pick<Service, 'Address' | 'PortLabel'>): { readonly address: string; readonly port: number } {
  const port = allocation.ports.find(({ label }) => label === PortLabel)
  const literal = /^\d+$/.test(PortLabel) ? Number(PortLabel) : 0
  if (Address !== '') return { address: Address, port: port?.value ?? literal }
  if (port !== undefined) return { address: port.address, port: port.value }
  return literal > 0 ? { address: '', port: literal } : { address: allocation.ports[0]?.address ?? node.address, port: 0 }
}
