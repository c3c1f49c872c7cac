// The config: every key with its meaning, its default and what it may hold. Types, JSON schema and reference page come from here.
import * as z from 'zod'
import type { BalancePolicy } from '#src/snapshot.ts'
import { bindAddress, cidr, serverAddress } from './address.ts'
import { checkAdmin, checkListeners, checkNomad, checkTls } from './checks.ts'
import { autoOrInteger, choice, duration, filePath, flag, integer, leaf, share, size, text } from './scalar.ts'
import { clientHost, redirectPort, tlsVersion } from './tls-values.ts'

/** A section that is written but empty (`client:`) is null in YAML, and means the same as none. */
const section = <S extends z.core.$ZodLooseShape>(shape: S): z.ZodPreprocess<z.ZodObject<S, z.core.$strict>> => orEmpty(z.strictObject(shape))
const orEmpty = <O extends z.ZodType>(object: O): z.ZodPreprocess<O> => z.preprocess((value) => (value === null ? {} : value), object)

const listeners = z
  .record(
    z.string().regex(/^[a-z][a-z0-9-]{0,31}$/),
    section({
      address: bindAddress().describe('What to listen on; without a host IPv6 and IPv4, port 0 lets the system choose. No listener in the config: `http` on `:80`, and `https` on `:443` where there are certificates.'),
      tls: flag().prefault(false).describe('Speaks TLS, with `tls.certificates`.'),
      redirect: redirectPort().optional().describe('Sends every request to https (301; 308 where the method has to stay) on port 443, or the one that is named; not what trusted peers say came by https.'),
      proxyProtocol: z.array(cidr()).max(1024).prefault([]).describe('Balancers that send the PROXY protocol, version 1 or 2 (CIDR blocks): nobody else is let in, and nobody without its header.'),
      h2c: flag().prefault(false).describe('Speaks HTTP/2 in the clear to clients that begin with it (prior knowledge, as gRPC and some balancers do), HTTP/1.1 to the others.'),
    }),
  )
  .refine((named) => Object.keys(named).length > 0, { error: 'has no listener', params: { expected: 'at least one, e.g. http' } })
  .prefault({ http: { address: ':80' } })
  .describe('Where requests come in, by name (lower case).')

const secretOf = (most: number): ReturnType<typeof leaf<string>> => {
  const pattern = `^[!-~]{1,${most}}$`
  const form = `text of 1 to ${most} visible ASCII characters`
  return leaf<string>({ type: 'string', pattern, writeOnly: true, $comment: form }, (value) =>
    typeof value === 'string' && new RegExp(pattern).test(value) ? { value } : { complaint: 'is not a token', expected: form })
}
const secret = secretOf(512)

const admin = orEmpty(
  z
    .strictObject({
      address: bindAddress().prefault('127.0.0.1:9080').describe('The admin API, dashboard and metrics; beyond loopback only with a token.'),
      token: secret.optional().describe('The token that admin requests must carry; never shown.'),
      tokenFile: filePath('the path of a file that holds the token').optional().describe('A file that holds the token, in place of `token`.'),
    })
    .superRefine(checkAdmin, { when: () => true }),
)
  .prefault({})
  .describe('The admin listener.')

const health = section({ address: bindAddress().describe('A listener for load balancers with only `/live` and `/ready`.') })
  .optional()
  .describe('Off unless it is set.')

const trust = section({
  forwarded: z.array(cidr()).max(1024).prefault([]).describe('Peers whose `X-Forwarded-*` and `Forwarded` are extended instead of replaced (CIDR blocks).'),
})
  .prefault({})
  .describe('Whom to believe; nobody by default.')

const tls = section({
  certificates: z
    .array(section({
      cert: filePath('the path of a PEM file').describe('The certificate with its chain, in any order; watched. One of each kind of key may have the same names.'),
      key: filePath('the path of a PEM file').optional().describe('Its private key; unset: it stands in the file of the certificate.'),
      default: flag().prefault(false).describe('For clients that name no host, or one that no certificate has; with none such they get the alert unrecognized_name.'),
    }))
    .max(10_000)
    .prefault([])
    .describe('Certificates from files.'),
  clients: z
    .array(section({
      hosts: z.array(clientHost()).max(10_000).refine((hosts) => hosts.length > 0, { error: 'names no host', params: { expected: 'at least one, or * for any' } })
        .describe('The hosts that ask for client certificates: names, `*.` and a name for one label, or `*` for any.'),
      mode: choice('require', 'request').prefault('require').describe('`require`: no connection without one; `request`: none is needed, but one that is given must be good.'),
      ca: filePath('the path of a PEM file').describe('The authorities that sign them; read at the start and with the config.'),
    }))
    .max(1000)
    .prefault([])
    .describe('Client certificates.'),
  minVersion: tlsVersion().prefault('1.2').describe('The least version of TLS.'),
  hsts: section({
    maxAge: duration('0', '3650d').describe('How long browsers remember to use https only; 0 makes them forget.'),
    includeSubdomains: flag().prefault(false).describe('For all names below the host too.'),
    preload: flag().prefault(false).describe('Consent to be built into browsers.'),
  })
    .transform((hsts) => ({ maxAgeMs: hsts.maxAge, includeSubdomains: hsts.includeSubdomains, preload: hsts.preload }))
    .optional()
    .describe('`Strict-Transport-Security` in every response over TLS to which the service has given none; off unless it is set.'),
})
  .prefault({})
  .describe('TLS with clients.')

const catalogs = section({
  file: section({ path: filePath('the path of the services file').describe('The file with the services; watched.') })
    .optional()
    .describe('Services from a file.'),
  nomad: orEmpty(
    z
      .strictObject({
        address: text(/^(https?:\/\/[^\s/?#@]+\/?|unix:\/\/\/\S+)$/, "the address of Nomad's API", 'http://host:4646, https://host:4646 or unix:///path/api.sock')
          .optional()
          .describe("Nomad's API; unset: the Task API's socket in a Nomad task, else `NOMAD_ADDR`, else `http://127.0.0.1:4646`."),
        token: secretOf(8192).optional().describe('The token that it is asked with; never shown. Unset: `secrets/nomad_token` of a Nomad task, else `NOMAD_TOKEN`.'),
        tokenFile: filePath('the path of a file that holds the token').optional().describe('A file that holds the token, in place of `token`; read again when it changes and when it is refused.'),
        namespaces: z
          .array(text(/^(\*|[a-zA-Z0-9-]{1,128})$/, 'a namespace', 'a name of letters, digits and dashes, or * alone'))
          .min(1).max(16)
          .prefault(['*'])
          .describe('The namespaces to read, by name, or `*` for all that the token may read.'),
        region: text(/^\S{1,128}$/, 'a region', 'the name of a region').optional().describe("The region to ask for; unset: `NOMAD_REGION`, else the agent's own."),
        tls: section({
          ca: filePath('the path of a PEM file').optional().describe('The authorities that the agent is verified against; unset: `NOMAD_CACERT`.'),
          cert: filePath('the path of a PEM file').optional().describe('The client certificate; unset: `NOMAD_CLIENT_CERT`.'),
          key: filePath('the path of a PEM file').optional().describe('Its key; unset: `NOMAD_CLIENT_KEY`.'),
          serverName: text(/^[A-Za-z0-9.-]{1,253}$/, 'a name', 'a host name, e.g. server.global.nomad').optional().describe('The name that the agent must prove; unset: `NOMAD_TLS_SERVER_NAME`.'),
          skipVerify: flag().optional().describe('Do not verify the agent: for development only. Unset: `NOMAD_SKIP_VERIFY`.'),
        }).optional().describe('For `https`.'),
        health: choice('checks', 'probe', 'none')
          .prefault('checks')
          .describe('What decides whether an instance gets requests: `checks`, those of its job (and probes that its tags ask for); `probe`, own probes alone; `none`, one connection. `serai.health` says otherwise for a service.'),
        allowAddresses: z.array(cidr()).max(1024).prefault([]).describe('Addresses that jobs may name although they are loopback, link-local or multicast (CIDR blocks).'),
      })
      .superRefine(checkNomad, { when: () => true }),
  )
    .optional()
    .describe('Services registered with Nomad; on by itself in a Nomad task with a Task API socket when no catalog is set (docs/nomad.md).'),
})
  .prefault({})
  .describe('Where services are registered.')

const claimedHost = 'a host name, *. in front for one label, e.g. *.team-a.example.org'
const claims = z
  .array(section({
    catalog: choice('nomad', 'file').describe('The catalog.'),
    namespace: text(/^[a-zA-Z0-9._-]{1,128}$/, 'a namespace', 'the name of a namespace').describe('The namespace.'),
    hosts: z.array(text(/^(\*\.)?[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?$/, 'a host', claimedHost)).min(1).max(1024).describe('The hosts that its routes may take.'),
  }))
  .max(4096)
  .optional()
  .describe('Which namespace may take which hosts; once set, a namespace without a claim may take none. Unset: any may take any.')

const tags = section({
  serai: text(/^[a-z][a-z0-9-]{0,31}$/, 'a prefix of tags', 'lower-case letters, digits and dashes, e.g. serai')
    .prefault('serai')
    .describe('The prefix of the tags that make routes: `serai.host=…`.'),
  defaultHost: text(
    /^(?=.*\{service\})([a-z0-9.-]|\{service\}|\{namespace\}){1,253}$/,
    'a host template',
    'lower case with {service}, e.g. {service}.{namespace}.example.org',
  )
    .optional()
    .describe('The host of services without a routing tag, e.g. `{service}.{namespace}.apps.example.org`; unset: such services are not exposed.'),
})
  .prefault({})
  .describe('How tags are read.')

const balances = 'p2c, rr, least, hash:ip, hash:path, hash:header:NAME, hash:cookie:NAME'
const balance = leaf<BalancePolicy>({ type: 'string', pattern: '^(p2c|rr|least|hash:(ip|path|header:.+|cookie:.+))$', $comment: balances }, (value) =>
  isBalance(value) ? { value: withLowerCaseHeader(value) } : { complaint: 'is not a way to balance', expected: balances })
const isBalance = (value: unknown): value is BalancePolicy =>
  typeof value === 'string' && /^(p2c|rr|least|hash:(ip|path|(header|cookie):[\w!#$%&'*+.^`|~-]+))$/.test(value)
const withLowerCaseHeader = (balance: BalancePolicy): BalancePolicy => (balance.startsWith('hash:header:') ? (balance.toLowerCase() as BalancePolicy) : balance)

const defaults = section({
  balance: balance.prefault('p2c').describe('How an endpoint is picked: the less busy of two, in turn, the least busy, or by what requests have in common.'),
  retry: section({
    attempts: integer(0, 10).prefault(2).describe('Further endpoints tried when an attempt may be repeated.'),
    timeout: duration('0', '10m').prefault('10s').describe('No further attempt begins this long after the request.'),
  })
    .transform((retry) => ({ attempts: retry.attempts, timeoutMs: retry.timeout }))
    .prefault({})
    .describe('Trying again elsewhere.'),
  timeout: section({ total: duration('0', '1d').prefault('0').describe('The whole exchange; 0: no limit.') })
    .transform((timeout) => ({ totalMs: timeout.total }))
    .prefault({})
    .describe('Limits on time that a route may set; its others begin as `upstream.head` and `upstream.body`.'),
  eject: section({
    failures: integer(1, 1000).prefault(5).describe('Failures in a row after which an endpoint is left out.'),
    time: duration('1ms', '1h').prefault('10s').describe('For how long it is left out, times the number of ejections in a row.'),
    status: z.array(integer(400, 599)).max(200).prefault([]).describe('Response statuses that count as failures; none, as any client can ask for what answers 503.'),
    slowStart: duration('0', '1h').prefault('10s').describe('An endpoint that comes back gets its full share after this long.'),
    panic: flag().prefault(true).describe('When every endpoint is failing, take them all as if they were not.'),
  })
    .transform((eject) => ({ failures: eject.failures, timeMs: eject.time, status: eject.status, slowStartMs: eject.slowStart, panic: eject.panic }))
    .prefault({})
    .describe('Leaving out endpoints that fail.'),
})
  .prefault({})
  .describe('What a service or route gets that does not say otherwise in its tags.')

const client = section({
  head: duration('1ms', '10m').prefault('10s').describe('From the first byte of a request to the end of its head.'),
  body: duration('1ms', '1h').prefault('30s').describe('Between two pieces of a request body, and while the client does not read.'),
  keepAlive: duration('1ms', '1d').prefault('75s').describe("An idle connection is kept this long; above your balancer's own (ALB 60s, GCP 600s)."),
  handshake: duration('1ms', '10m').prefault('10s').describe('From the connection to the end of the TLS handshake, and of the PROXY header before it.'),
})
  .transform((times) => ({ headMs: times.head, bodyMs: times.body, keepAliveMs: times.keepAlive, handshakeMs: times.handshake }))
  .prefault({})
  .describe('Times on the client side.')

const upstream = section({
  connect: duration('1ms', '5m').prefault('2s').describe('Time to connect to an endpoint.'),
  head: duration('1ms', '1d').prefault('60s').describe('From the last byte of a request to the response head.'),
  body: duration('1ms', '1d').prefault('60s').describe('Between two pieces of a response body.'),
  keepAlive: duration('0', '1h').prefault('4s').describe("An idle connection is kept this long; below the service's own (Node 5s)."),
  connections: integer(1, 65535).prefault(1024).describe('Connections to one endpoint from one worker; further requests wait.'),
  idle: integer(0, 65535).prefault(128).describe('Idle connections kept to one endpoint by one worker.'),
  queue: integer(0, 65535).prefault(256).describe('Requests that wait for a connection to one endpoint, in one worker.'),
  queueTime: duration('0', '10m').prefault('2s').describe('How long a request waits for a connection.'),
  dns: z.array(serverAddress()).max(16).prefault([]).describe("DNS servers for endpoints that are names, after the hosts file; none: the system's."),
  ca: filePath('the path of a PEM file').optional().describe("The authorities that `scheme=https` upstreams are verified against; unset: Node's (with `NODE_USE_SYSTEM_CA=1` the system's too)."),
})
  .transform(({ connect, head, body, keepAlive, queueTime, ...counts }) => ({
    connectMs: connect, headMs: head, bodyMs: body, keepAliveMs: keepAlive, queueTimeMs: queueTime, ...counts,
  }))
  .prefault({})
  .describe('Times and connections on the side of the services.')

const tunnel = section({
  idle: duration('1ms', '7d').prefault('1h').describe('A tunnel without a byte either way is closed after this long.'),
  afterRemoval: duration('0', '7d').prefault('10m').describe('Tunnels to an endpoint that left its catalog are closed after this long.'),
})
  .transform((times) => ({ idleMs: times.idle, afterRemovalMs: times.afterRemoval }))
  .prefault({})
  .describe('WebSockets and other upgraded connections.')

const limits = section({
  headBytes: size('1KiB', '256KiB').prefault('32KiB').describe('A request or response head.'),
  headers: integer(1, 1000).prefault(100).describe('Fields in a head.'),
  connections: autoOrInteger(1, 1_000_000).prefault('auto').describe('Client connections in all; `auto`: 0.4 of the files that the process may have open.'),
  connectionsPerAddress: integer(0, 1_000_000).prefault(0).describe('Client connections from one address; 0: no limit, as behind a balancer all may share one.'),
  exchanges: integer(1, 1_000_000).prefault(10_000).describe('Requests in flight in all; more are answered 503.'),
})
  .prefault({})
  .describe('Bounds; those "in all" are shared out evenly among the workers.')

const stop = section({
  lameDuck: duration('0', '1h').prefault('10s').describe('After SIGTERM: still serving while `/ready` says no; 0 on a terminal.'),
  drain: duration('0', '1h').prefault('15s').describe('After lame duck: no new connections, exchanges may finish. Both under Nomad\'s `max_kill_timeout` (30s).'),
})
  .transform((times) => ({ lameDuckMs: times.lameDuck, drainMs: times.drain }))
  .prefault({})
  .describe('How it ends.')

const state = section({
  path: filePath('the path of a directory').prefault('./state').describe('The directory of the last good snapshot.'),
  maxAge: duration('0', '30d').prefault('1h').describe('An older snapshot is not restored.'),
})
  .transform((kept) => ({ path: kept.path, maxAgeMs: kept.maxAge }))
  .prefault({})
  .describe('What survives a restart.')

const log = section({
  level: choice('debug', 'info', 'warn', 'error', 'silent').prefault('info').describe('The least level that is logged.'),
  access: section({
    target: filePath('stdout, off, or the path of a file').prefault('stdout').describe('Where access records go.'),
    format: choice('json').prefault('json').describe('How access records are written.'),
    sample: share().prefault(1).describe('The share of exchanges that is logged.'),
  })
    .prefault({})
    .describe('One record for every exchange.'),
})
  .prefault({})
  .describe('What is written about it.')

/** Keys that DESIGN has and this version does not: using one is a mistake of its own, never "unknown". `*` is any name. */
export const notBuilt: readonly string[] = [
  'tls.acme', 'middlewares', 'catalogs.consul', 'tags.traefik', 'tags.urlprefix',
]

/** Everything a config may hold. Parses what YAML made of it into a `Config`. */
export const configSchema = z
  .strictObject({
    listeners, admin, health,
    workers: autoOrInteger(1, 64).prefault('auto').describe('Data-plane threads: `auto` is the number of cores, up to 8 and what the memory limit allows.'),
    trust, tls, catalogs, claims, tags, defaults, client, upstream, tunnel, limits, stop, state, log,
  })
  .superRefine(checkListeners, { when: () => true })
  .superRefine(checkTls, { when: () => true })

type Immutable<T> = T extends object ? { readonly [K in keyof T]: Immutable<T[K]> } : T

/** The config as the program uses it: complete, checked, times in milliseconds (`…Ms`), sizes in bytes, paths absolute. */
export type Config = Immutable<z.output<typeof configSchema>>
