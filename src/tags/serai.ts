// Reads the `serai.*` tags of one instance: its routers, its service's keys, and what is wrong with them. Pure.

import { nearest } from '#src/config/nearest.ts'
import type { RouteMatch, RoutePolicy } from '#src/snapshot.ts'
import { findKey, keyNames } from './keys.ts'
import type { RouterSink, ServiceKeys, TagKey } from './keys.ts'
import { parseHost } from './match.ts'
import { idleProbeKeys } from './probe.ts'
import { NOT_BUILT } from './values.ts'

/** One router as one instance's tags describe it. */
export interface RouterDraft {
  readonly name: string
  /** The product of its hosts and paths: sorted, at least one. */
  readonly matches: readonly RouteMatch[]
  /** What the tags set; the rest takes the defaults. */
  readonly policy: Partial<RoutePolicy>
  /** `problem`: it keeps its requests and answers them 503, because something in its tags was not understood. */
  readonly refuse: '' | 'problem'
}

/** Something in the tags that was not understood. */
export interface TagProblem {
  /** The router that it takes out of service; '' for all of the instance's. */
  readonly router: string
  /** As written, at most 200 characters; '' when it is about what is missing. */
  readonly tag: string
  readonly reason: string
}

export interface SeraiTags {
  /** False without any tag under the prefix, and with `enable=false`. */
  readonly enabled: boolean
  /** Sorted by name. A router whose requests cannot be told is not among them. */
  readonly routers: readonly RouterDraft[]
  readonly service: ServiceKeys
  readonly problems: readonly TagProblem[]
}

/** Tags are anybody's input: more combinations of host and path than this are refused. */
const MAX_MATCHES = 1000
const MAX_SHOWN = 200
const DEFAULT = 'default'

/** One tag under the prefix, taken apart. */
interface Tag {
  readonly written: string
  readonly router: string
  readonly named: boolean
  readonly key: string
  readonly value: string | undefined
}

type Complaint = Omit<TagProblem, 'router'>

interface Sink extends RouterSink {
  refuse: boolean
  /** A tag says which requests it takes, readable or not. */
  matches: boolean
}

/**
 * What the tags of one instance ask for. The order of tags has no influence.
 * `defaultHost` is the host of a service that names none ('' if none is configured).
 */
export function readSeraiTags(tags: readonly string[], prefix: string, context: { readonly defaultHost: string }): SeraiTags {
  const service: { -readonly [Key in keyof ServiceKeys]: ServiceKeys[Key] } = {}
  const sinks = new Map<string, Sink>()
  const problems: TagProblem[] = []
  const homeless: Complaint[] = []
  const unread = new Set<string>()

  const router = (name: string): Sink => {
    const sink = sinks.get(name) ?? { hosts: undefined, paths: undefined, policy: {}, refuse: false, matches: false }
    sinks.set(name, sink)
    return sink
  }
  const blame = (name: string, wrong: readonly Complaint[]): void => {
    for (const { tag, reason } of wrong) problems.push({ router: name, tag, reason })
    if (wrong.length > 0) router(name).refuse = true
  }

  const groups = groupTags(tags, `${prefix}.`.toLowerCase())
  if (groups.length === 0) return { enabled: false, routers: [], service: {}, problems: [] }
  for (const group of groups) {
    const [{ router: name, named, key: keyName }] = group
    const key = findKey(keyName)
    const all = (reason: string): Complaint[] => group.map(({ written }) => complain(written, reason))
    if (named && !/^[\w-]+$/.test(name)) homeless.push(...all(`expected ${prefix}.router.<name>.<key>, the name of letters, digits, - and _`))
    else if (key === undefined && named) blame(name, all(unknownKey(keyName)))
    else if (key === undefined) homeless.push(...all(unknownKey(keyName)))
    else if (key.scope === 'router') {
      const sink = router(name)
      if (key.matches === true) sink.matches = true
      blame(name, readGroup(group, key, (value) => (key.read === 'later' ? [NOT_BUILT] : key.read(value, sink))))
    } else if (named) blame(name, all(`${keyName} concerns the whole service: write ${prefix}.${keyName}`))
    else {
      const wrong = readGroup(group, key, (value) => (key.read === 'later' ? [NOT_BUILT] : key.read(value, service)))
      for (const { tag, reason } of wrong) problems.push({ router: '', tag, reason })
      if (wrong.length > 0) unread.add(keyName)
    }
  }
  if (service.enable === false) return { enabled: false, routers: [], service: {}, problems: [] }

  let broken = unread.size > 0
  // What could not be read may be what makes sense of the rest.
  if (![...unread].some((name) => name === 'scheme' || name.startsWith('probe.'))) {
    for (const { name, reason } of idleProbeKeys(service)) {
      const tag = groups.find(([{ key, named }]) => key === name && !named)?.[0].written ?? ''
      problems.push({ router: '', ...complain(tag, reason) })
      broken = true
    }
  }

  // What names no router is the unnamed one's. Where only named ones exist it may have been meant for any of them: none is published without it.
  const unnamed = sinks.get(DEFAULT)
  if (homeless.length > 0) {
    const all = unnamed === undefined && sinks.size > 0
    for (const problem of homeless) problems.push({ ...problem, router: all ? '' : DEFAULT })
    if (all) broken = true
    else router(DEFAULT).refuse = true
  } else if (unnamed?.matches === false && sinks.size > 1) {
    problems.push({ router: '', tag: '', reason: `the unnamed router has keys, but neither host nor path: name their router, as in ${prefix}.router.<name>.<key>` })
    broken = true
    sinks.delete(DEFAULT)
  }
  if (sinks.size === 0) router(DEFAULT)

  const routers: RouterDraft[] = []
  for (const [name, sink] of sinks) {
    const matches = matchesOf(name, sink, sinks.size === 1 ? context.defaultHost : '')
    if ('reason' in matches) problems.push({ router: name, tag: '', reason: matches.reason })
    else if (matches.length > 0) routers.push({ name, matches, policy: sink.policy, refuse: broken || sink.refuse ? 'problem' : '' })
  }
  routers.sort((a, b) => compare(a.name, b.name))
  problems.sort((a, b) => compare(a.router, b.router) || compare(a.tag, b.tag) || compare(a.reason, b.reason))
  return { enabled: true, routers, service, problems }
}

/** The tags under the prefix, those of one router and key together. */
function groupTags(tags: readonly string[], start: string): [Tag, ...Tag[]][] {
  const groups = new Map<string, [Tag, ...Tag[]]>()
  for (const written of tags) {
    const trimmed = written.trim()
    if (trimmed.slice(0, start.length).toLowerCase() !== start) continue
    const equals = trimmed.indexOf('=')
    const name = trimmed.slice(start.length, equals < 0 ? undefined : equals).trim().toLowerCase()
    const [, router, key] = /^router\.([^.]*)\.?(.*)$/.exec(name) ?? []
    const tag = { written, router: router ?? DEFAULT, named: router !== undefined, key: key ?? name, value: equals < 0 ? undefined : trimmed.slice(equals + 1).trim() }
    // `router.default.host` is the unnamed router's host in another spelling.
    const id = `${tag.router} ${tag.key}`
    const group = groups.get(id)
    if (group === undefined) groups.set(id, [tag])
    else group.push(tag)
  }
  return [...groups.values()]
}

function readGroup(group: readonly [Tag, ...Tag[]], key: TagKey, read: (value: string) => readonly string[]): readonly Complaint[] {
  if (group.length === 1 || key.repeats === true) {
    return group.flatMap(({ written, value }) => {
      // An empty value is read all the same: a host that is missing must not become any host.
      const reasons = read(value ?? '')
      return (value === undefined ? ['expected key=value'] : reasons).map((reason) => complain(written, reason))
    })
  }
  if (key.matches === true) read('')
  const [first] = group.map(({ written }) => written).sort()
  return [complain(first!, `given ${group.length} times`)]
}

function unknownKey(name: string): string {
  const near = nearest(name, keyNames())
  return near === undefined ? 'unknown key' : `unknown key: did you mean ${near}?`
}

/** The requests that a router takes; none when a problem that is already told keeps them from being known. */
function matchesOf(name: string, sink: Sink, defaultHost: string): readonly RouteMatch[] | { readonly reason: string } {
  let { hosts } = sink
  if (!sink.matches) {
    if (name !== DEFAULT || defaultHost === '') return sink.refuse ? [] : { reason: 'expected a host or a path' }
    const parsed = parseHost(defaultHost)
    if ('reason' in parsed) return { reason: `the default host does not fit this service: ${parsed.reason}` }
    hosts = [parsed.value]
  }
  if (hosts === undefined && sink.paths === undefined) return []
  const paths = sink.paths ?? [{ path: '/', kind: 'prefix' as const }]
  hosts ??= ['']
  if (hosts.length * paths.length > MAX_MATCHES) return { reason: `${hosts.length} hosts × ${paths.length} paths are more than ${MAX_MATCHES} routes` }
  const matches = new Map(hosts.flatMap((host) => paths.map(({ path, kind }) => [`${host} ${path} ${kind}`, { host, path, kind }])))
  return [...matches.values()].sort((a, b) => compare(a.host, b.host) || compare(a.path, b.path) || compare(a.kind, b.kind))
}

const complain = (written: string, reason: string): Complaint => ({ tag: written.length > MAX_SHOWN ? `${written.slice(0, MAX_SHOWN)}…` : written, reason })
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
