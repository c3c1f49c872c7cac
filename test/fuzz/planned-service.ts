// Services of Node's own http and http2 that answer as the plan of each request says, and remember what they saw.
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import type { Server, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Certificate } from '#test/support/certificates.ts'
import { collect, pause, pour, reset, type Seen } from './flow.ts'
import { lengthOf, octetsOf, trailersOf, type Plan, type ServiceKind } from './plans.ts'
import { listen } from './strict-backend.ts'

export interface PlannedService extends AsyncDisposable {
  readonly address: string
  /** By serial: what came, once for each time that the request arrived. */
  readonly seen: ReadonlyMap<string, readonly Promise<Seen>[]>
  /** Requests whose serial is nobody's. */
  readonly strangers: readonly string[]
}

export interface ServiceOptions {
  readonly plans: ReadonlyMap<string, Plan>
  readonly certificate: Certificate
  /** Of HTTP/2. */
  readonly settings: http2.Settings
}

export async function startPlannedService(kind: ServiceKind, { plans, certificate, settings }: ServiceOptions): Promise<PlannedService> {
  const seen = new Map<string, Promise<Seen>[]>()
  const strangers: string[] = []
  const sockets = new Set<Socket>()
  const cut = (): void => {
    for (const socket of sockets) reset(socket)
  }
  /** The plan behind a path, `/serial`, of which `see` makes what is remembered. */
  const serve = (path: string | undefined, see: (plan: Plan, serial: string, cutAll: () => void) => Promise<Seen>): void => {
    const serial = path?.slice(1) ?? ''
    const plan = plans.get(serial)
    if (plan === undefined) return void strangers.push(serial)
    seen.set(serial, [...(seen.get(serial) ?? []), see(plan, serial, cut)])
  }
  const server = kind === 'h1' || kind === 'h1-tls' ? oldServer(kind === 'h1-tls', certificate, serve) : newServer(kind === 'h2', certificate, settings, serve)
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
  })
  return { seen, strangers, ...await listen(server) }
}

type Serve = (path: string | undefined, see: (plan: Plan, serial: string, cutAll: () => void) => Promise<Seen>) => void

// ── HTTP/1.1 ──

function oldServer(secure: boolean, certificate: Certificate, serve: Serve): Server {
  const options = { keepAliveTimeout: 120_000, requestTimeout: 0, headersTimeout: 0 }
  const server = secure ? https.createServer({ ...options, ...certificate }) : http.createServer(options)
  server.on('request', (request, response) => {
    serve(request.url, (plan, serial, cutAll) => {
      const cut = (): void => void request.destroy() // Node does not tell a request whose answer is over
      request.socket.once('close', cut)
      request.once('close', () => request.socket.off('close', cut))
      const taken = collect(request, plan)
      void answerOld(request, response, plan, serial, cutAll, new Promise((resolve) => request.once('end', resolve)))
      return taken.then(({ octets, ended, error }) => ({ status: 0, serial, interim: [], octets, trailers: request.trailers['x-sum'], whole: ended && request.complete, why: error }))
    })
  })
  server.on('upgrade', (request: http.IncomingMessage, socket: Socket, head: Buffer) => {
    serve(request.url, (plan, serial, cutAll) => {
      socket.unshift(head)
      socket.on('error', () => undefined)
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Serial: ${serial}\r\n\r\n`)
      return tunnel(socket, 'down', plan, serial, () => plan.cutsAll ? cutAll() : reset(socket)).then((taken) => ({ ...taken, serial }))
    })
  })
  return server
}

async function answerOld(request: http.IncomingMessage, response: http.ServerResponse, plan: Plan, serial: string, cutAll: () => void, ended: Promise<unknown>): Promise<void> {
  const { down, status, answers, hints } = plan
  const giveUp = (): void => {
    if (plan.cutsAll) cutAll()
    else if (plan.code % 2 === 0) reset(request.socket)
    else request.socket.destroy()
  }
  response.on('error', () => undefined)
  if (answers === 'after') await ended
  if (response.destroyed) return
  if (down.stop === 0 && plan.slow) return giveUp()
  for (let hint = 0; hint < hints; hint++) response.writeEarlyHints({ link: `</${hint}>; rel=preload` })
  response.writeHead(status, { 'x-serial': serial, ...lengthOf(down), ...(down.trailers && { trailer: 'x-sum' }), ...(answers === 'instead' && { connection: 'close' }) })
  if (!await pour(response, octetsOf(serial, 'down', down), down)) return giveUp()
  if (answers === 'beside') await ended // what a request has to say behind the end of its answer Serai passes on to nobody
  response.addTrailers(trailersOf(serial, down))
  // Where nobody reads what still comes, Node's TLS may wait for ever.
  if (answers === 'instead') response.once('finish', () => void pause(100).then(() => request.socket.destroy()))
  response.end()
}

// ── HTTP/2 ──

function newServer(secure: boolean, certificate: Certificate, settings: http2.Settings, serve: Serve): Server {
  const options = { settings: { ...settings, enableConnectProtocol: true } }
  const server = secure ? http2.createSecureServer({ ...options, ...certificate }) : http2.createServer(options)
  server.on('sessionError', () => undefined)
  server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    stream.on('error', () => undefined)
    destroyWhenStuck(stream)
    serve(headers[':path'], (plan, serial, cutAll) => {
      const giveUp = (): void => plan.cutsAll ? cutAll() : resetStream(stream, plan.code)
      let good = false
      stream.on('end', () => { good = whole(stream) && !(plan.answers === 'instead' && stream.closed) }) // behind the whole answer it may as well be RST_STREAM with NO_ERROR
      if (plan.kind === 'tunnel') {
        stream.respond({ ':status': 200, 'x-serial': serial })
        return tunnel(stream, 'down', plan, serial, giveUp).then((taken) => ({ ...taken, whole: taken.whole && good, serial }))
      }
      let trailers: string | undefined
      stream.on('trailers', (fields: http2.IncomingHttpHeaders) => { trailers = fields['x-sum'] as string | undefined })
      void answerNew(stream, plan, serial, giveUp)
      return collect(stream, plan).then(({ octets, ended, error }) => ({ status: 0, serial, interim: [], octets, trailers, whole: ended && good, why: `${error} rst ${stream.rstCode}` }))
    })
  })
  return server
}

/** At its end: whether END_STREAM came, and neither RST_STREAM nor the end of the connection, for which Node pushes an end too. */
export const whole = (stream: http2.Http2Stream): boolean => stream.session?.destroyed === false && (!stream.closed || stream.rstCode === http2.constants.NGHTTP2_NO_ERROR)

/**
 * Resets a stream, by CANCEL or INTERNAL_ERROR. Not by close(): Node 26 ends the stream in good order before. And in a turn of its own: while it reads, Node keeps
 * RST_STREAM back and goes on to write, to the end of the process at worst.
 */
export function resetStream(stream: http2.Http2Stream, code: number): void {
  setImmediate(() => stream.destroy(code === http2.constants.NGHTTP2_CANCEL ? new DOMException('given up', 'AbortError') : new Error('given up')))
}

async function answerNew(stream: http2.ServerHttp2Stream, plan: Plan, serial: string, giveUp: () => void): Promise<void> {
  const { down, status, answers, hints } = plan
  const ended = new Promise((resolve) => stream.once('end', resolve).once('close', resolve))
  if (answers === 'after') await ended
  if (stream.destroyed || stream.closed) return
  if (down.stop === 0 && plan.slow) return giveUp()
  for (let hint = 0; hint < hints; hint++) stream.additionalHeaders({ ':status': 103, link: `</${hint}>; rel=preload` })
  if (down.trailers) stream.on('wantTrailers', () => stream.sendTrailers(trailersOf(serial, down)))
  stream.respond({ ':status': status, 'x-serial': serial, ...lengthOf(down) }, { waitForTrailers: down.trailers })
  if (!await pour(stream, octetsOf(serial, 'down', down), down)) return giveUp()
  if (answers === 'beside') await ended
  stream.end()
  // Before END_STREAM is out, this close makes Node 26 write empty DATA frames for ever.
  if (answers === 'instead') stream.once('finish', () => void pause(5).then(() => stream.close(http2.constants.NGHTTP2_NO_ERROR)))
}

/** One side of a tunnel: says its own, ends or gives up, and collects what comes. */
export async function tunnel(duplex: Duplex, own: 'up' | 'down', plan: Plan, serial: string, giveUp: () => void): Promise<Omit<Seen, 'serial'>> {
  const taken = collect(duplex, plan, (octets) => {
    if (own === 'up' && plan.leaves !== undefined && octets >= plan.leaves) giveUp()
  })
  const flow = plan[own]
  void pour(duplex, octetsOf(serial, own, flow), flow).then((all) => {
    if (all) duplex.end()
    else giveUp()
  })
  const { octets, ended, error } = await taken
  return { status: 0, interim: [], octets, trailers: undefined, whole: ended && error === '', why: error }
}

/** Node 26 leaves a stream open for ever whose peer resets it by NO_ERROR behind its whole answer while a write is on its way. */
export function destroyWhenStuck(stream: http2.Http2Stream): void {
  let idle = 0
  const timer = setInterval(() => {
    idle = stream.closed && stream.readableLength === 0 ? idle + 1 : 0
    if (idle === 3) stream.destroy()
  }, 300)
  stream.once('close', () => clearInterval(timer))
}
