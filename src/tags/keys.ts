// The one table of all `serai.*` keys: whom each concerns, and how its value is read, if it is built.

import type { HealthPolicy } from '#src/catalog/catalog.ts'
import type { BalancePolicy, RoutePolicy, UpstreamScheme } from '#src/snapshot.ts'
import { parseHost, parsePath, readList } from './match.ts'
import type { RoutePath } from './match.ts'
import { balancePolicy, boolean, duration, durationFrom, integer, listOf, NOT_BUILT, oneOf, percentage, probeMethod, probePath, probeService, statusRange, upgradeName } from './values.ts'
import type { Parse } from './values.ts'

type Writable<T> = { -readonly [Key in keyof T]: T[Key] }

/** What the tags of one instance say of its whole service; what is absent takes the default. */
export interface ServiceKeys {
  readonly enable?: boolean
  readonly weight?: number
  readonly scheme?: UpstreamScheme
  readonly balance?: BalancePolicy
  readonly serverName?: string
  readonly skipVerify?: boolean
  /** Of all of the service's traffic, for the instances that carry it together; per cent. */
  readonly share?: number
  readonly health?: HealthPolicy
  readonly probeType?: 'http' | 'grpc' | 'tcp'
  /** That gRPC's health service is asked for. */
  readonly probeService?: string
  readonly probePath?: string
  readonly probeMethod?: string
  readonly probeHost?: string
  readonly probePort?: number
  readonly probeStatus?: readonly string[]
  /** Milliseconds. */
  readonly probeInterval?: number
  readonly probeTimeout?: number
  readonly probeFailures?: number
  readonly probePasses?: number
}

/** What the tags of one router have said so far. */
export interface RouterSink {
  /** Undefined: no such tag; empty: none of it could be read. */
  hosts: string[] | undefined
  paths: RoutePath[] | undefined
  readonly policy: Partial<Writable<RoutePolicy>>
}

/** Puts a value where it belongs; returns the reasons for what it could not read. */
type Read<Sink> = (value: string, sink: Sink) => readonly string[]

export type TagKey = {
  /** Lower case; `x.*` stands for x and all keys below it. */
  readonly name: string
  /** Several tags of this key add up. */
  readonly repeats?: true
  /** It decides which requests the router takes. */
  readonly matches?: true
} & (
  | { readonly scope: 'router'; readonly read: Read<RouterSink> | 'later' }
  | { readonly scope: 'service'; readonly read: Read<Writable<ServiceKeys>> | 'later' }
)

const policy = <Field extends keyof RoutePolicy>(field: Field, parse: Parse<RoutePolicy[Field]>): Read<RouterSink> => (value, { policy }) => {
  const parsed = parse(value)
  if ('reason' in parsed) return [parsed.reason]
  policy[field] = parsed.value
  return []
}

const service = <Field extends keyof ServiceKeys>(field: Field, parse: Parse<NonNullable<ServiceKeys[Field]>>): Read<Writable<ServiceKeys>> =>
  (value, keys) => {
    const parsed = parse(value)
    if ('reason' in parsed) return [parsed.reason]
    keys[field] = parsed.value
    return []
  }

const hosts: Read<RouterSink> = (value, sink) => {
  const { values, reasons } = readList(value, parseHost)
  sink.hosts = [...(sink.hosts ?? []), ...values]
  return reasons
}

const paths: Read<RouterSink> = (value, sink) => {
  const { values, reasons } = readList(value, parsePath)
  sink.paths = [...(sink.paths ?? []), ...values]
  return reasons
}

// Whatever hosts a rule means, they are not all hosts.
const rule: Read<RouterSink> = (_, sink) => {
  sink.hosts ??= []
  return [NOT_BUILT]
}

const later = (scope: 'router' | 'service', names: string): TagKey[] => names.split(' ').map((name) => ({ name, scope, read: 'later' }))

/** Every key of DESIGN section 7. */
export const tagKeys: readonly TagKey[] = [
  { name: 'host', scope: 'router', repeats: true, matches: true, read: hosts },
  { name: 'path', scope: 'router', repeats: true, matches: true, read: paths },
  { name: 'rule', scope: 'router', matches: true, read: rule },
  { name: 'timeout.head', scope: 'router', read: policy('headTimeoutMs', duration('refused')) },
  { name: 'timeout.body', scope: 'router', read: policy('bodyTimeoutMs', duration('refused')) },
  { name: 'timeout.total', scope: 'router', read: policy('totalTimeoutMs', duration('no limit')) },
  { name: 'retry.attempts', scope: 'router', read: policy('retryAttempts', integer(0, 10)) },
  { name: 'retry.timeout', scope: 'router', read: policy('retryTimeoutMs', duration('refused')) },
  { name: 'eject.status', scope: 'router', read: policy('ejectStatuses', listOf(integer(400, 599))) },
  { name: 'upgrade', scope: 'router', read: policy('upgrades', listOf(upgradeName)) },
  { name: 'use', scope: 'router', repeats: true, read: 'later' },
  ...later('router', 'priority listeners tls rawpath redirect.* strip.* prepend.* rewrite.* request.header.* response.header.* allow.* deny.*'),
  ...later('router', 'auth.basic.* auth.forward.* ratelimit.* inflight.* maxbody.* compress.* cors.* hsts.* mirror.* errors.* buffer.*'),
  { name: 'enable', scope: 'service', read: service('enable', boolean) },
  { name: 'scheme', scope: 'service', read: service('scheme', oneOf(['http', 'https', 'h2c', 'h2', 'grpc', 'grpcs'], ['tcp'])) },
  { name: 'weight', scope: 'service', read: service('weight', integer(0, 1000)) },
  { name: 'balance', scope: 'service', read: service('balance', balancePolicy) },
  { name: 'upstream.tls.servername', scope: 'service', read: service('serverName', parseHost) },
  { name: 'upstream.tls.skipverify', scope: 'service', read: service('skipVerify', boolean) },
  { name: 'upstream.tls.ca', scope: 'service', read: () => ['tags may not name files: a private authority belongs in the configuration'] },
  { name: 'share', scope: 'service', read: service('share', percentage) },
  { name: 'health', scope: 'service', read: service('health', oneOf(['checks', 'probe', 'none'])) },
  { name: 'probe.type', scope: 'service', read: service('probeType', oneOf(['http', 'grpc', 'tcp'])) },
  { name: 'probe.service', scope: 'service', read: service('probeService', probeService) },
  { name: 'probe.path', scope: 'service', read: service('probePath', probePath) },
  { name: 'probe.method', scope: 'service', read: service('probeMethod', probeMethod) },
  { name: 'probe.host', scope: 'service', read: service('probeHost', parseHost) },
  { name: 'probe.port', scope: 'service', read: service('probePort', integer(1, 65535)) },
  { name: 'probe.status', scope: 'service', read: service('probeStatus', listOf(statusRange)) },
  { name: 'probe.interval', scope: 'service', read: service('probeInterval', durationFrom(1000)) },
  { name: 'probe.timeout', scope: 'service', read: service('probeTimeout', duration('refused')) },
  { name: 'probe.failures', scope: 'service', read: service('probeFailures', integer(1, 100)) },
  { name: 'probe.passes', scope: 'service', read: service('probePasses', integer(1, 100)) },
  ...later('service', 'sticky.* prefer connect upstream.proxyprotocol upstream.host'),
]

const exact = new Map(tagKeys.map((key) => [key.name.replace(/\.\*$/, ''), key]))
const families = tagKeys.filter((key) => key.name.endsWith('.*'))

/** The key of this (lower-case) name, or undefined. */
export const findKey = (name: string): TagKey | undefined => exact.get(name) ?? families.find((key) => name.startsWith(key.name.slice(0, -1)))

/** The names that a misspelt key is compared with. */
export const keyNames = (): Iterable<string> => exact.keys()
