// What `routes` and `explain` show without a running Serai: the tables that a config and its services file would make.
import { readFile } from 'node:fs/promises'
import { readServicesFile } from '#src/catalog/services-file.ts'
import { loadConfig } from '#src/config/load.ts'
import { formatMistakes } from '#src/config/mistake.ts'
import type { Config } from '#src/config/schema.ts'
import { assemble } from '#src/control/assemble.ts'
import { assemblyOptions } from '#src/control/assembly-options.ts'
import { TlsControl, type CertificateRow } from '#src/control/tls-control.ts'
import { standingsOf, waitingOf } from '#src/control/standings.ts'
import { listenerView, routeViews, serviceViews } from '#src/control/views.ts'
import type { Service } from '#src/snapshot.ts'
import type { ExplainedView } from '#src/admin/explain.ts'
import type { CommandIo } from './command.ts'
import { NoAnswer } from './ask-admin.ts'

/** The certificates that a config names, as their files are now. Throws NoAnswer when the config cannot be read. */
export async function offlineCertificates(file: string, env: CommandIo['env']): Promise<CertificateRow[]> {
  const loaded = loadConfig({ file, env })
  if (!loaded.ok) throw new NoAnswer(formatMistakes(loaded.mistakes))
  return (await certificatesOf(loaded.config)).views()
}

async function certificatesOf(config: Config): Promise<TlsControl> {
  const nobody = (): void => undefined
  const tls = new TlsControl({ tell: nobody, log: { info: nobody, warn: nobody, error: nobody } })
  await tls.configure(config)
  return tls
}

/** The view of a config's file catalog as it is now. Throws NoAnswer when config or services file cannot be read. */
export async function offlineView(file: string, env: CommandIo['env']): Promise<ExplainedView> {
  // Flags of the command are not the program's, and neither is SERAI_ADMIN_TOKEN: only what names config keys counts.
  const loaded = loadConfig({ file, env })
  if (!loaded.ok) throw new NoAnswer(formatMistakes(loaded.mistakes))
  const { config } = loaded
  const catalog = config.catalogs.file
  if (catalog === undefined) throw new NoAnswer(`${file} has no catalogs.file: without a running Serai only a file catalog can be shown`)
  const bytes = await readFile(catalog.path).catch((error: unknown) => {
    throw new NoAnswer(`catalogs.file.path: ${catalog.path} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  })
  const reading = readServicesFile(bytes, catalog.path)
  if (reading.kind === 'failed') throw new NoAnswer(reading.problems.map(({ reason, where }) => `${where}: ${reason}`).join('\n'))
  const listeners = Object.entries(config.listeners).map(([name, { address, tls, redirect }]) => ({ name, ...address, tls, redirectPort: redirect ?? 0 }))
  const { services, problems, memory } = assemble({ readings: new Map([['file', reading]]), previous: undefined, now: 0, options: assemblyOptions(config, listeners) })
  const tls = await certificatesOf(config)
  const placed = new Map([...services].map(([key, service]): [string, Service] => [key, { ...service, slot: 0 }]))
  const snapshot = { revision: 0, complete: true, services: placed }
  return {
    complete: true,
    listeners: listeners.map(listenerView),
    routes: routeViews(snapshot, waitingOf(memory.drafts)),
    services: serviceViews({ snapshot, standings: standingsOf(memory.drafts), now: Date.now() }),
    problems: [...problems, ...tls.problems()],
    certificates: tls.views(),
  }
}
