// The admin and health servers: small HTTP servers of the main thread, bounded, and able to end at once.
import { createServer } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { formatAddress } from '#src/config/address.ts'
import type { BindAddress } from '#src/config/address.ts'
import { METRICS_CONTENT_TYPE } from '#src/observe/metrics.ts'
import { json, refusal, send } from './answer.ts'
import type { Answer } from './answer.ts'
import { QuestionError } from './explain.ts'
import { checkAdminExposure, isOwnHost, ownNames } from './exposure.ts'
import { explainPage, overviewPage } from './page.ts'
import type { Explanation, Question, Subject } from './subject.ts'
import { createTokenCheck } from './token.ts'
import type { TokenSource } from './token.ts'

export interface AdminServer extends AsyncDisposable {
  /** `host:port` as bound. */
  readonly address: string
  /** Ends at once, open connections included. */
  close(): Promise<void>
}

export interface AdminOptions extends TokenSource {
  readonly address: BindAddress
  readonly subject: Subject
  /** Told of an answer that could not be made: a mistake of our own. */
  readonly onError: (error: unknown) => void
}

export type HealthOptions = Omit<AdminOptions, keyof TokenSource | 'subject'> & { readonly subject: Pick<Subject, 'readiness'> }

type Answerer = (request: IncomingMessage) => Answer | Promise<Answer>

const MAX_CONNECTIONS = 64
const bounds = {
  maxHeaderSize: 16 * 1024, headersTimeout: 5000, requestTimeout: 10_000, keepAliveTimeout: 5000, connectionsCheckingInterval: 1000,
} as const
/** A reader that takes nothing of its answer for this long is cut off. */
const STALL_MS = 30_000
/** An explanation's question may carry so many header fields. */
const MAX_QUESTION_HEADERS = 100

/** Serves metrics, JSON API and first page. Rejects when the address is taken, or reachable from outside without a token. */
export async function startAdminServer({ address, subject, onError, ...source }: AdminOptions): Promise<AdminServer> {
  const check = createTokenCheck(source)
  const exposed = checkAdminExposure(address, check !== undefined)
  if (exposed !== undefined) throw new Error(exposed)
  return start(address, onError, async (request) => {
    if (!isOwnHost(request.headers.host, address)) {
      return refusal(403, `Host ${JSON.stringify(request.headers.host ?? '')} is not one of this server; expected an IP address, or ${ownNames(address).join(', ')}`)
    }
    const { pathname, searchParams } = urlOf(request)
    const health = healthAnswer(pathname, subject)
    if (health !== undefined) return health
    if (check !== undefined && !(await check(request.headers.authorization))) {
      return refusal(401, 'expected the field "Authorization: Bearer TOKEN" with the token of admin.token or admin.tokenFile', { 'WWW-Authenticate': 'Bearer' })
    }
    return await answer(pathname, searchParams, subject) ?? refusal(404, `nothing is at ${pathname}; expected one of ${paths.join(' ')}`)
  })
}

/** Serves only /live and /ready, to any Host: load balancers send what they like. Rejects when the address is taken. */
export function startHealthServer({ address, subject, onError }: HealthOptions): Promise<AdminServer> {
  return start(address, onError, (request) => {
    const { pathname } = urlOf(request)
    return healthAnswer(pathname, subject) ?? refusal(404, `nothing is at ${pathname}; expected one of /live /ready`)
  })
}

const paths = ['/', '/live', '/ready', '/metrics', '/api/status', '/api/routes', '/api/services', '/api/problems', '/api/certificates', '/api/explain?url=URL']

function healthAnswer(path: string, subject: Pick<Subject, 'readiness'>): Answer | undefined {
  if (path === '/live') return json(200, { live: true })
  if (path !== '/ready') return undefined
  const readiness = subject.readiness()
  return json(readiness.ready ? 200 : 503, readiness)
}

async function answer(path: string, query: URLSearchParams, subject: Subject): Promise<Answer | undefined> {
  switch (path) {
    case '/': return { status: 200, type: 'text/html; charset=utf-8', body: query.has('url') ? explanationPage(query, subject) : overviewPage(subject) }
    case '/metrics': return { status: 200, type: METRICS_CONTENT_TYPE, body: await subject.metrics() }
    case '/api/status': return json(200, subject.status())
    case '/api/routes': return json(200, { routes: subject.routes() })
    case '/api/services': return json(200, { services: subject.services() })
    case '/api/problems': return json(200, { problems: subject.problems() })
    case '/api/certificates': return json(200, { certificates: subject.certificates() })
    case '/api/explain': return explainAnswer(query, subject)
    default: return undefined
  }
}

function explainAnswer(query: URLSearchParams, subject: Subject): Answer {
  const explanation = explanationOf(query, subject)
  return typeof explanation === 'string' ? refusal(400, explanation) : json(200, explanation)
}

function explanationPage(query: URLSearchParams, subject: Subject): string {
  const url = query.get('url') ?? ''
  return explainPage(subject.status(), url, url === '' ? undefined : explanationOf(query, subject))
}

/** The explanation, or what is wrong with the question. */
function explanationOf(query: URLSearchParams, subject: Subject): Explanation | string {
  const question = questionOf(query)
  if (typeof question === 'string') return question
  try {
    return subject.explain(question)
  } catch (error) {
    if (error instanceof QuestionError) return error.message
    throw error
  }
}

/** The question, or what is wrong with it. */
function questionOf(query: URLSearchParams): Question | string {
  const url = query.get('url')
  const lines = query.getAll('header')
  if (url === null || url === '') return 'the URL to explain is missing; expected /api/explain?url=http://host/path'
  if (lines.length > MAX_QUESTION_HEADERS) return `${lines.length} headers are too many; expected at most ${MAX_QUESTION_HEADERS}`
  const wrong = lines.find((line) => line.indexOf(':') < 1)
  if (wrong !== undefined) return `header ${JSON.stringify(wrong)} has no name; expected "Name: value"`
  const headers = lines.map((line) => [line.slice(0, line.indexOf(':')).trim(), line.slice(line.indexOf(':') + 1).trim()] as const)
  return { url, method: query.get('method') ?? 'GET', headers }
}

/** The origin is ours to make up: only path and query are of use. */
function urlOf({ url = '/' }: IncomingMessage): URL {
  return URL.parse(url.startsWith('/') ? `http://admin${url}` : url) ?? new URL('http://admin/?')
}

async function start(address: BindAddress, onError: (error: unknown) => void, answerer: Answerer): Promise<AdminServer> {
  const server = createServer(bounds, (request, response) => {
    void respond(request).then((made) => { send(response, made) }, (error: unknown) => {
      onError(error)
      send(response, refusal(500, 'the answer could not be made; the log says why'))
    })
  })
  const respond = async (request: IncomingMessage): Promise<Answer> => {
    if (request.method === 'GET' || request.method === 'HEAD') return answerer(request)
    return refusal(405, `${request.method ?? ''} is not offered; expected GET or HEAD`, { Allow: 'GET, HEAD', Connection: 'close' })
  }
  server.maxConnections = MAX_CONNECTIONS
  server.setTimeout(STALL_MS)
  await listen(server, address)
  const close = (): Promise<void> => new Promise((resolve) => {
    server.close(() => { resolve() })
    server.closeAllConnections()
  })
  const bound = server.address() as AddressInfo
  return { address: formatAddress({ host: bound.address, port: bound.port }), close, [Symbol.asyncDispose]: close }
}

function listen(server: Server, { host, port }: BindAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(new Error(`cannot listen on ${formatAddress({ host, port })}: ${error.message}`, { cause: error }))
    })
    // exclusive: a second Serai on the same port is an error to be told, not a share of the questions.
    server.listen({ ...(host !== '' && { host }), port, exclusive: true }, resolve)
  })
}
