// One request and its response: route, pick, attempt, forward, account. The life of a request (DESIGN section 3) in code.
import type { Timed } from '#src/io/deadlines.ts'
import { forwardedValue, type RequestHead } from '#src/http1/request-head.ts'
import type { ResponseHead } from '#src/http1/response-head.ts'
import { NO_LENGTH, UNKNOWN_LENGTH, type OutgoingHead } from '#src/http1/response-text.ts'
import type { ClientGone, RequestSink, ResponseStream } from '#src/downstream/stream.ts'
import { cells, countExchange, attemptResults, type AttemptResult } from '#src/observe/counters.ts'
import type { AccessRecord } from '#src/observe/access-record.ts'
import { matchRoute } from '#src/routing/match.ts'
import { normalisePath } from '#src/routing/path.ts'
import type { ResponseSink, UpstreamConnection, UpstreamFailure } from '#src/upstream/connection.ts'
import type { Endpoint, Waiter } from '#src/upstream/endpoint.ts'
import { leaveQueue } from '#src/upstream/pool.ts'
import { answerFor, statusOf, type Reason } from './answers.ts'
import { forwarding, trustedForwarding } from './forwarding.ts'
import type { Plane } from './plane.ts'
import { isIdempotent, mayRetry } from './retry.ts'
import { requestText } from './request-text.ts'
import type { CompiledRoute } from './route.ts'
import { Tunnel } from './tunnel.ts'
import { Upload } from './upload.ts'

const noEndpoints: readonly Endpoint[] = []

export class Exchange implements RequestSink, ResponseSink, Waiter, Timed {
  deadline = 0
  bucketTick = 0
  readonly #plane: Plane
  readonly #stream: ResponseStream
  readonly #head: RequestHead
  readonly #startedAt: number
  #path = ''
  #client: string
  #requestId = ''
  #text = ''
  #route: CompiledRoute | null = null
  /** The connection that the request is written to, once it may be. */
  #connection: UpstreamConnection | null = null
  /** A connection that is being opened for this exchange. */
  #opening: UpstreamConnection | null = null
  #endpoint: Endpoint | null = null
  #tried: readonly Endpoint[] = noEndpoints
  #repeats = 0
  #staleRepeated = false
  /** The request's body; null when it has none. */
  #upload: Upload | null = null
  #upgrade = ''
  #queued = false
  #status = 0
  #reason = ''
  #bytesIn = 0
  #bytesOut = 0
  #firstByteAt = 0
  #over = false

  constructor(plane: Plane, stream: ResponseStream, head: RequestHead) {
    this.#plane = plane
    this.#stream = stream
    this.#head = head
    this.#startedAt = plane.clock()
    this.#client = stream.peer.address
    plane.count('exchanges', 1)
  }

  /** Goes as far as it can at once; `bytes[from, to)` is the beginning of the body. */
  start(bytes: Buffer, from: number, to: number, end: boolean, trailers: string): void {
    const plane = this.#plane
    const head = this.#head
    const { peer } = this.#stream
    this.#requestId = plane.requestId()
    // 1. Who is asking.
    const told = peer.trusted
      ? trustedForwarding(head, peer, plane.settings.via, this.#requestId, plane.trusted)
      : forwarding(head, peer, plane.settings.via, this.#requestId)
    this.#client = told.client
    this.#requestId = told.requestId
    // 2. Which route.
    const path = head.rawPath === '*' ? '*' : normalisePath(head.rawPath)
    if (path === undefined) return this.#refuse('bad_path')
    this.#path = path
    if (plane.overloaded) return this.#refuse('overloaded')
    const route = matchRoute(plane.table, head.host, path === '*' ? '/' : path)
    if (route === undefined) return this.#refuse(plane.complete ? 'no_route' : 'not_ready')
    this.#route = route
    route.service.cells[cells.inFlight]!++
    if (route.refuse !== '') return this.#refuse(route.refuse === 'vanished' ? 'service_gone' : 'route_problem')
    // 3. The request as the upstream gets it.
    if (head.upgrade !== '' && head.contentLength === 0 && route.policy.upgrades.includes(head.upgrade)) this.#upgrade = head.upgrade
    this.#text = requestText(head, path, told.fields, this.#upgrade)
    if (head.contentLength !== 0) {
      this.#upload = new Upload(this.#stream.wire, head.contentLength)
      this.#upload.take(null, bytes, from, to, end, trailers)
    }
    if (route.policy.totalTimeoutMs > 0) plane.deadlines.arm(this, route.policy.totalTimeoutMs)
    route.service.budget.deposit()
    // 4. An endpoint, and if need be another.
    this.#attempt()
  }

  requestBody(bytes: Buffer, from: number, to: number, end: boolean, trailers: string): void {
    if (!this.#over) this.#upload?.take(this.#connection, bytes, from, to, end, trailers)
  }

  clientGone(reason: ClientGone): void {
    if (this.#over) return
    this.#cancelUpstream()
    this.#finish(reason === 'malformed_body' ? 400 : reason === 'client_body_timeout' ? 408 : 499, reason)
  }

  #attempt(): void {
    const plane = this.#plane
    const route = this.#route
    if (route === null) return
    const target = plane.pick(route, this.#tried, this.#head, this.#client, this.#path)
    if (target === undefined) {
      this.#refuse(this.#reason === '' ? 'no_endpoint' : (this.#reason as Reason))
      return
    }
    this.#endpoint = target.endpoint
    target.endpoint.inFlight++
    this.#acquire(target.endpoint)
  }

  #acquire(endpoint: Endpoint): void {
    const got = this.#plane.acquire(endpoint, this, this, isIdempotent(this.#head.method))
    if (got === 'full') {
      this.#leaveEndpoint()
      this.#tried = [...this.#tried, endpoint]
      this.#reason = 'overloaded'
      this.#attempt()
    } else if (got === 'queued') {
      this.#queued = true
      this.#plane.deadlines.arm(this, this.#plane.settings.upstream.queueMs)
    } else if (got.ready) this.#send(got)
    else this.#opening = got
  }

  /** A place in the queue came up. */
  retry(): void {
    if (this.#over || this.#endpoint === null) return
    this.#queued = false
    this.#rearmTotal()
    this.#acquire(this.#endpoint)
  }

  connected(): void {
    const connection = this.#opening
    this.#opening = null
    if (connection !== null) this.#send(connection)
  }

  #send(connection: UpstreamConnection): void {
    const { policy } = this.#route!
    const upload = this.#upload
    this.#connection = connection
    connection.begin(this, this.#head.method, this.#upgrade, upload === null || upload.ended, policy.headTimeoutMs, policy.bodyTimeoutMs)
    if (upload === null) connection.wire.writeText(this.#text)
    else upload.sendTo(connection, this.#text, isIdempotent(this.#head.method))
  }

  upstreamFailed(failure: UpstreamFailure): void {
    const endpoint = this.#endpoint
    if (this.#over || endpoint === null) return
    const fresh = failure.kind === 'reset' && failure.stale
    this.#countAttempt(resultOf[failure.kind])
    this.#plane.failed(endpoint, this.#route!.service, failure)
    this.#connection = null
    this.#opening = null
    this.#leaveEndpoint()
    const reason = reasonOf[failure.kind]
    if (this.#status !== 0) {
      this.#stream.cut()
      this.#finish(this.#status, reason)
      return
    }
    const decision = mayRetry({
      kind: failure.kind,
      stale: fresh,
      method: this.#head.method,
      bodyWhole: this.#upload === null || this.#upload.whole,
      repeats: this.#repeats,
      allowedRepeats: this.#route!.policy.retryAttempts,
      elapsedMs: this.#plane.clock() - this.#startedAt,
      retryTimeoutMs: this.#route!.policy.retryTimeoutMs,
      staleRepeated: this.#staleRepeated,
    })
    this.#reason = reason
    if (decision === 'no' || (decision === 'budgeted' && !this.#plane.mayRepeat(this.#route!.service.budget))) {
      this.#tried = [...this.#tried, endpoint]
      this.#refuse(reason)
      return
    }
    if (fresh) this.#staleRepeated = true // it says nothing about the endpoint: it may be asked again
    else {
      this.#tried = [...this.#tried, endpoint]
      this.#repeats++
    }
    this.#attempt()
  }

  informational(head: ResponseHead): void {
    this.#stream.interim(head.status, head.reason, head.fields)
  }

  responseHead(head: ResponseHead, bytes: Buffer, from: number, to: number, end: boolean, trailers: string): void {
    if (this.#over) return
    this.#firstByteAt = this.#plane.clock()
    this.#status = head.status
    this.#upload?.forget()
    this.#plane.answered(this.#endpoint!, this.#route!, head.status)
    if (head.status === 101) return this.#openTunnel(head, bytes, from, to)
    const source = this.#connection!.wire
    this.#bytesOut += to - from
    this.#stream.respond(this.#outgoing(head), bytes, from, to, end, trailers, source)
    if (end) this.#complete()
  }

  responseBody(bytes: Buffer, from: number, to: number, end: boolean, trailers: string): void {
    if (this.#over) return
    this.#bytesOut += to - from
    this.#stream.respondBody(bytes, from, to, end, trailers, this.#connection!.wire)
    if (end) this.#complete()
  }

  #openTunnel(head: ResponseHead, bytes: Buffer, from: number, to: number): void {
    const connection = this.#connection!
    const tunnel = new Tunnel(this.#plane, this.#stream, connection, this.#endpoint!, (reason) => {
      this.#bytesIn = tunnel.bytesUp
      this.#bytesOut = tunnel.bytesDown
      this.#countAttempt('ok')
      this.#finish(101, reason)
    })
    connection.tunnel(tunnel.fromUpstream)
    this.#stream.tunnel(head.fields, head.upgrade, tunnel.fromClient)
    if (to > from) tunnel.fromUpstream.data(bytes, from, to)
  }

  #outgoing(head: ResponseHead): OutgoingHead {
    const bodiless = this.#head.method === 'HEAD' || head.status === 204 || head.status === 304
    const length =
      head.announcedLength !== '' ? Number(head.announcedLength) : bodiless ? NO_LENGTH : head.contentLength >= 0 ? head.contentLength : UNKNOWN_LENGTH
    const date = head.hasDate ? '' : this.#plane.dateField()
    return { status: head.status, reason: head.reason, fields: head.fields + date + this.#debugField(), length, bodiless }
  }

  /** `Serai-Debug: 1` from a trusted peer is answered with what happened. */
  #debugField(): string {
    if (!this.#stream.peer.trusted || forwardedValue(this.#head, 'serai-debug') !== '1') return ''
    const route = this.#route
    const where = route === null ? 'none' : `${route.service.key}#${route.router}`
    const tried = [...this.#tried, ...(this.#endpoint === null ? [] : [this.#endpoint])].map((endpoint) => endpoint.address)
    return `Serai-Debug: route=${where}; endpoint=${tried.at(-1) ?? 'none'}; attempts=${tried.length}; tried=${tried.join(',')}\r\n`
  }

  #complete(): void {
    this.#countAttempt('ok')
    this.#finish(this.#status, '')
  }

  expired(): void {
    if (this.#queued) {
      this.#queued = false
      leaveQueue(this.#endpoint!, this)
      this.#leaveEndpoint()
      this.#refuse('overloaded')
      return
    }
    this.#cancelUpstream()
    if (this.#status === 0) this.#refuse('total_timeout')
    else {
      this.#stream.cut()
      this.#finish(this.#status, 'total_timeout')
    }
  }

  #rearmTotal(): void {
    const { totalTimeoutMs } = this.#route!.policy
    if (totalTimeoutMs === 0) this.#plane.deadlines.disarm(this)
    else this.#plane.deadlines.arm(this, Math.max(0, totalTimeoutMs - (this.#plane.clock() - this.#startedAt)))
  }

  /** An answer of our own. */
  #refuse(reason: Reason): void {
    const { head, body } = answerFor(reason, this.#head.method, this.#plane.dateField() + this.#debugField())
    this.#bytesOut = head.bodiless ? 0 : body.length
    this.#finish(statusOf(reason), reason)
    this.#stream.answer(head, body, reason === 'bad_path')
  }

  #cancelUpstream(): void {
    const connection = this.#connection ?? this.#opening
    this.#connection = null
    this.#opening = null
    if (this.#queued && this.#endpoint !== null) leaveQueue(this.#endpoint, this)
    if (connection === null) return
    this.#countAttempt('aborted')
    connection.cancel()
  }

  #countAttempt(result: AttemptResult): void {
    this.#route!.service.cells[cells.attempts + attemptResults.indexOf(result)]!++
  }

  #leaveEndpoint(): void {
    if (this.#endpoint === null) return
    this.#endpoint.inFlight--
    this.#endpoint = null
  }

  #finish(status: number, reason: string): void {
    if (this.#over) return
    this.#over = true
    const plane = this.#plane
    const route = this.#route
    const endpoint = this.#endpoint
    this.#upload?.release()
    this.#leaveEndpoint()
    if (this.bucketTick !== 0) plane.deadlines.remove(this)
    const finishedAt = plane.clock()
    const counted = route === null ? plane.unrouted : route.service.cells
    if (route !== null) counted[cells.inFlight]!--
    countExchange(counted, status, (finishedAt - this.#startedAt) / 1000, this.#upload?.bytes ?? this.#bytesIn, this.#bytesOut)
    plane.count('exchanges', -1)
    if (plane.logging) plane.log(this.#record(status, reason, endpoint, finishedAt))
    this.#connection = null
  }

  #record(status: number, reason: string, endpoint: Endpoint | null, finishedAt: number): AccessRecord {
    const head = this.#head
    const route = this.#route
    return {
      durationMs: finishedAt - this.#startedAt,
      upstreamMs: this.#firstByteAt === 0 ? -1 : this.#firstByteAt - this.#startedAt,
      client: this.#client,
      peer: this.#stream.peer.address,
      scheme: this.#stream.peer.scheme,
      method: head.method,
      host: head.host,
      path: this.#path === '' ? head.rawPath : this.#path,
      query: head.query,
      protocol: head.minor === 1 ? 'HTTP/1.1' : 'HTTP/1.0',
      status,
      reason,
      bytesIn: this.#upload?.bytes ?? this.#bytesIn,
      bytesOut: this.#bytesOut,
      service: route === null ? '' : route.service.key,
      router: route === null ? '' : route.router,
      endpoint: endpoint === null ? (this.#tried.at(-1)?.address ?? '') : endpoint.address,
      tried: this.#tried.map((tried) => tried.address),
      requestId: this.#requestId,
      userAgent: head.userAgent,
    }
  }
}

const resultOf = {
  connect: 'connect_failed', reset: 'reset', malformed: 'malformed', 'head timeout': 'timeout', 'body timeout': 'timeout',
} as const satisfies Record<UpstreamFailure['kind'], AttemptResult>

const reasonOf = {
  connect: 'connect_failed',
  reset: 'upstream_reset',
  malformed: 'upstream_malformed',
  'head timeout': 'upstream_head_timeout',
  'body timeout': 'upstream_body_timeout',
} as const satisfies Record<UpstreamFailure['kind'], Reason>
