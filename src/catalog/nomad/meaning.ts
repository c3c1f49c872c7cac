// Where a registration leads, and what it becomes for the control plane: an instance, or a problem. Pure.
import { isIP } from 'node:net'
import { parseAddress } from '#src/catalog/address.ts'
import type { AddressPolicy } from '#src/upstream/address-policy.ts'
import type { Instance } from '#src/catalog/catalog.ts'
import type { InstanceState } from './followed-instance.ts'
import type { Registration } from './registration.ts'

/** What is known of the node that an instance runs on. */
export interface NodeFacts {
  /** Its own network address; '' if it cannot be read. */
  readonly address: string
  /** `host:port` of its agent's API; '' if it cannot be read. */
  readonly http: string
}

export type Place =
  | { readonly kind: 'at'; readonly host: string; readonly port: number }
  /** Only its node's facts can tell. */
  | { readonly kind: 'node' }
  | { readonly kind: 'refused'; readonly reason: string }

/** `node` undefined: not read (yet). */
export function placeOf({ address, port }: Registration, node: NodeFacts | undefined, policy: AddressPolicy): Place {
  if (port === 0) return refused('it is registered without a port (port 0): give the service a port label')
  if (address === '' && node === undefined) return { kind: 'node' }
  if (address === '' && node?.address === '') return refused('it is registered without an address, and its node may not be read (node:read)')
  const host = address === '' ? (node?.address ?? '') : address
  const parsed = parseAddress(`${host.includes(':') ? `[${host}]` : host}:${port}`)
  if ('reason' in parsed) return refused(parsed.reason)
  const refusal = policy.refusal(parsed.host, parsed.port, node?.address ?? '')
  if (refusal !== undefined) return node === undefined && policy.dependsOnNode(parsed.host) ? { kind: 'node' } : refused(refusal)
  if (node !== undefined && node.http === `${parsed.host.includes(':') ? `[${parsed.host}]` : parsed.host}:${parsed.port}`) return refused(`${node.http} is the address of Nomad's own agent there`)
  return { kind: 'at', host: parsed.host, port: parsed.port }
}

const refused = (reason: string): Place => ({ kind: 'refused', reason })

/** As the control plane wants it. */
export function instanceOf(
  registration: Registration, { host, port }: { readonly host: string; readonly port: number },
  state: InstanceState, unsure: boolean,
): Instance {
  const { id, service, namespace, tags, createIndex, job } = registration
  return {
    id, service, namespace, host, port, tags, health: state.health, order: createIndex, where: whereOf(registration), job,
    ...(state.why === '' ? {} : { why: state.why, since: state.since }),
    ...(unsure ? { unsure: true } : {}),
    ...(isIP(host) === 0 ? { guarded: true } : {}),
  }
}

/** Where an operator finds it, with ids as Nomad's command line shortens them. */
export const whereOf = ({ job, allocation, node }: Registration): string => `job ${job}, allocation ${allocation.slice(0, 8)}, node ${node.slice(0, 8)}`
