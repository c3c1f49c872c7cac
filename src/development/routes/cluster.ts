// Nodes, namespaces, and what an agent says of itself.
import { NO_TIME, toTimestamp } from '#src/development/clock.ts'
import { DENIED, json, text } from '#src/development/http/answer.ts'
import type { Answer } from '#src/development/http/answer.ts'
import { blocking } from '#src/development/http/blocking.ts'
import { isPage, pageOf } from '#src/development/http/page.ts'
import type { ApiRequest } from '#src/development/http/request.ts'
import { namespaceJson } from '#src/development/state/answers.ts'
import { nodeJson, nodeStubJson, VERSION } from '#src/development/state/node-answers.ts'

/** `GET /v1/nodes`. */
export function listNodes(request: ApiRequest): Promise<Answer> | Answer {
  const { caller, query, cluster: { store } } = request
  if (!caller.readsNodes) return DENIED
  const index = (): number => store.indexOf('nodes')
  return blocking(request, {
    watch: ['nodes'],
    index,
    answer: () => {
      const page = pageOf(store.all('nodes').filter(({ id }) => id.startsWith(query.get('prefix') ?? '')), query, ({ id }) => id, nodeStubJson)
      return isPage(page) ? json(page.elements.map(nodeStubJson), { index: index(), ...(page.nextToken === undefined ? {} : { nextToken: page.nextToken }) }) : page
    },
  })
}

/** `GET /v1/node/:id`. */
export function readNode(request: ApiRequest): Promise<Answer> | Answer {
  const { path: [, id = ''], caller, cluster: { store } } = request
  if (!caller.readsNodes) return DENIED
  const index = (): number => store.get('nodes', id)?.modifyIndex ?? store.indexOf('nodes')
  return blocking(request, {
    watch: [`nodes/${id}`],
    index,
    answer: () => {
      const node = store.get('nodes', id)
      return node === undefined ? text(404, 'node not found', { index: index() }) : json(nodeJson(node), { index: index() })
    },
  })
}

/** `POST /v1/node/:id/drain`. */
export async function drainNode({ path: [, id = ''], caller, body, cluster: { store, operations } }: ApiRequest): Promise<Answer> {
  if (caller.kind !== 'management') return DENIED
  const node = store.get('nodes', id)
  if (node === undefined) return text(404, 'node not found')
  const { DrainSpec } = await body() as { readonly DrainSpec?: object | null }
  operations.drain(node, DrainSpec !== undefined && DrainSpec !== null)
  const index = store.indexOf('nodes')
  return { ...json({ NodeModifyIndex: index, EvalIDs: null, EvalCreateIndex: 0, Index: index, LastContact: 0, KnownLeader: false, NextToken: '' }), index }
}

/** `GET /v1/namespaces`: those in which the caller may do anything at all. */
export function listNamespaces(request: ApiRequest): Promise<Answer> {
  const { caller, cluster: { store } } = request
  const index = (): number => store.indexOf('namespaces')
  const readable = (name: string): boolean => ['read-job', 'list-jobs', 'submit-job'].some((capability) => caller.may(name, capability))
  return blocking(request, { watch: ['namespaces'], index, answer: () => json(store.all('namespaces').filter(({ name }) => readable(name)).map(namespaceJson), { index: index() }) })
}

/** `PUT /v1/namespace/:name`. */
export async function putNamespace({ path: [, name = ''], caller, body, cluster: { operations } }: ApiRequest): Promise<Answer> {
  if (caller.kind !== 'management') return DENIED
  const { Description = '' } = await body() as { readonly Description?: string }
  return { ...text(200, ''), index: operations.putNamespace(name, Description) }
}

/** `DELETE /v1/namespace/:name`. */
export function deleteNamespace({ path: [, name = ''], caller, cluster: { operations } }: ApiRequest): Answer {
  return caller.kind === 'management' ? { ...text(200, ''), index: operations.deleteNamespace(name) } : DENIED
}

/** `PUT /v1/system/gc`. */
export function collectGarbage({ caller, cluster: { operations } }: ApiRequest): Answer {
  if (caller.kind !== 'management') return DENIED
  operations.collectGarbage()
  return text(200, '')
}

/** `GET /v1/acl/token/self`: a workload's identity is none. */
export function readOwnToken({ caller: { kind, token }, cluster: { acl } }: ApiRequest): Answer {
  if (!acl.enabled) return text(400, 'ACL support disabled')
  if (kind === 'workload') return text(404, 'ACL token not found', { index: 0 })
  const anonymous = kind === 'anonymous'
  return json({
    AccessorID: anonymous ? 'anonymous' : (token?.secret ?? ''), SecretID: token?.secret ?? '', Name: anonymous ? 'Anonymous Token' : '', Type: kind === 'management' ? 'management' : 'client',
    Policies: anonymous ? ['anonymous'] : null, Roles: null, Global: false, Hash: null, CreateTime: NO_TIME, ExpirationTime: token?.expiresAt === undefined ? null : toTimestamp(token.expiresAt),
    ExpirationTTL: '', CreateIndex: 0, ModifyIndex: 0,
  }, { index: 0 })
}

/** `GET /v1/agent/self`: the parts that a client can use. */
export function readAgent({ caller, cluster: { store, acl, address, region } }: ApiRequest): Answer {
  if (!caller.readsAgent) return DENIED
  const node = store.all('nodes')[0]
  const [host = '', port = '0'] = [address.slice(0, address.lastIndexOf(':')), address.slice(address.lastIndexOf(':') + 1)]
  return json({
    config: {
      ACL: { Enabled: acl.enabled }, Addresses: { HTTP: host }, AdvertiseAddrs: { HTTP: address }, BindAddr: host, Datacenter: node?.datacenter ?? 'dc1', DevMode: true, NodeName: node?.name ?? '',
      Ports: { HTTP: Number(port) }, Region: region, Version: { Version: VERSION.split('-')[0], VersionPrerelease: VERSION.split('-')[1] ?? '' },
    },
    member: { Name: `${node?.name ?? ''}.${region}`, Addr: host, Status: 'alive', Tags: { role: 'nomad', region, dc: node?.datacenter ?? 'dc1' } },
    stats: { client: { node_id: node?.id ?? '', known_servers: address }, nomad: { leader: 'true', server: 'true' } },
  })
}

/** `GET /v1/agent/health`. */
export function readHealth(): Answer {
  return json({ client: { ok: true, message: 'ok' }, server: { ok: true, message: 'ok' } })
}

/** `GET /v1/status/leader`. */
export const readLeader = ({ cluster: { address } }: ApiRequest): Answer => json(address)

/** `GET /v1/regions`. */
export const listRegions = ({ cluster: { region } }: ApiRequest): Answer => json([region])
