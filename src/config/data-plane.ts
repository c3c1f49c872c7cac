// What the config means to one data-plane thread: totals shared out among the workers.
import { hash, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { ClientPolicy, DataPlaneSettings, RoutePolicy } from '#src/snapshot.ts'
import type { Config } from './schema.ts'

/** The promise of DESIGN section 9: repeats add at most a fifth, and ten a second are always allowed, per service and process. */
const RETRY_RATIO = 0.2
const RETRY_FLOOR_PER_SECOND = 10

/** Used where the system does not say how many files may be open. */
const OPEN_FILES_UNKNOWN = 10_240

/**
 * The settings of one of `workers` workers. `via` is the process's pseudonym; `openFiles` the number of files (sockets too) that the process may have open.
 * Listeners come with the ports of the config; a port 0 is for the caller to fill in. Throws when a file of authorities cannot be used.
 */
export function toDataPlaneSettings(config: Config, workers: number, via: string, openFiles: number = openFileLimit()): DataPlaneSettings {
  const { client, tls, upstream, tunnel, limits, defaults, log } = config
  const each = (total: number): number => Math.ceil(total / workers)
  return {
    listeners: Object.entries(config.listeners).map(([name, { address, tls: speaksTls, redirect = 0, proxyProtocol, h2c }]) =>
      ({ name, host: address.host, port: address.port, tls: speaksTls, redirectPort: redirect, proxyProtocol, h2c })),
    trustedPeers: config.trust.forwarded,
    client: { headMs: client.headMs, bodyMs: client.bodyMs, keepAliveMs: client.keepAliveMs },
    tls: {
      handshakeMs: client.handshakeMs,
      minVersion: `TLSv${tls.minVersion}`,
      clients: tls.clients.map(({ hosts, mode, ca }, at) => clientPolicy(hosts, mode, readAuthorities(`tls.clients[${at}].ca`, ca))),
      hsts: tls.hsts === undefined ? '' : hstsValue(tls.hsts),
      tellFailures: log.level === 'debug',
    },
    upstream: {
      connectMs: upstream.connectMs, keepAliveMs: upstream.keepAliveMs, connections: upstream.connections,
      idle: upstream.idle, queue: upstream.queue, queueMs: upstream.queueTimeMs, dns: upstream.dns,
      allowAddresses: config.catalogs.nomad?.allowAddresses ?? [],
      ca: upstream.ca === undefined ? '' : readAuthorities('upstream.ca', upstream.ca),
    },
    tunnel: { idleMs: tunnel.idleMs, afterRemovalMs: tunnel.afterRemovalMs },
    limits: {
      headBytes: limits.headBytes,
      headers: limits.headers,
      connections: each(limits.connections === 'auto' ? connectionsFor(openFiles) : limits.connections),
      connectionsPerAddress: each(limits.connectionsPerAddress),
      exchanges: each(limits.exchanges),
    },
    eject: {
      failures: defaults.eject.failures, timeMs: defaults.eject.timeMs, slowStartMs: defaults.eject.slowStartMs, panic: defaults.eject.panic,
    },
    retryBudget: { ratio: RETRY_RATIO, floorPerSecond: RETRY_FLOOR_PER_SECOND / workers },
    accessLog: { enabled: log.access.target !== 'off', sample: log.access.sample },
    via,
  }
}

const clientPolicy = (hosts: readonly string[], mode: ClientPolicy['mode'], ca: string): ClientPolicy =>
  ({ id: `${mode}:${hash('sha256', ca).slice(0, 16)}`, hosts, mode, ca })

const hstsValue = ({ maxAgeMs, includeSubdomains, preload }: NonNullable<Config['tls']['hsts']>): string =>
  `max-age=${Math.floor(maxAgeMs / 1000)}${includeSubdomains ? '; includeSubDomains' : ''}${preload ? '; preload' : ''}`

/** What a route gets whose tags say nothing of it. */
export function defaultPolicy(config: Config): RoutePolicy {
  const { upstream, defaults } = config
  return {
    retryAttempts: defaults.retry.attempts,
    retryTimeoutMs: defaults.retry.timeoutMs,
    headTimeoutMs: upstream.headMs,
    bodyTimeoutMs: upstream.bodyMs,
    totalTimeoutMs: defaults.timeout.totalMs,
    upgrades: ['websocket'],
    ejectStatuses: defaults.eject.status,
  }
}

/** The file's text; throws a message for people when it holds no certificate. */
function readAuthorities(key: string, path: string): string {
  try {
    const pem = readFileSync(path, 'latin1')
    new X509Certificate(pem)
    return pem
  } catch (error) {
    throw new Error(`${key}: expected a PEM file of certificates at ${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

// A client connection may need one to an endpoint as well; a fifth is left for logs, catalogs and what is just closing.
const connectionsFor = (openFiles: number): number => Math.min(100_000, Math.max(64, Math.floor((openFiles * 0.8) / 2)))

/** How many files this process may have open (Node raises its own limit as far as it may when it starts). */
export function openFileLimit(): number {
  try {
    const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? []
    return soft === undefined ? OPEN_FILES_UNKNOWN : soft === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(soft)
  } catch {
    return OPEN_FILES_UNKNOWN
  }
}
