// One request and its response: route, pick, attempt, forward, account. The life of a request (DESIGN section 3) in code.
import type { Timed } from '#src/io/deadlines.ts'
import type { RequestHead } from '#src/http1/request-head.ts'
import type { ResponseHead } from '#src/http1/response-head.ts'
import type { ClientGone, Instead, RequestSink, ResponseStream } from '#src/downstream/stream.ts'
import { NO_STATUS, NOT_GRPC } from '#src/observe/grpc-status.ts'
import { matchRoute } from '#src/routing/match.ts'
import { normalisePath } from '#src/routing/path.ts'
import type { ResponseSink, UpstreamFailure, UpstreamStream } from '#src/upstream/stream.ts'
import { noEndpoints, type Endpoint } from '#src/upstream/endpoint.ts'
import type { Waiter } from '#src/upstream/pool.ts'
import { accessRecord, countBegun, countEnded, debugField, type ExchangeFacts } from './account.ts'
import { statusOf, type Reason } from './answers.ts'
import { forwarding, trustedForwarding } from './forwarding.ts'
import { grpcKindOf, grpcPatience, grpcStatusIn, grpcStatusOf, grpcTimeoutMs } from './grpc.ts'
import { Base64Reader, grpcHead, GrpcWebReply } from './grpc-web.ts'
import { HOLD_MS, successorOf, type Held } from './held.ts'
import { answerInstead } from './https-redirect.ts'
import { reasonOf, resultOf, statusWhenGone } from './outcomes.ts'
import { hstsFor, outgoingHead } from './outgoing.ts'
import { ownAnswer } from './own-answer.ts'
import type { Plane } from './plane.ts'
import { isIdempotent, mayRetry } from './retry.ts'
import { requestLines, requestText } from './request-text.ts'
import { countAttempt, type CompiledRoute } from './route.ts'
import { isConnect, Tunnel } from './tunnel.ts'
import { bodyFraming, SMALL, Upload } from './upload.ts'

export class Exchange implements RequestSink, ResponseSink, Waiter, Held, Timed, ExchangeFacts {
  deadline = 0
  bucketTick = 0
  bucketPlace = 0
  stream: ResponseStream
  head: RequestHead
  readonly startedAt: number
  path = ''
  client: string
  requestId = ''
  route: CompiledRoute | null = null
  endpoint: Endpoint | null = null
  tried: readonly Endpoint[] = noEndpoints
  attempts = 0
  failure = ''
  /** It is NO_STATUS as soon as it is known to be a call of gRPC. */
  grpcStatus = NOT_GRPC
  firstByteAt = 0
  bytesOut = 0
  readonly #plane: Plane
  #text = ''
  /** The connection that the request is written to, once it may be. */
  #connection: UpstreamStream | null = null
  /** A connection that is being opened for this exchange. */
  #opening: UpstreamStream | null = null
  #repeats = 0
  #staleRepeated = false
  /** The last attempt was refused, which says nothing against its endpoint: when no other is left, it is asked again. */
  #untaken = false
  /** The request's body; null when it has none. */
  #upload: Upload | null = null
  /** The body comes in base64. */
  #base64: Base64Reader | null = null
  #tunnel: Tunnel | null = null
  #upgrade = ''
  /** What it waits for, and until when; and when all of it ends. The worker's clock. */
  #waiting: '' | 'connection' | 'table' = ''
  #queuedUntil = 0
  #heldUntil = 0
  #endsAt = Number.POSITIVE_INFINITY
  #status = 0
  #reason: Reason | '' = ''
  #over = false

  constructor(plane: Plane, stream: ResponseStream, head: RequestHead) {
    this.#plane = plane
    this.stream = stream
    this.head = head
    this.startedAt = plane.clock()
    this.client = stream.peer.address
    plane.count('exchanges', 1)
  }

  get bytesIn(): number {
    return this.#upload?.bytes ?? this.#tunnel?.bytesUp ?? 0
  }

  /** Goes as far as it can at once; `bytes[from, to)` is the beginning of the body. */
  start(bytes: Buffer, from: number, to: number, end: boolean, trailers: string): void {
    const plane = this.#plane
    const { head, stream: { peer } } = this
    this.requestId = plane.requestId()
    // 1. Who is asking.
    let forwarded: string
    if (peer.trusted) {
      const told = trustedForwarding(head, peer, plane.settings.via, this.requestId, plane.trusted)
      this.client = told.client
      this.requestId = told.requestId
      forwarded = told.fields
    } else forwarded = forwarding(head, peer, plane.settings.via, this.requestId)
    if (peer.instead !== '' && this.#insteadOfServing(peer.instead)) return
    // 2. Which route.
    const path = head.rawPath === '*' ? '*' : normalisePath(head.rawPath)
    if (path === undefined) return this.#refuse('bad_path')
    this.path = path
    if (plane.overloaded) return this.#refuse('overloaded')
    if (plane.misdirected(peer, head.host)) return this.#refuse('misdirected')
    const route = matchRoute(plane.table, head.host, path === '*' ? '/' : path)
    if (route === undefined) return this.#refuse(plane.complete ? 'no_route' : 'not_ready')
    this.route = route
    countBegun(route)
    if (route.refuse !== '' && route.refuse !== 'vanished') return this.#refuse('route_problem')
    // 3. The request as the upstream gets it.
    if (head.upgrade !== '' && head.contentLength === 0 && route.policy.upgrades.includes(head.upgrade)) this.#upgrade = head.upgrade
    else if (isConnect(head)) return this.#refuse('upgrade_refused')
    if (route.policy.totalTimeoutMs > 0) this.#endsAt = this.startedAt + route.policy.totalTimeoutMs
    if (route.service.grpc) this.#beginGrpc()
    if (this.#endsAt !== Number.POSITIVE_INFINITY) this.#arm()
    const added = peer.tls === null ? forwarded : forwarded + peer.tls.subjectField
    const { http2 } = route.service
    this.#text = http2 ? requestLines(this.head, added) : requestText(head, path, added, this.#upgrade)
    if (head.contentLength !== 0) this.#upload = new Upload(this.stream.source, bodyFraming(head, http2), plane.buffers)
    // A small beginning of the body goes with the head in one write; a large one need not be copied where there is a connection at once.
    const large = to - from >= SMALL && this.#base64 === null
    if (head.contentLength !== 0 && !large) this.requestBody(bytes, from, to, end, trailers)
    if (this.#over) return
    route.service.budget.deposit()
    // 4. An endpoint, and if need be another.
    this.#attempt(route)
    if (large) this.requestBody(bytes, from, to, end, trailers)
  }

  requestBody(bytes: Buffer, from: number, to: number, end: boolean, trailers: string): void {
    if (this.#over) return
    if (this.#base64 !== null) {
      const decoded = this.#base64.read(bytes, from, to)
      if (decoded === undefined || (end && !this.#base64.complete)) return this.#breakOff('bad_body')
      this.#upload?.take(this.#connection, decoded.bytes, Base64Reader.from, decoded.to, end, trailers)
    } else this.#upload?.take(this.#connection, bytes, from, to, end, trailers)
  }

  /** A gRPC call: it may set a deadline of its own, and come from a browser. */
  #beginGrpc(): void {
    const kind = grpcKindOf(this.head)
    if (kind === '') return
    this.grpcStatus = NO_STATUS
    this.#endsAt = Math.min(this.#endsAt, this.startedAt + grpcTimeoutMs(this.head))
    if (kind === 'grpc') return
    if (kind === 'web text') this.#base64 = new Base64Reader()
    this.head = grpcHead(this.head, kind === 'web text')
    this.stream = new GrpcWebReply(this.stream, kind === 'web text')
  }

  clientGone(reason: ClientGone): void {
    if (this.#over) return
    this.#cancelUpstream()
    if (reason === 'client_abort') this.#plane.count('client_aborts_total', 1)
    this.#finish(statusWhenGone[reason] ?? 499, reason)
  }

  #attempt(route: CompiledRoute): void {
    const target = this.#plane.pick(route, this.tried, this.head, this.client, this.path, this.#untaken)
    if (target === undefined) return this.#nobodyLeft(route, this.#reason === '' ? (route.refuse === 'vanished' ? 'service_gone' : 'no_endpoint') : this.#reason)
    this.endpoint = target.endpoint
    this.#queuedUntil = 0
    target.endpoint.inFlight++
    this.#acquire(route, target.endpoint)
  }

  #acquire(route: CompiledRoute, endpoint: Endpoint): void {
    const trust = this.#staleRepeated ? 'new' : isIdempotent(this.head.method) ? 'any' : 'recent'
    const got = this.#plane.poolOf(endpoint).acquire(this, this, trust, this.head.host)
    if (got === 'full') {
      this.#giveUpEndpoint(endpoint)
      this.#reason = 'overloaded'
      this.#attempt(route)
    } else if (got === 'queued') {
      this.#waiting = 'connection'
      if (this.#queuedUntil === 0) this.#queuedUntil = this.#plane.clock() + this.#plane.settings.upstream.queueMs
      this.#arm()
    } else {
      this.attempts++
      if (got.ready) this.#send(route, got)
      else this.#opening = got
    }
  }

  /** It fails for this reason, unless the next table names somebody in time. */
  #nobodyLeft(route: CompiledRoute, reason: Reason): void {
    if (this.tableChanged()) return // it began with an older one
    const now = this.#plane.clock()
    if (this.#heldUntil === 0) this.#heldUntil = now + HOLD_MS
    if (reason === 'overloaded' || now >= this.#heldUntil || !this.#plane.held.add(this, route.service, now)) return this.#refuse(reason)
    this.#waiting = 'table'
    this.#reason = reason
    this.#arm()
  }

  tableChanged(): boolean {
    const route = this.route === null ? undefined : successorOf(this.route, this.#plane.table, this.head.host, this.path)
    if (route === undefined) return false
    this.#stopWaiting()
    this.route = route
    this.#repeats = 0
    this.#arm()
    this.#attempt(route)
    return true
  }

  #stopWaiting(): void {
    if (this.#waiting === 'table') this.#plane.held.delete(this)
    if (this.#waiting === 'connection' && this.endpoint !== null) this.#plane.poolOf(this.endpoint).leaveQueue(this)
    this.#waiting = ''
  }

  get #waitsUntil(): number {
    return this.#waiting === '' ? Number.POSITIVE_INFINITY : this.#waiting === 'table' ? this.#heldUntil : this.#queuedUntil
  }

  /** A place in the queue came up, or the connection that was being opened has no room. */
  retry(): void {
    if (this.#over || this.endpoint === null || this.route === null) return
    this.#waiting = ''
    if (this.#opening !== null) this.attempts-- // it was counted, and nothing was sent
    this.#opening = null
    this.#arm()
    this.#acquire(this.route, this.endpoint)
  }

  connected(): void {
    const connection = this.#opening
    this.#opening = null
    if (connection !== null && this.route !== null) this.#send(this.route, connection)
  }

  #send(route: CompiledRoute, connection: UpstreamStream): void {
    const { method, authority } = this.head
    const upload = this.#upload
    const { policy, service: { http2 } } = route
    const { headTimeoutMs, bodyTimeoutMs } = this.grpcStatus === NOT_GRPC ? policy : grpcPatience(policy, this.#endsAt, this.#plane.settings.tunnel.idleMs)
    this.#connection = connection
    connection.begin(this, {
      method, upgrade: this.#upgrade, whole: upload === null || upload.ended, empty: upload === null, headTimeoutMs, bodyTimeoutMs,
      text: this.#text, target: http2 ? this.path + this.head.query : '', authority,
    }, upload === null ? '' : upload.first)
    upload?.sendRest(connection, isIdempotent(method))
  }

  upstreamFailed(failure: UpstreamFailure): void {
    const { endpoint, route } = this
    if (this.#over || endpoint === null || route === null) return
    const stale = failure.kind === 'reset' && failure.stale
    this.#untaken = failure.kind === 'reset' && failure.untaken
    countAttempt(this.route, resultOf[failure.kind])
    this.#plane.failed(endpoint, route.service, failure)
    this.#connection = null
    this.#opening = null
    this.failure = `${failure.kind}: ${failure.detail}`
    const reason = reasonOf[failure.kind]
    if (this.#status !== 0) return this.#breakOff(reason)
    const decision = mayRetry({
      failure, method: this.head.method, bodyWhole: this.#upload === null || this.#upload.whole, repeats: this.#repeats, staleRepeated: this.#staleRepeated,
      allowedRepeats: route.policy.retryAttempts, elapsedMs: this.#plane.clock() - this.startedAt, retryTimeoutMs: route.policy.retryTimeoutMs,
    })
    this.#reason = reason
    if (decision === 'no' || decision === 'spent' || (decision === 'budgeted' && !this.#plane.mayRepeat(route.service.budget))) {
      this.#giveUpEndpoint(endpoint)
      return decision === 'spent' ? this.#nobodyLeft(route, reason) : this.#refuse(reason)
    }
    if (stale && !this.#staleRepeated) {
      this.#staleRepeated = true // it says nothing about the endpoint: it may be asked again, by a new connection
      this.#leaveEndpoint()
    } else {
      this.#giveUpEndpoint(endpoint)
      this.#repeats++
    }
    this.#plane.count('retries_total', 1)
    this.#attempt(route)
  }

  informational(head: ResponseHead): void {
    this.stream.interim(head.status, head.reason, head.fields)
  }

  responseHead(head: ResponseHead, bytes: Buffer, from: number, to: number, end: boolean, trailers: string): void {
    const { endpoint, route } = this
    if (this.#over || endpoint === null || route === null) return
    if (head.status >= 200 && head.status < 300 && isConnect(this.head)) return this.#breakOff('upstream_malformed') // it would say that there is a tunnel
    this.firstByteAt = this.#plane.clock()
    this.#status = head.status
    this.#upload?.forget()
    this.#plane.answered(endpoint, route, head.status, this.firstByteAt)
    if (head.status === 101) return this.#openTunnel(endpoint, head, bytes, from, to)
    this.bytesOut += to - from
    const date = head.hasDate ? '' : this.#plane.dateField()
    this.stream.respond(outgoingHead(head, this.head.method, date + debugField(this), hstsFor(this.stream.peer, this.#plane.hstsField)), bytes, from, to, end, trailers, this.#connection!.source)
    if (end) this.#complete(trailers === '' ? head.fields : trailers)
  }

  responseBody(bytes: Buffer, from: number, to: number, end: boolean, trailers: string): void {
    if (this.#over) return
    this.bytesOut += to - from
    this.stream.respondBody(bytes, from, to, end, trailers, this.#connection!.source)
    if (end) this.#complete(trailers)
  }

  #openTunnel(endpoint: Endpoint, head: ResponseHead, bytes: Buffer, from: number, to: number): void {
    this.#plane.deadlines.remove(this) // a tunnel has a time of its own
    const tunnel = new Tunnel(this.#plane, this.stream, this.#connection!, endpoint, (reason) => {
      this.bytesOut = tunnel.bytesDown
      countAttempt(this.route, 'ok')
      this.#finish(101, reason)
    })
    this.#tunnel = tunnel
    tunnel.open(head, bytes, from, to)
  }

  /** The response came to its end; `last` are its trailers, or the head that had no body. */
  #complete(last: string): void {
    if (this.grpcStatus !== NOT_GRPC) this.grpcStatus = grpcStatusIn(last)
    countAttempt(this.route, 'ok')
    if (this.endpoint !== null && this.route !== null) this.#plane.succeeded(this.endpoint, this.route, this.#status)
    this.#finish(this.#status, '')
  }

  expired(): void {
    this.#breakOff(this.#waitsUntil > this.#endsAt ? 'total_timeout' : this.#waiting === 'table' && this.#reason !== '' ? this.#reason : 'overloaded')
  }

  /** It ends here, with an answer of ours if there was none. */
  #breakOff(reason: Reason): void {
    this.#cancelUpstream()
    if (this.#status === 0) return this.#refuse(reason)
    this.stream.cut()
    this.#finish(this.#status, reason)
  }

  #arm(): void {
    const { deadlines } = this.#plane
    const until = Math.min(this.#waitsUntil, this.#endsAt)
    if (until === Number.POSITIVE_INFINITY) deadlines.disarm(this)
    else deadlines.arm(this, Math.max(0, until - this.#plane.clock()))
  }

  /** A listener that does not serve what it gets: false when this request is to be served all the same. */
  #insteadOfServing(instead: Exclude<Instead, ''>): boolean {
    const answer = answerInstead(instead, this.head, this.stream.peer, this.#plane)
    if (typeof answer !== 'object') {
      if (answer !== '') this.#refuse(answer)
      return answer !== ''
    }
    this.#finish(answer.head.status, '')
    this.stream.answer(answer.head, answer.body, false)
    return true
  }

  /** An answer of our own. */
  #refuse(reason: Reason): void {
    if (this.grpcStatus !== NOT_GRPC || grpcKindOf(this.head) === 'grpc') this.grpcStatus = grpcStatusOf(reason)
    const { head, body } = ownAnswer(this, reason, this.#plane)
    this.bytesOut = head.bodiless ? 0 : body.length
    if (reason === 'overloaded') this.#plane.count('requests_refused_total', 1)
    this.#finish(statusOf(reason), reason)
    this.stream.answer(head, body, reason === 'bad_path' || reason === 'plain_http')
  }

  #cancelUpstream(): void {
    const connection = this.#connection ?? this.#opening
    const agreeing = this.#upgrade !== '' && this.#connection !== null // its 101 may be on its way, and FIN would be the end of a tunnel
    this.#connection = this.#opening = null
    this.#stopWaiting()
    if (connection === null) return
    countAttempt(this.route, 'aborted')
    connection.cancel(agreeing)
  }

  /** It is not asked again for this request while another is left. */
  #giveUpEndpoint(endpoint: Endpoint): void {
    this.tried = [...this.tried, endpoint]
    this.#leaveEndpoint()
  }

  #leaveEndpoint(): void {
    if (this.endpoint === null) return
    this.endpoint.inFlight--
    this.endpoint = null
  }

  #finish(status: number, reason: string): void {
    if (this.#over) return
    this.#over = true
    const plane = this.#plane
    const finishedAt = plane.clock()
    countEnded(this, status, finishedAt, plane.unrouted)
    plane.count('exchanges', -1)
    if (plane.logging) plane.log(accessRecord(this, status, reason, finishedAt))
    this.#upload?.release()
    this.#leaveEndpoint()
    plane.deadlines.remove(this)
    this.#connection = null
  }
}
