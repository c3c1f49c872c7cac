// The file catalog: services that an operator wrote down, read again whenever the file changes.

import { basename, dirname } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Catalog, Reading } from './catalog.ts'
import { DirectoryWatch } from './directory-watch.ts'
import type { Watch } from './directory-watch.ts'
import { failed, readServicesFile } from './services-file.ts'
import { WatchedFile } from './watched-file.ts'

const MAX_BYTES = 16 * 1_048_576
/** A file that is written without pause is read as it is after so many looks. */
const MAX_PATIENCE = 25

export interface FileCatalogOptions {
  readonly path: string
  /** Hears once if the system gives no notice of changes. */
  readonly log?: { warn(message: string): void }
  /** How often the file is looked at without a notice: links to other directories and network file systems give none. */
  readonly pollMs?: number
  /** How long a file must have been left alone before it is read. */
  readonly debounceMs?: number
  readonly watch?: Watch
}

/** The catalog `file`: readings of a services file (DESIGN section 13), a new one for each change of what it says. */
export function createFileCatalog(options: FileCatalogOptions): Catalog {
  return { name: 'file', readings: (signal) => readings(options, signal) }
}

async function* readings({ path, log, pollMs = 5000, debounceMs = 20, watch }: FileCatalogOptions, signal: AbortSignal): AsyncGenerator<Reading, void, undefined> {
  const bell = createBell(signal)
  const file = new WatchedFile(path, { maxBytes: MAX_BYTES, settleMs: debounceMs })
  let force = false
  // The directory is watched, not the file: a notice on a file ends with its first replacement.
  using directory = new DirectoryWatch(dirname(path), (name) => {
    force ||= name === null || name === basename(path)
    bell.ring()
  }, ({ message }) => log?.warn(`${path}: changes are noticed only every ${pollMs} ms, because its directory cannot be watched: ${message}`), watch)

  let given: Reading | undefined
  let bytes: Buffer | undefined
  let parsed: Reading | undefined
  for (let patience = MAX_PATIENCE; !signal.aborted;) {
    await directory.renew()
    const forced: boolean = force
    force = false
    const content = await file.look({ force: forced, patient: patience > 0 })
    if (content.kind === 'settling') {
      force ||= forced
      patience--
      await bell.pause(content.waitMs)
      continue
    }
    patience = MAX_PATIENCE
    let reading = given
    if (content.kind === 'failed') reading = failed(content.reason, path)
    else if (content.kind === 'read') {
      if (parsed === undefined || bytes?.equals(content.bytes) !== true) parsed = readServicesFile(content.bytes, path)
      bytes = content.bytes
      reading = parsed
    }
    if (reading !== undefined && !signal.aborted && !isDeepStrictEqual(reading, given)) yield (given = reading)
    await bell.wait(pollMs)
  }
}

interface Bell {
  ring(): void
  /** Until the bell rings (or has rung since the last wait), `ms` have passed or the signal aborts. */
  wait(ms: number): Promise<void>
  /** Until `ms` have passed or the signal aborts, whatever rings. */
  pause(ms: number): Promise<void>
}

function createBell(signal: AbortSignal): Bell {
  let rung = false
  let wake: (() => void) | undefined
  const rest = (ms: number, listen: boolean): Promise<void> => new Promise((resolve) => {
    const done = (): void => {
      wake = undefined
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, signal.aborted ? 0 : ms)
    signal.addEventListener('abort', done, { once: true })
    if (listen) wake = done
  })
  return {
    ring() {
      rung = true
      wake?.()
    },
    async wait(ms) {
      if (!rung) await rest(ms, true)
      rung = false
    },
    pause: (ms) => rest(ms, false),
  }
}
