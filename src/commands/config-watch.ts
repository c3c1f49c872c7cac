// Reading the config again: on SIGHUP, and when its file changes. A bad one keeps the running config and says so.
import { followFile } from '#src/catalog/followed-file.ts'
import type { LoadResult } from '#src/config/load.ts'
import { formatMistakes } from '#src/config/mistake.ts'
import type { App } from '#src/control/app.ts'

export interface ConfigWatchOptions {
  readonly app: App
  /** The config's file; undefined: only SIGHUP. */
  readonly file: string | undefined
  /** Loads the config as at the start: same file, environment and flags. */
  load(): LoadResult
  /** Log files are opened anew. */
  reopen(): void
  readonly log: { warn(message: string): void; info(fields: object, message: string): void }
}

const MAX_BYTES = 1024 * 1024

/** Follows until the signal aborts. One reading at a time, in order. */
export async function watchConfig({ app, file, load, reopen, log }: ConfigWatchOptions, signal: AbortSignal): Promise<void> {
  let running = Promise.resolve()
  const reload = (): void => {
    running = running.then(() => take(app, load))
  }
  const hangUp = (): void => {
    log.info({}, 'SIGHUP: log files are opened anew, the config is read again')
    reopen()
    reload()
  }
  process.on('SIGHUP', hangUp)
  try {
    if (file === undefined) await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    else await followChanges(file, reload, log, signal)
  } finally {
    process.off('SIGHUP', hangUp)
    await running
  }
}

async function followChanges(file: string, reload: () => void, log: ConfigWatchOptions['log'], signal: AbortSignal): Promise<void> {
  let before: string | undefined
  for await (const content of followFile({ path: file, maxBytes: MAX_BYTES, log }, signal)) {
    const now = content.kind === 'read' ? content.bytes.toString('latin1') : `not readable: ${content.reason}`
    // The first look finds what was loaded a moment ago.
    if (before !== undefined && now !== before) reload()
    before = now
  }
}

async function take(app: App, load: () => LoadResult): Promise<void> {
  const loaded = load()
  if (!loaded.ok) {
    app.configRefused(formatMistakes(loaded.mistakes))
    return
  }
  try {
    await app.reconfigure(loaded.config, loaded.source)
  } catch (error) {
    app.configRefused(error instanceof Error ? error.message : String(error))
  }
}
