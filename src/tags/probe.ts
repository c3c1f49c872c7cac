// What the `probe.*` keys of an instance make: its probe, and which of them that probe has no use for. Pure.
import type { ProbeSpec } from '#src/catalog/catalog.ts'
import { isHttp2, isSecure } from '#src/snapshot.ts'
import type { ServiceKeys } from './keys.ts'

type Kind = ProbeSpec['kind']

const kindNames: Readonly<Record<Kind, string>> = { http: 'an HTTP probe', grpc: 'a gRPC probe', tcp: 'a TCP probe' }

/** The keys that not every kind of probe has a use for. */
const bound: readonly { readonly name: string; readonly of: readonly Kind[]; readonly isGiven: (keys: ServiceKeys) => boolean }[] = [
  { name: 'probe.path', of: ['http'], isGiven: ({ probePath }) => probePath !== undefined },
  { name: 'probe.method', of: ['http'], isGiven: ({ probeMethod }) => probeMethod !== undefined },
  { name: 'probe.status', of: ['http'], isGiven: ({ probeStatus }) => probeStatus !== undefined },
  { name: 'probe.service', of: ['grpc'], isGiven: ({ probeService }) => probeService !== undefined },
  { name: 'probe.host', of: ['http', 'grpc'], isGiven: ({ probeHost }) => probeHost !== undefined },
]

/** Undefined: no tag asks for a probe. */
export function probeOf(keys: ServiceKeys): ProbeSpec | undefined {
  const { probeType, probeService, probePath, probeMethod, probeHost, probePort, probeStatus, probeInterval, probeTimeout, probeFailures, probePasses, scheme = 'http' } = keys
  if ([probeType, probeService, probePath, probeMethod, probeHost, probePort, probeStatus, probeInterval, probeTimeout, probeFailures, probePasses].every((value) => value === undefined)) return undefined
  const intervalMs = probeInterval ?? 10_000
  const pace = { port: probePort ?? 0, intervalMs, timeoutMs: Math.min(probeTimeout ?? 2000, intervalMs), failures: probeFailures ?? 2, passes: probePasses ?? 1 }
  const secure = isSecure(scheme)
  switch (kindOf(keys).kind) {
    case 'tcp': return { kind: 'tcp', ...pace }
    case 'grpc': return { kind: 'grpc', secure, authority: probeHost ?? '', service: probeService ?? '', ...pace }
    case 'http': return {
      kind: 'http', secure,
      // A port of its own is there for health alone: what gRPC's services have beside them speaks HTTP/1.1.
      http2: isHttp2(scheme) && probePort === undefined,
      method: probeMethod ?? 'GET',
      path: probePath ?? '/',
      headers: probeHost === undefined ? {} : { Host: [probeHost] },
      body: '',
      statuses: (probeStatus ?? ['200-399']).map((range) => [Number(range.slice(0, 3)), Number(range.slice(4))] as const),
      ...pace,
    }
  }
}

/** Keys that are given and that the probe has no use for, with the reason: whoever wrote them meant another probe. */
export function idleProbeKeys(keys: ServiceKeys): readonly { readonly name: string; readonly reason: string }[] {
  const { kind, by } = kindOf(keys)
  return bound.filter(({ of, isGiven }) => isGiven(keys) && !of.includes(kind))
    .map(({ name, of }) => ({ name, reason: `concerns ${of.map((each) => kindNames[each]).join(' or ')}, and this is ${kindNames[kind]} (${by})` }))
}

/** What its keys make it, and which of them does. */
function kindOf({ probeType, probePath, probeService, scheme }: ServiceKeys): { readonly kind: Kind; readonly by: string } {
  if (probeType !== undefined) return { kind: probeType, by: `probe.type=${probeType}` }
  if (probePath !== undefined) return { kind: 'http', by: 'probe.path is given' }
  if (probeService !== undefined) return { kind: 'grpc', by: 'probe.service is given' }
  if (scheme === 'grpc' || scheme === 'grpcs') return { kind: 'grpc', by: `scheme=${scheme}` }
  return { kind: 'tcp', by: 'neither probe.path nor probe.service is given' }
}
