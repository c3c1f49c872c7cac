// `serai run`: the program itself, from a config to an orderly end.
import { startAdminServer, startHealthServer, type AdminServer } from '#src/admin/server.ts'
import { explain } from '#src/admin/explain.ts'
import type { Subject } from '#src/admin/subject.ts'
import { formatAddress } from '#src/config/address.ts'
import { loadConfig, type LoadResult } from '#src/config/load.ts'
import { formatMistakes } from '#src/config/mistake.ts'
import type { Config } from '#src/config/schema.ts'
import { App } from '#src/control/app.ts'
import { workerCount } from '#src/control/worker-count.ts'
import { createAccessSink } from '#src/observe/access-sink.ts'
import type { LineSink } from '#src/observe/line-sink.ts'
import { createLogger } from '#src/observe/log.ts'
import { HangUps, watchConfig } from './config-watch.ts'
import { parseArguments, UsageError, type Command, type CommandIo } from './command.ts'

export const command: Command = {
  name: 'run',
  summary: 'serve requests',
  usage: [
    'serai run [--config FILE] [--KEY VALUE …]', '',
    '  --config    the config file (SERAI_CONFIG, then ./serai.yaml, then defaults)',
    '  --KEY       any key of the config, such as --listeners.http.address=:8080 or --workers=2 (docs/config.md)',
  ].join('\n'),
  run,
}

async function run(argv: readonly string[], io: CommandIo): Promise<number> {
  const { values, positionals, config: flags } = parseArguments(argv, { config: { type: 'string' } }, true)
  const hangUps = new HangUps()
  if (positionals.length > 0) throw new UsageError(`takes no argument: ${JSON.stringify(positionals[0])}`)
  const file = values['config']
  const load = (): LoadResult => loadConfig({
    env: io.env, flags,
    ...(typeof file === 'string' ? { file } : {}),
    // Nobody balances over a terminal: Ctrl-C need not wait for anybody to look away.
    ...(isTerminal(io.stderr) ? { defaults: { 'stop.lameDuck': '0' } } : {}),
  })
  const loaded = load()
  if (!loaded.ok) {
    io.stderr.write(`${formatMistakes(loaded.mistakes)}\n`)
    return 2
  }
  return await runWith(loaded.config, io, { source: loaded.source, hangUps, load })
}

const isTerminal = (stream: NodeJS.WritableStream): boolean => 'isTTY' in stream && stream.isTTY === true

/** Where a config came from, and how to read it again. */
export interface ConfigOrigin {
  /** The file; undefined for defaults. */
  readonly source: string | undefined
  readonly hangUps: HangUps
  load(): LoadResult
}

/** Serves with this config until `io.signal` aborts. Returns the exit code: 0, or 1 when it could not start. */
export async function runWith(config: Config, io: CommandIo, origin?: ConfigOrigin): Promise<number> {
  const log = createLogger({ level: config.log.level })
  const flushed = (): Promise<void> => new Promise((resolve) => log.flush(() => resolve()))
  const servers: AdminServer[] = []
  let access: LineSink
  let app: App | undefined
  try {
    access = createAccessSink(config.log.access.target, { report: (reason) => log.warn({ reason }, 'access-log records are lost') })
    app = await App.start({ config, source: origin?.source, workers: workerCount(config.workers), log, access, env: io.env })
    const onError = (error: unknown): void => log.error({ error }, 'an answer of the admin server could not be made')
    const subject = subjectOf(app)
    const { address, token, tokenFile } = config.admin
    servers.push(await startAdminServer({ address, subject, onError, ...(token === undefined ? {} : { token }), ...(tokenFile === undefined ? {} : { tokenFile }) }))
    if (config.health !== undefined) servers.push(await startHealthServer({ address: config.health.address, subject, onError }))
  } catch (error) {
    log.fatal({ reason: error instanceof Error ? error.message : String(error) }, 'cannot start')
    await Promise.all(servers.map((server) => server.close()))
    await app?.stop({ atOnce: true })
    await flushed()
    return 1
  }
  const [admin, health] = servers
  log.info({
    listeners: Object.fromEntries(app.listeners.map((listener) => [listener.name, formatAddress(listener)])),
    admin: admin?.address,
    ...(health === undefined ? {} : { health: health.address }),
  }, 'serving')
  const ending = new AbortController()
  const watching = origin === undefined ? undefined
    : watchConfig({ app, hangUps: origin.hangUps, file: origin.source, load: () => origin.load(), reopen: () => access.reopen(), log }, ending.signal)
  await aborted(io.signal)
  await app.stop()
  ending.abort()
  await watching
  await Promise.all(servers.map((server) => server.close()))
  await flushed()
  return 0
}

/** The running program as the admin server sees it. */
function subjectOf(app: App): Subject {
  const subject: Subject = {
    status: () => app.status(),
    readiness: () => app.readiness(),
    routes: () => app.routes(),
    services: () => app.services(),
    problems: () => app.problems(),
    certificates: () => app.certificates(),
    metrics: () => app.metrics(),
    explain: (question) => {
      const { complete, listeners } = app.status()
      return explain({ complete, listeners, routes: app.routes(), services: app.services(), problems: app.problems(), certificates: app.certificates() }, question)
    },
  }
  return subject
}

const aborted = (signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve) => {
    if (signal?.aborted === true) resolve()
    else signal?.addEventListener('abort', () => resolve(), { once: true })
  })
