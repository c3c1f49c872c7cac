// The answers of the admin API, described once: for the types, for the reference in docs/admin.schema.json, and for the commands that read them.
import { z } from 'zod'

const seconds = z.number().nonnegative()
const count = z.int().nonnegative()

/** How an endpoint stands, as far as this process knows. */
const endpointState = z.enum(['ready', 'slow start', 'failing', 'ejected', 'pending', 'unhealthy', 'leaving'])
  .describe('ready and slow start take traffic; failing: connect errors of late, others are preferred; ejected: for a time, after failures; '
    + 'pending: has not passed its first check; unhealthy: has passed, and now its checks or probes fail: used only while all others fail too; '
    + 'leaving: being stopped, on a lost node, or registered no more: used only when nothing else is left')

const problem = z.strictObject({
  service: z.string().describe('name@catalog/namespace, or @catalog for a catalog itself'),
  router: z.string().describe("the router that is out of service; '' for the whole service or catalog"),
  tag: z.string().describe("as written, or ''"),
  reason: z.string(),
  where: z.string().describe('file and line, or job and allocation'),
})

export const statusView = z.strictObject({
  version: z.string(),
  pid: count,
  startedAt: z.iso.datetime(),
  uptimeSeconds: seconds,
  state: z.enum(['starting', 'ready', 'lame duck', 'draining']),
  revision: count.describe('of the newest snapshot'),
  complete: z.boolean().describe('every catalog was read or restored once; until then a missing route is answered 503'),
  workers: z.array(z.strictObject({
    id: count,
    state: z.enum(['starting', 'running', 'restarting']),
    revision: count.describe('of the snapshot that it serves'),
    restarts: count,
    connections: count,
    exchanges: count,
    heapBytes: count.exactOptional(),
  })),
  catalogs: z.array(z.strictObject({
    name: z.string(),
    state: z.enum(['waiting', 'current', 'stale', 'restored']).describe('waiting: not read yet; stale: the last reading failed; restored: from disk'),
    answer: z.enum(['none yet', 'read', 'empty', 'partly read', 'not allowed', 'unreachable', 'not understood'])
      .describe('what its registry says: empty is an answer; not allowed: the token lacks a right; unreachable: no answer; not understood: no sense in it'),
    readAt: z.iso.datetime().nullable().describe('when what is known was last confirmed'),
    ageSeconds: seconds.nullable(),
    errors: count,
    problem: z.string().exactOptional(),
  })),
  listeners: z.array(z.strictObject({
    name: z.string(),
    address: z.string(),
    tls: z.boolean(),
    redirectPort: count.exactOptional().describe('it serves nothing, and sends every request to https on this port'),
  })),
  config: z.strictObject({
    source: z.string().describe("a file's path, or defaults"),
    loadedAt: z.iso.datetime(),
    problem: z.string().exactOptional().describe('why the newest file is not in force'),
  }),
}).meta({ title: 'Status' })

const routeView = z.strictObject({
  host: z.string().describe("a.example.org, *.example.org (one label), or '' for any"),
  path: z.string(),
  kind: z.enum(['prefix', 'exact']),
  router: z.string(),
  service: z.string(),
  refuse: z.enum(['', 'problem', 'vanished']).describe("why it answers 503 without asking an endpoint; '' when it does ask"),
  endpoints: z.array(z.string()).describe('addresses that its requests may go to'),
  waiting: z.array(z.string()).describe('addresses of instances that carry it and get no requests yet'),
  policy: z.strictObject({
    retryAttempts: count,
    retryTimeoutMs: count,
    headTimeoutMs: count,
    bodyTimeoutMs: count,
    totalTimeoutMs: count.describe('0: no limit'),
    upgrades: z.array(z.string()),
    ejectStatuses: z.array(count),
  }),
})

const endpointView = z.strictObject({
  address: z.string(),
  weight: z.number().nonnegative(),
  state: endpointState,
  why: z.string(),
  since: z.iso.datetime(),
  inFlight: count.exactOptional(),
})

const serviceView = z.strictObject({
  key: z.string(),
  scheme: z.enum(['http', 'https', 'h2c', 'h2', 'grpc', 'grpcs']),
  /** Its certificates are not verified: somebody's choice, and shown. */
  unverified: z.literal(true).exactOptional(),
  balance: z.string(),
  endpoints: z.array(endpointView),
})

const certificateView = z.strictObject({
  file: z.string().describe('of the certificate, as the config names it'),
  names: z.array(z.string()).describe('hosts and wildcards that it is for'),
  default: z.boolean().describe('for clients that name no host, or one that no certificate has'),
  state: z.enum(['good', 'expired', 'not yet valid', 'missing']).describe('missing: nothing in its files could be used yet'),
  keyType: z.string(),
  issuer: z.string(),
  notBefore: z.iso.datetime().nullable(),
  notAfter: z.iso.datetime().nullable(),
  daysLeft: z.int().nullable(),
  fingerprint: z.string().describe('SHA-256 of the certificate, hex'),
  problems: z.array(z.string()).describe('with what its files hold now'),
})

const step = z.strictObject({
  stage: z.enum(['catalogs', 'listener', 'certificate', 'host', 'route', 'endpoint']),
  name: z.string(),
  ok: z.boolean(),
  why: z.string(),
})

export const readinessView = z.strictObject({ ready: z.boolean(), reasons: z.array(z.string()) }).meta({ title: 'Readiness' })
export const livenessView = z.strictObject({ live: z.literal(true) }).meta({ title: 'Liveness' })
export const routesView = z.strictObject({ routes: z.array(routeView) }).meta({ title: 'Routes' })
export const servicesView = z.strictObject({ services: z.array(serviceView) }).meta({ title: 'Services' })
export const problemsView = z.strictObject({ problems: z.array(problem) }).meta({ title: 'Problems' })
export const certificatesView = z.strictObject({ certificates: z.array(certificateView) }).meta({ title: 'Certificates' })
export const errorView = z.strictObject({ error: z.string() }).meta({ title: 'Error' })
export const explanation = z.strictObject({
  question: z.strictObject({ url: z.string(), method: z.string(), host: z.string(), path: z.string() }),
  outcome: z.enum(['forwarded', 'answered']),
  status: count.describe('what Serai answers by itself; 0 when it forwards'),
  summary: z.string(),
  steps: z.array(step),
  problems: z.array(problem).describe('those that touch the question'),
}).meta({ title: 'Explanation' })

/** What each path answers with status 200 (`/ready` also with 503); every other status is an `errorView`. */
export const answers = {
  '/live': livenessView,
  '/ready': readinessView,
  '/api/status': statusView,
  '/api/routes': routesView,
  '/api/services': servicesView,
  '/api/problems': problemsView,
  '/api/certificates': certificatesView,
  '/api/explain': explanation,
} as const

/** The content of docs/admin.schema.json: a JSON schema for each path's answer. */
export function adminSchema(): string {
  const definitions = Object.fromEntries([...Object.entries(answers), ['error', errorView] as const].map(([path, schema]) => {
    const { $schema: _, ...rest } = z.toJSONSchema(schema)
    return [path, rest]
  }))
  return `${JSON.stringify({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Answers of the admin API, by path',
    $defs: definitions,
  }, null, 2)}\n`
}
