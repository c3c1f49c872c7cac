// Clients of Node's own http and http2 that ask as a plan says, and tell what they saw of the answer.
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import { connect, type Socket } from 'node:net'
import tls from 'node:tls'
import { authority } from '#test/support/https.ts'
import { collect, nothingSeen, pour, reset, type Seen } from './flow.ts'
import { lengthOf, octetsOf, trailersOf, type Plan, type Round } from './plans.ts'
import { destroyWhenStuck, resetStream, tunnel, whole } from './planned-service.ts'

export interface PlannedClient extends AsyncDisposable {
  ask(plan: Plan, serial: string, host: string): Promise<Seen>
  /** Sends close_notify (in the clear: FIN) on every connection, whatever runs on it. */
  closeNotify(): void
}

/** A client of the round, towards a port of 127.0.0.1. */
export function startPlannedClient(round: Round, port: number): PlannedClient {
  const sockets = new Set<Socket>()
  const open = (): Socket => {
    const socket = round.tls === undefined
      ? connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: round.client === 'h1' })
      : tls.connect({ port, host: '127.0.0.1', ca: authority.ca, servername: 'a.example.org', ALPNProtocols: [round.client === 'h2' ? 'h2' : 'http/1.1'], minVersion: round.tls, maxVersion: round.tls })
    if (socket instanceof tls.TLSSocket) socket.once('secureConnect', () => socket.setMaxSendFragment(round.fragment))
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    return socket
  }
  const client = round.client === 'h1' ? oldClient(round, open) : newClient(round, open)
  return {
    ...client,
    closeNotify() {
      for (const socket of sockets) socket.end()
    },
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]()
      for (const socket of sockets) socket.destroy()
    },
  }
}

// ── HTTP/1.1 ──

type Client = Omit<PlannedClient, 'closeNotify'>

function oldClient(round: Round, open: () => Socket): Client {
  const agent = round.tls === undefined ? new http.Agent({ keepAlive: true }) : new https.Agent({ keepAlive: true })
  agent.createConnection = open
  return {
    async ask(plan, serial, host) {
      const headers = { host, te: 'trailers', ...(plan.kind === 'tunnel' ? { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-version': '13' } : lengthOf(plan.up)), ...(plan.up.trailers && { trailer: 'x-sum' }) }
      const { request: start } = round.tls === undefined ? http : https
      const request = start({ agent, method: plan.kind === 'tunnel' ? 'GET' : plan.method, path: `/${serial}`, headers })
      let error = ''
      let left = false
      request.on('error', (thrown: NodeJS.ErrnoException) => { error = thrown.code ?? thrown.message })
      const interim: number[] = []
      request.on('information', ({ statusCode }) => interim.push(statusCode))
      const upgraded = new Promise<Seen>((resolve) => request.once('upgrade', (message, socket, head) => {
        socket.unshift(head)
        void tunnel(socket, 'up', plan, serial, () => reset(socket)).then((taken) => resolve({ ...taken, status: 101, serial: message.headers['x-serial'] as string }))
      }))
      const answered = new Promise<http.IncomingMessage>((resolve) => request.once('response', resolve))
      const failed = new Promise<undefined>((resolve) => request.once('close', () => setImmediate(resolve, undefined)))
      if (plan.kind === 'tunnel') request.end()
      else void pour(request, octetsOf(serial, 'up', plan.up), plan.up).then((all) => {
        if (!all) return void request.destroy()
        request.addTrailers(trailersOf(serial, plan.up))
        request.end()
      })
      const collected = answered.then(async (message): Promise<Seen> => {
        const { octets, ended } = await collect(message, plan, (octets) => {
          if (plan.leaves === undefined || octets < plan.leaves) return
          left = true
          request.destroy()
        })
        return { status: message.statusCode ?? 0, serial: message.headers['x-serial'] as string | undefined, interim, octets, trailers: message.trailers['x-sum'], whole: ended && message.complete && !left, why: error }
      })
      let began = false
      request.once('response', () => { began = true }).once('upgrade', () => { began = true })
      return await Promise.race([upgraded, collected, failed.then(() => began ? Promise.race([upgraded, collected]) : { ...nothingSeen, why: error })])
    },
    async [Symbol.asyncDispose]() {
      agent.destroy()
    },
  }
}

// ── HTTP/2 ──

function newClient(round: Round, open: () => Socket): Client {
  const scheme = round.tls === undefined ? 'http' : 'https'
  const session = http2.connect(`${scheme}://127.0.0.1`, { createConnection: open, settings: { initialWindowSize: round.window } })
  let failed = ''
  session.on('error', (thrown: NodeJS.ErrnoException) => { failed = thrown.code ?? thrown.message })
  session.on('goaway', (code) => { failed = `goaway ${code}` })
  const greeted = new Promise<void>((resolve) => session.once('remoteSettings', () => resolve()).once('close', resolve))
  return {
    async ask(plan, serial, host) {
      const shared = { ':path': `/${serial}`, ':authority': host, ':scheme': scheme }
      if (plan.kind === 'tunnel') await greeted
      if (session.destroyed || session.closed) return { ...nothingSeen, why: `no session: ${failed}` }
      const stream = plan.kind === 'tunnel'
        ? session.request({ ...shared, ':method': 'CONNECT', ':protocol': 'websocket', 'sec-websocket-version': '13' }, { endStream: false })
        : session.request({ ...shared, ':method': plan.method, te: 'trailers', ...lengthOf(plan.up) }, { endStream: plan.method === 'GET', waitForTrailers: plan.up.trailers })
      stream.on('error', () => undefined)
      let head: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {}
      const interim: number[] = []
      stream.on('headers', (fields) => interim.push(Number(fields[':status'])))
      stream.on('response', (fields) => { head = fields })
      destroyWhenStuck(stream)
      let good = false
      stream.on('end', () => { good = whole(stream) })
      let left = false
      const giveUp = (): void => {
        left = true
        resetStream(stream, plan.code)
      }
      const heads = (): Pick<Seen, 'status' | 'serial' | 'interim'> => ({ status: Number(head[':status'] ?? 0), serial: head['x-serial'] as string | undefined, interim })
      if (plan.kind === 'tunnel') {
        const taken = await tunnel(stream, 'up', plan, serial, giveUp)
        return { ...taken, ...heads(), whole: taken.whole && good && !left && stream.rstCode === 0, why: `${taken.why} rst ${stream.rstCode} ${failed}` }
      }
      if (plan.up.trailers) stream.on('wantTrailers', () => stream.sendTrailers(trailersOf(serial, plan.up)))
      let trailers: string | undefined
      stream.on('trailers', (fields) => { trailers = fields['x-sum'] as string | undefined })
      if (plan.method !== 'GET') void pour(stream, octetsOf(serial, 'up', plan.up), plan.up).then((all) => {
        if (all) stream.end()
        else giveUp()
      })
      const { octets, ended, error } = await collect(stream, plan, (octets) => { if (plan.leaves !== undefined && octets >= plan.leaves) giveUp() })
      return { ...heads(), octets, trailers, whole: ended && good && !left && stream.rstCode === 0, why: `${error} rst ${stream.rstCode} ${failed}` }
    },
    async [Symbol.asyncDispose]() {
      session.destroy()
    },
  }
}
