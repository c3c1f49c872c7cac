// Settles what the instances of one service say about the whole of it: scheme, TLS and balancing.

import type { Problem } from '#src/catalog/catalog.ts'
import type { Service, ServiceKey } from '#src/snapshot.ts'
import type { Carrier } from './carriers.ts'
import type { AssembleOptions } from './tag-cache.ts'

export type ServiceSettings = Pick<Service, 'scheme' | 'tls' | 'balance'>

/** The newest ready instance decides; where others differ, it is a problem. `carriers` are sorted, the newest first. */
export function settleServiceKeys(
  service: ServiceKey, carriers: readonly Carrier[], { prefix, defaultBalance }: AssembleOptions, tell: (problem: Problem) => void,
): ServiceSettings {
  // An instance whose routers all refuse gets no requests, so it has no say in how they are sent.
  const sound = carriers.filter(({ tags }) => tags.routers.some(({ refuse }) => refuse === ''))
  const ready = sound.filter((carrier) => carrier.ready)
  const voters = ready.length > 0 ? ready : sound
  const settle = <Value>(key: string, valueOf: (carrier: Carrier) => Value, otherwise: Value): Value => {
    const [newest, ...others] = voters
    if (newest === undefined) return otherwise
    const value = valueOf(newest)
    const differing = others.find((carrier) => valueOf(carrier) !== value)
    if (differing !== undefined) {
      const reason = `instances differ: ${String(value)} is used, as the newest ready one says (${newest.instance.where})`
      tell({ service, router: '', tag: `${prefix}.${key}=${String(valueOf(differing))}`, reason, where: differing.instance.where })
    }
    return value
  }
  return {
    scheme: settle('scheme', ({ tags }) => tags.service.scheme ?? 'http', 'http'),
    tls: {
      serverName: settle('upstream.tls.servername', ({ tags }) => tags.service.serverName ?? '', ''),
      ca: '',
      skipVerify: settle('upstream.tls.skipverify', ({ tags }) => tags.service.skipVerify ?? false, false),
    },
    balance: settle('balance', ({ tags }) => tags.service.balance ?? defaultBalance, defaultBalance),
  }
}
