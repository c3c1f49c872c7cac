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

/** The keys that differ from what is in force and need a restart. */
export const needRestart = (running: Config, asked: Config): string[] =>
  Object.entries(parts).filter(([, read]) => !sameData(read(running), read(asked))).map(([name]) => name)

/** What is in force after a reload: as asked, but for what only a restart changes. */
export function keepRestartOnly({ workers, admin, health, catalogs, state, log }: Config, asked: Config): Config {
  return { ...asked, workers, admin, health, catalogs, state, log: { ...asked.log, access: { ...asked.log.access, target: log.access.target } } }
}
