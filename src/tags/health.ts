// What tags say of an instance's health, for the catalog that follows it: its policy and its probe. Pure, but for what it remembers.
import type { HealthKeys } from '#src/catalog/catalog.ts'
import type { ServiceKeys } from './keys.ts'
import { probeOf } from './probe.ts'
import { readSeraiTags } from './serai.ts'

const MAX_REMEMBERED = 10_000

/** Reads tags under a prefix; most instances carry the same as another. */
export function healthKeys(prefix: string): (tags: readonly string[]) => HealthKeys {
  const known = new Map<string, HealthKeys>()
  return (tags) => {
    const id = JSON.stringify(tags)
    let keys = known.get(id)
    if (keys === undefined) {
      if (known.size >= MAX_REMEMBERED) known.clear()
      known.set(id, (keys = healthOf(readSeraiTags(tags, prefix, { defaultHost: '' }).service)))
    }
    return keys
  }
}

function healthOf(keys: ServiceKeys): HealthKeys {
  const probe = probeOf(keys)
  return { ...(keys.health === undefined ? {} : { health: keys.health }), ...(probe === undefined ? {} : { probe }) }
}
