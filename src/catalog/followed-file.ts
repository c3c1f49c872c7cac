// One file as a stream of its contents: noticed by watching its directory, found by a slow poll at the latest.

import { basename, dirname } from 'node:path'
import { DirectoryWatch } from './directory-watch.ts'
import type { Watch } from './directory-watch.ts'
import { WatchedFile } from './watched-file.ts'
import type { Content } from './watched-file.ts'

/** A file that is written without pause is read as it is after so many looks. */
const MAX_PATIENCE = 25

export interface FollowOptions {
  readonly path: string
  readonly maxBytes: number
  /** Hears once if the system gives no notice of changes. */
  readonly log?: { warn(message: string): void }
  /** How often the file is looked at without a notice: links to other directories and network file systems give none. */
  readonly pollMs?: number
  /** How long a file must have been left alone before it is read. */
  readonly debounceMs?: number
  readonly watch?: Watch
}

/** What the file holds, or why it cannot be read: the first at once, further ones when it may have changed. Ends with the signal; never throws. */
export async function* followFile(
  { path, maxBytes, log, pollMs = 5000, debounceMs = 20, watch }: FollowOptions, signal: AbortSignal,
): AsyncGenerator<Extract<Content, { kind: 'read' | 'failed' }>, void, undefined> {
  const bell = createBell(signal)
  const file = new WatchedFile(path, { maxBytes, settleMs: debounceMs })
  let force = false
  // The directory is watched, not the file: a notice on a file ends with its first replacement.
  using directory = new DirectoryWatch(dirname(path), (name) => {
    force ||= name === null || name === basename(path)
    bell.ring()
  }, ({ message }) => log?.warn(`${path}: changes are noticed only every ${pollMs} ms, because its directory cannot be watched: ${message}`), watch)

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
    if (content.kind !== 'unchanged' && !signal.aborted) yield content
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
