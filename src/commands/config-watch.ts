// Reading the config again: on SIGHUP, and when its file changes. A bad one keeps the running config and says so.
import { followFile } from '#src/catalog/followed-file.ts'
import type { LoadResult } from '#src/config/load.ts'
import { formatMistakes } from '#src/config/mistake.ts'
import type { App } from '#src/control/app.ts'

export interface ConfigWatchOptions {
  readonly app: App
  readonly hangUps: HangUps
  /** The config's file; undefined: only SIGHUP. */
  readonly file: string | undefined
  /** Loads the config as at the start: same file, environment and flags. */
  load(): LoadResult
  /** Log files are opened anew. */
  reopen(): void
  readonly log: { warn(message: string): void; info(fields: object, message: string): void }
}

const MAX_BYTES = 1024 * 1024

/** SIGHUP, from the first moment to the last: unheard it would end the process, and whoever rotates logs or renders the config cannot know when. */
export class HangUps {
  #waiting = false
  #heard: (() => void) | undefined

  /** Once for the process, which hears them until it ends. */
  constructor() {
    process.on('SIGHUP', () => {
      if (this.#heard === undefined) this.#waiting = true
      else this.#heard()
    })
  }

  /** Told of each from now on, and at once if there has been one. */
  hear(heard: () => void): void {
    this.#heard = heard
    if (this.#waiting) heard()
  }
}

/** Follows until the signal aborts. One reading at a time, in order. */
export async function watchConfig({ app, hangUps, file, load, reopen, log }: ConfigWatchOptions, signal: AbortSignal): Promise<void> {
  let running = Promise.resolve()
  const reload = (always: boolean): void => {
    running = running.then(() => take(app, load, always))
  }
  hangUps.hear(() => {
    log.info({}, 'SIGHUP: log files are opened anew, the config is read again')
    reopen()
    reload(true)
  })
  if (file === undefined) await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  else await followChanges(file, () => reload(false), log, signal)
  await running
}

/** The first look counts as a change too: the file may be another than the one that was loaded a moment ago. */
async function followChanges(file: string, changed: () => void, log: ConfigWatchOptions['log'], signal: AbortSignal): Promise<void> {
  let before: string | undefined
  for await (const content of followFile({ path: file, maxBytes: MAX_BYTES, log }, signal)) {
    const now = content.kind === 'read' ? content.bytes.toString('latin1') : `not readable: ${content.reason}`
    if (now !== before) changed()
    before = now
  }
}

/** `always`: somebody asked for it and waits for an answer in the log; else a config that says what is in force is nothing to talk about. */
async function take(app: App, load: () => LoadResult, always: boolean): Promise<void> {
  const loaded = load()
  if (!loaded.ok) {
    app.configRefused(formatMistakes(loaded.mistakes))
    return
  }
  if (!always && app.runs(loaded.config)) return
  try {
    await app.reconfigure(loaded.config, loaded.source)
  } catch (error) {
    app.configRefused(error instanceof Error ? error.message : String(error))
  }
}
