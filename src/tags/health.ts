// What tags say of an instance's health, for the catalog that follows it: its policy and its probe. Pure, but for what it remembers.
import { isSecure } from '#src/snapshot.ts'
import type { HealthKeys, ProbeSpec } from '#src/catalog/catalog.ts'
import type { ServiceKeys } from './keys.ts'
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

/** Undefined: no tag asks for a probe. */
export function probeOf(keys: ServiceKeys): ProbeSpec | undefined {
  const { probeType, probePath, probeMethod, probeHost, probePort, probeStatus, probeInterval, probeTimeout, probeFailures, probePasses, scheme = 'http' } = keys
  if ([probeType, probePath, probeMethod, probeHost, probePort, probeStatus, probeInterval, probeTimeout, probeFailures, probePasses].every((value) => value === undefined)) return undefined
  const intervalMs = probeInterval ?? 10_000
  return {
    kind: probeType ?? (probePath === undefined ? 'tcp' : 'http'),
    port: probePort ?? 0,
    https: isSecure(scheme),
    method: probeMethod ?? 'GET',
    path: probePath ?? '/',
    headers: probeHost === undefined ? {} : { Host: [probeHost] },
    body: '',
    statuses: (probeStatus ?? ['200-399']).map((range) => [Number(range.slice(0, 3)), Number(range.slice(4))] as const),
    intervalMs,
    timeoutMs: Math.min(probeTimeout ?? 2000, intervalMs),
    failures: probeFailures ?? 2,
    passes: probePasses ?? 1,
  }
}
