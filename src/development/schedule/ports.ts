// Which port an allocation gets: one of Nomad's range that no other allocation of the node has and nobody listens on.
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Random } from '#src/development/identifiers.ts'
import type { TaskGroup } from '#src/development/job/specification.ts'
import type { Node, Port } from '#src/development/state/rows.ts'

const FIRST = 20_000
const COUNT = 12_000

/** Ports for a group. `taken`: of the node. Where no task runs (`mock_driver`), nobody is asked whether the port is free. */
export async function choosePorts(group: TaskGroup, node: Node, taken: ReadonlySet<number>, random: Random): Promise<Port[]> {
  const chosen: Port[] = []
  const real = group.Tasks.some(({ Driver }) => Driver !== 'mock_driver')
  for (const { ReservedPorts = [], DynamicPorts = [] } of group.Networks ?? []) {
    for (const { Label, HostNetwork, Value = 0 } of ReservedPorts) chosen.push({ label: Label, hostNetwork: HostNetwork, address: addressOf(node, HostNetwork), value: Value, reserved: true })
    for (const { Label, HostNetwork } of DynamicPorts) {
      const address = addressOf(node, HostNetwork)
      const value = await freePort(address, new Set([...taken, ...chosen.map((port) => port.value)]), random, real)
      chosen.push({ label: Label, hostNetwork: HostNetwork, address, value, reserved: false })
    }
  }
  return chosen
}

/** A host network named `v6` is the node's IPv6 loopback, any other its one address. */
const addressOf = ({ address }: Node, hostNetwork: string): string => (hostNetwork === 'v6' ? '::1' : address)

async function freePort(address: string, taken: ReadonlySet<number>, random: Random, real: boolean): Promise<number> {
  for (let tries = 0; tries < COUNT; tries++) {
    const port = FIRST + Math.floor(random() * COUNT)
    if (!taken.has(port) && (!real || await isFree(address, port))) return port
  }
  throw new Error(`no port of ${FIRST} to ${FIRST + COUNT - 1} is free on ${address}`)
}

async function isFree(host: string, port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen({ host, port, exclusive: true })
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}
