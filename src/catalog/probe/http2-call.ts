// One HTTP/2 request on a connection of its own, by node:http2; who made it judges the answer.
import http2 from 'node:http2'
import type { ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2'
import net from 'node:net'
import tls from 'node:tls'
import { failureWords } from '#src/catalog/failure-words.ts'
import { errorName, NO_ERROR } from '#src/http2/error-code.ts'
import { guardedLookup } from './target.ts'
import type { ProbeTarget } from './target.ts'

export interface Call {
  /** Over TLS, with h2 by ALPN; else in the clear, by prior knowledge. */
  readonly secure: boolean
  /** '': the address. */
  readonly authority: string
  /** In lower case, without `:scheme` and `:authority`. */
  readonly fields: OutgoingHttpHeaders
  readonly body: string | Buffer
  /** From the look-up of the name to the decision. */
  readonly timeoutMs: number
}

/** Watches the answer, and says '' or why not as soon as it is decided. */
export type Judge = (stream: ClientHttp2Stream, answer: (failure: string) => void) => void

/** Octets of a head, and of a body that nobody has read yet; memory in megabytes. */
const limits = { settings: { enablePush: false, initialWindowSize: 16_384, maxHeaderListSize: 16_384 }, maxSessionMemory: 1 } as const

/**
 * What the judge says, or why there was nothing to judge. Never rejects; whatever the other side does, nothing of the connection is left once it is decided.
 * Floods of frames end by Node's own limits, or at the deadline. Certificates are not verified: health is asked for, not identity.
 */
export function callOnce(call: Call, target: ProbeTarget, judge: Judge): Promise<string> {
  const { secure, timeoutMs } = call
  return new Promise((resolve) => {
    let socket: net.Socket | undefined
    const timer = setTimeout(() => { answer(`no answer in ${timeoutMs} ms`) }, timeoutMs)
    const answer = (failure: string): void => {
      clearTimeout(timer)
      resolve(failure)
      // Not its session, which would end it in good order and wait for a peer that reads nothing.
      socket?.destroy()
    }
    const attempt = (step: () => void): void => {
      try {
        step()
      } catch (error) { // an address or a field that cannot be sent
        answer(failureWords(error))
      }
    }
    attempt(() => {
      const opened = dial(call, target)
      socket = opened
      opened.on('error', (error) => { answer(failureWords(error)) })
      opened.once('close', () => { answer('connection closed before an answer') })
      opened.once(secure ? 'secureConnect' : 'connect', () => {
        if (opened instanceof tls.TLSSocket && opened.alpnProtocol !== 'h2') answer('its TLS does not offer h2 (ALPN)')
        else attempt(() => { judge(request(opened, call, target, answer), answer) })
      })
    })
  })
}

function dial({ secure, authority }: Call, { host, port, refuses }: ProbeTarget): net.Socket {
  const way = { host, port, ...(refuses === undefined ? {} : { lookup: guardedLookup(refuses) }) }
  const serverName = authority || host
  return secure ? tls.connect({ ...way, ALPNProtocols: ['h2'], rejectUnauthorized: false, servername: net.isIP(serverName) === 0 ? serverName : '' }) : net.connect(way)
}

function request(socket: net.Socket, { secure, authority, fields, body }: Call, { host, port }: ProbeTarget, answer: (failure: string) => void): ClientHttp2Stream {
  // The URL stands for nothing: a request has its own scheme and authority.
  const session = http2.connect('http://probe', { ...limits, createConnection: () => socket })
  let speaks = false
  session.once('remoteSettings', () => { speaks = true })
  session.on('goaway', (code: number, lastId: number) => { if (code !== NO_ERROR || lastId === 0) answer(`GOAWAY ${errorName(code)}`) })
  const address = `${net.isIPv6(host) ? `[${host}]` : host}:${port}`
  const stream = session.request({ ':scheme': secure ? 'https' : 'http', ':authority': authority || address, 'user-agent': 'Serai-Probe', ...fields }, { endStream: body.length === 0 })
  const fail = (error: NodeJS.ErrnoException): void => {
    if (error.code === 'ERR_HTTP2_STREAM_ERROR') answer(`stream error ${errorName(stream.rstCode)}`)
    else if (error.code === 'ERR_HTTP2_ERROR') answer(speaks ? `malformed HTTP/2: ${error.message}` : 'it does not speak HTTP/2')
    else answer(failureWords(error))
  }
  session.on('error', fail)
  stream.on('error', fail)
  stream.once('close', () => { answer(stream.rstCode === NO_ERROR ? 'its answer ended without a status' : `stream error ${errorName(stream.rstCode)}`) })
  if (body.length > 0) stream.end(body)
  return stream
}
