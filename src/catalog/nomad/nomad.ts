// The catalog `nomad`: Nomad's own service discovery as readings.
import type { Catalog, Reading } from '#src/catalog/catalog.ts'
import { readJob } from './check-definition.ts'
import { NomadWatch } from './nomad-watch.ts'
import type { NomadCatalogOptions } from './nomad-watch.ts'

/** Readings of all instances whose service has a tag that matters, a new one for each change; see docs/nomad.md. */
export function createNomadCatalog(options: NomadCatalogOptions): Catalog {
  const { client } = options
  // What is told of it is what the last follower sees: the program has one.
  const last: { watch: NomadWatch | undefined } = { watch: undefined }
  return {
    name: 'nomad',
    reusesAddresses: true,
    async *readings(signal): AsyncGenerator<Reading, void, undefined> {
      if (signal.aborted) return
      const watch = new NomadWatch(options, signal)
      last.watch = watch
      yield* watch.readings()
    },
    report: () => ({ confirmedAt: last.watch?.confirmedAt, listed: last.watch?.listed ?? 0, errors: last.watch?.errors ?? 0, calls: client.counts }),
    suspect: (host, port) => { last.watch?.suspect(host, port) },
    async jobAge(namespace, job, signal) {
      const result = await client.get({ call: 'job', path: `/v1/job/${encodeURIComponent(job)}`, query: { namespace }, stale: true }, signal)
      return result.ok ? readJob(result.body)?.createIndex : undefined
    },
  }
}
