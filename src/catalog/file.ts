// The file catalog: services that an operator wrote down, read again whenever the file changes.

import { isDeepStrictEqual } from 'node:util'
import type { Catalog, Reading } from './catalog.ts'
import { followFile } from './followed-file.ts'
import type { FollowOptions } from './followed-file.ts'
import { failed, readServicesFile } from './services-file.ts'

/** Twenty times what 5,000 services take; what is larger is read on the main thread for too long. */
const MAX_BYTES = 4 * 1_048_576

export type FileCatalogOptions = Omit<FollowOptions, 'maxBytes'>

/** The catalog `file`: readings of a services file (DESIGN section 13), a new one for each change of what it says. */
export function createFileCatalog(options: FileCatalogOptions): Catalog {
  return { name: 'file', reusesAddresses: false, readings: (signal) => readings(options, signal) }
}

async function* readings(options: FileCatalogOptions, signal: AbortSignal): AsyncGenerator<Reading, void, undefined> {
  let given: Reading | undefined
  let bytes: Buffer | undefined
  let parsed: Reading | undefined
  for await (const content of followFile({ ...options, maxBytes: MAX_BYTES }, signal)) {
    let reading: Reading
    if (content.kind === 'failed') reading = failed(content.reason, options.path)
    else {
      if (parsed === undefined || bytes?.equals(content.bytes) !== true) parsed = readServicesFile(content.bytes, options.path)
      bytes = content.bytes
      reading = parsed
    }
    if (!isDeepStrictEqual(reading, given)) yield (given = reading)
  }
}
