// A connection after 101: octets both ways, half-close passed on, idle for a bounded time.
import type { ResponseHead } from '#src/http1/response-head.ts'
import type { Deadlines, Timed } from '#src/io/deadlines.ts'
import type { Member, Roster } from '#src/io/roster.ts'
import type { RequestHead } from '#src/http1/request-head.ts'
import type { ResponseStream, TunnelSink } from '#src/downstream/stream.ts'
import type { UpstreamStream, UpstreamTunnelSink } from '#src/upstream/stream.ts'
import type { Endpoint } from '#src/upstream/endpoint.ts'

/** What a tunnel needs of its worker. */
export interface TunnelHost {
  readonly deadlines: Pick<Deadlines, 'arm' | 'remove'>
  readonly settings: { readonly tunnel: { readonly idleMs: number; readonly afterRemovalMs: number } }
  readonly tunnels: Roster<Tunnel>
}

export class Tunnel implements Timed, Member {
  deadline = 0
  bucketTick = 0
  bucketPlace = 0
  place = -1
  bytesUp = 0
  bytesDown = 0
  readonly endpoint: Endpoint
  readonly #host: TunnelHost
  readonly #stream: ResponseStream
  readonly #connection: UpstreamStream
  readonly #over: (reason: string) => void
  #clientEnded = false
  #upstreamEnded = false
  #sidesDone = 0
  #removed = false
  #closed = false

  /** `over` is called once, with '' or why it did not end by itself. */
  constructor(host: TunnelHost, stream: ResponseStream, connection: UpstreamStream, endpoint: Endpoint, over: (reason: string) => void) {
    this.#host = host
    this.#stream = stream
    this.#connection = connection
    this.endpoint = endpoint
    this.#over = over
    host.tunnels.add(this)
    host.deadlines.arm(this, host.settings.tunnel.idleMs)
  }

  /** Answers the client's wish; `bytes[from, to)` came behind the upstream's agreement. */
  open({ fields, upgrade }: ResponseHead, bytes: Buffer, from: number, to: number): void {
    this.#connection.tunnel(this.fromUpstream)
    this.#stream.tunnel(fields, upgrade, this.fromClient)
    if (to > from) this.fromUpstream.data(bytes, from, to)
  }

  /** What the client's connection tells. */
  readonly fromClient: TunnelSink = {
    data: (bytes, from, to) => {
      this.bytesUp += to - from
      this.#alive()
      this.#connection.send(bytes, from, to, false, '', this.#stream.source)
    },
    end: () => {
      this.#clientEnded = true
      this.#connection.end()
    },
    gone: (reason) => {
      if (reason === 'client_abort' && this.#upstreamEnded && this.#clientEnded) this.#sideDone()
      else this.close(reason === 'client_abort' && this.#clientEnded ? '' : reason)
    },
  }

  /** What the upstream's connection tells. */
  readonly fromUpstream: UpstreamTunnelSink = {
    data: (bytes, from, to) => {
      this.bytesDown += to - from
      this.#alive()
      this.#stream.pass(bytes, from, to, this.#connection.source)
    },
    end: () => {
      this.#upstreamEnded = true
      this.#stream.end()
    },
    gone: () => {
      if (this.#upstreamEnded && this.#clientEnded) this.#sideDone()
      else this.close(this.#upstreamEnded ? '' : 'upstream_reset')
    },
  }

  /** The endpoint has left its services: the tunnel may go on for a while. */
  endpointRemoved(): void {
    if (this.#removed) return
    this.#removed = true
    this.#host.deadlines.arm(this, this.#host.settings.tunnel.afterRemovalMs)
  }

  expired(): void {
    this.close(this.#removed ? 'endpoint_removed' : 'tunnel_idle')
  }

  /** Ends both sides. What broke on one side is a reset on the other: it must not pass for an orderly end. */
  close(reason: string): void {
    if (this.#closed) return
    this.#closed = true
    this.#host.tunnels.delete(this)
    this.#host.deadlines.remove(this)
    this.#connection.cancel(reason === 'client_abort')
    if (reason === 'upstream_reset') this.#stream.cut()
    else this.#stream.shut()
    this.#over(reason)
  }

  /** Both have ended in good order, and one of them has got everything; for the other some may still wait. */
  #sideDone(): void {
    if (++this.#sidesDone === 2) this.close('')
  }

  #alive(): void {
    if (!this.#removed) this.#host.deadlines.arm(this, this.#host.settings.tunnel.idleMs)
  }
}

/** It asks for a tunnel in the way of HTTP/2 (RFC 8441), which has no other answer than the tunnel, or none. */
export const isConnect = (head: RequestHead): boolean => head.version === '2.0' && head.upgrade !== ''
