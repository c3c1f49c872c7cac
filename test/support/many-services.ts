// As many services as a large cluster has, without a process for any: for what is promised at that size.
import type { Registry } from '#src/development/registry.ts'
import { makeJob } from './nomad-job.ts'
import { until } from './until.ts'

export interface ManyOptions {
  readonly services: number
  readonly instances: number
  /** Where all of them are: a server that listens on this port of 0.0.0.0, since each service has an address of its own in 127.0.0.0/8. */
  readonly port: number
}

/** Registers jobs `many-0`, `many-1`, … on hosts `many-N.example.org` and waits for their registrations. 5,000 with 3 instances take about 3 s. */
export async function runMany(nomad: Registry, options: ManyOptions): Promise<void> {
  for (let number = 0; number < options.services; number++) changeOne(nomad, number, 0, options)
  const wanted = options.services * options.instances
  await until(() => nomad.cluster.store.services.filter(({ JobID }) => JobID.startsWith('many-')).length === wanted, { deadline: 60_000, what: `${wanted} registrations` })
}

/** Gives one of them another tag: an update in place, registered anew. */
export function changeOne(nomad: Registry, number: number, version: number, { instances, port }: ManyOptions): void {
  const id = `many-${number}`
  const service = { Name: id, Provider: 'nomad', PortLabel: String(port), Address: `127.1.${number >> 8}.${number & 255}`, Tags: [`serai.host=${id}.example.org`, `version=${version}`] }
  nomad.run(makeJob(id, { mock: true, count: instances, group: { Networks: null, Services: [service], Update: { MaxParallel: 0 } } }))
}
