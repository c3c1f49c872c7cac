// The access log's way out of the process: standard output, a file, or nowhere.
import { createLineSink } from './line-sink.ts'
import type { LineSink } from './line-sink.ts'
import { fileOutlet, standardOutlet } from './outlet.ts'

/** Unwritten access log that is kept before records are dropped and counted. */
export const MAX_PENDING_BYTES = 4 * 1024 * 1024

export interface AccessSinkLimits {
  readonly maxPendingBytes?: number
  /** Told once for each new reason why records are lost, e.g. a full disk. */
  readonly report?: (reason: string) => void
}

/**
 * Opens the access log. A file is appended to (mode 0640) and opened anew on `reopen()` and after it was renamed or removed.
 * Throws, naming the file, when it cannot be opened.
 */
export function createAccessSink(target: 'stdout' | 'off' | (string & {}), limits: AccessSinkLimits = {}): LineSink {
  if (target === 'off') return nowhere
  const { maxPendingBytes = MAX_PENDING_BYTES, report } = limits
  try {
    const outlet = target === 'stdout' ? standardOutlet(1) : fileOutlet(target)
    return createLineSink(outlet, { maxPendingBytes, ...(report && { report }) })
  } catch (error) {
    throw new Error(`log.access.target: cannot open ${target}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

const nowhere: LineSink = {
  pendingBytes: 0,
  dropped: 0,
  write(_batch, _records, used) {
    used?.()
  },
  reopen() {},
  async drained() {},
  async close() {},
}
