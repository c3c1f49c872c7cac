// Which parts of the config a reload cannot change: they keep their value until the next start (the table in docs/config.md).
import type { Config } from '#src/config/schema.ts'
import { sameData } from './diff.ts'

/** `log` only as to where records go: its level and sampling follow a reload. */
const parts = {
  workers: (config: Config): unknown => config.workers,
  admin: (config: Config): unknown => config.admin,
  health: (config: Config): unknown => config.health,
  catalogs: (config: Config): unknown => config.catalogs,
  state: (config: Config): unknown => config.state,
  'log.access.target': (config: Config): unknown => config.log.access.target,
} as const

/** The keys that differ and need a restart. */
export const needRestart = (before: Config, after: Config): string[] =>
  Object.entries(parts).filter(([, read]) => !sameData(read(before), read(after))).map(([name]) => name)

/** The values that stay. */
export const pickRestartOnly = ({ workers, admin, health, catalogs, state }: Config): Pick<Config, 'workers' | 'admin' | 'health' | 'catalogs' | 'state'> =>
  ({ workers, admin, health, catalogs, state })
