// Nodes in the form of the API, key for key as Nomad 2.0 was recorded.
import { toTimestamp } from '#src/development/clock.ts'
import type { Node } from './rows.ts'

/** The version that nodes say they run: what the registry was recorded from. */
export const VERSION = '2.0.6-dev'

/** `/v1/node/:id`. */
export function nodeJson(node: Node): object {
  const { id, name, address, httpAddress, datacenter, status, eligible, draining, registeredAt, createIndex, modifyIndex } = node
  return {
    ID: id, SecretID: '', Datacenter: datacenter, Name: name, CgroupParent: 'nomad.slice', HTTPAddr: httpAddress, TLSEnabled: false,
    Attributes: {
      'kernel.name': 'linux', 'cpu.arch': 'amd64', 'driver.raw_exec': '1', 'driver.mock_driver': '1', 'nomad.service_discovery': 'true', 'nomad.version': VERSION,
      'unique.hostname': name, 'unique.network.ip-address': address, 'unique.advertise.address': httpAddress,
    },
    NodeResources: nodeResources(address),
    ReservedResources: { Cpu: { CpuShares: 0, ReservedCpuCores: null }, Memory: { MemoryMB: 0 }, Disk: { DiskMB: 0 }, Networks: { ReservedHostPorts: '' } },
    Links: {}, Meta: {}, NodeClass: '', NodePool: 'default', NodeMaxAllocs: 0, ComputedClass: 'v1:1762814569886482953', Drain: draining, DrainStrategy: null,
    SchedulingEligibility: eligibility(eligible), Status: status, StatusDescription: '', StatusUpdatedAt: Math.floor(registeredAt / 1000),
    Events: [{ Message: 'Node registered', Subsystem: 'Cluster', Details: null, Timestamp: toTimestamp(registeredAt), CreateIndex: 0 }],
    Drivers: driversJson(registeredAt), HostVolumes: {}, HostNetworks: null, LastDrain: null, LastMissedHeartbeatIndex: 0, LastAllocUpdateIndex: modifyIndex,
    IdentitySigningKeyID: '17e318f2-9509-fe2b-c945-f45ff073a21b', CSIControllerPlugins: {}, CSINodePlugins: {}, GCVolumesOnNodeGC: false, CreateIndex: createIndex, ModifyIndex: modifyIndex,
  }
}

/** An element of `/v1/nodes`. */
export function nodeStubJson({ id, name, address, datacenter, status, eligible, draining, registeredAt, createIndex, modifyIndex }: Node): object {
  return {
    Address: address, ID: id, Datacenter: datacenter, Name: name, NodeClass: '', NodePool: 'default', Version: VERSION, Drain: draining, SchedulingEligibility: eligibility(eligible),
    Status: status, StatusDescription: '', Drivers: driversJson(registeredAt), HostVolumes: {}, LastDrain: null, CreateIndex: createIndex, ModifyIndex: modifyIndex,
  }
}

const eligibility = (eligible: boolean): string => (eligible ? 'eligible' : 'ineligible')

function driversJson(registeredAt: number): object {
  const healthy = (driver: string): object => ({
    Attributes: { [`driver.${driver}`]: 'true' }, Detected: true, Healthy: true, HealthDescription: 'Healthy', UpdateTime: toTimestamp(registeredAt),
  })
  return { raw_exec: healthy('raw_exec'), mock_driver: healthy('mock_driver') }
}

function nodeResources(address: string): object {
  const core = (id: number): object => ({ SocketID: 0, NodeID: 0, ID: id, Grade: true, Disable: false, BaseSpeed: 2596, MaxSpeed: 0, GuessSpeed: 0 })
  const alias = (family: string, each: string): object => ({ Family: family, Alias: 'default', Address: each, ReservedPorts: '', Gateway: '' })
  return {
    Cpu: { CpuShares: 5192, TotalCpuCores: 2, ReservableCpuCores: [0, 1] },
    Memory: { MemoryMB: 24105 },
    Disk: { DiskMB: 258019 },
    Networks: [{ Mode: 'bridge' }, { Mode: 'host', Device: 'lo', CIDR: `${address}/32`, IP: address, MBits: 1000 }, { Mode: 'host', Device: 'lo', CIDR: '::1/128', IP: '::1', MBits: 1000 }],
    NodeNetworks: [
      { Mode: 'bridge', Device: '', MacAddress: '', Speed: 0, Addresses: null },
      { Mode: 'host', Device: 'lo', MacAddress: '', Speed: 1000, Addresses: [alias('ipv4', address), alias('ipv6', '::1')] },
    ],
    Devices: null,
    MinDynamicPort: 20000,
    MaxDynamicPort: 32000,
    Processors: { Topology: { Distances: null, Cores: [core(0), core(1)], OverrideTotalCompute: 0, OverrideWitholdCompute: 0 } },
  }
}
