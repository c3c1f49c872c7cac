// The two sides of a request as the client's protocol sees it: what it hands over, and what it can be told to answer.
import type { Source } from '#src/io/wire.ts'
import type { ClientPolicy } from '#src/snapshot.ts'
import type { HeadFault, RequestHead } from '#src/http1/request-head.ts'
import type { OutgoingHead } from '#src/http1/response-text.ts'

/** What a client's TLS connection was made for. */
export interface PeerTls {
  /** Lower case; '' when the client named none. */
  readonly serverName: string
  /** Equal for names that may share the connection (tls/identities.ts). */
  readonly scope: string
  /** The client policies that were in force. */
  readonly policies: readonly ClientPolicy[]
  /** The line that tells upstreams the subject of the client's verified certificate, or ''. */
  readonly subjectField: string
}

/** What a client gets instead of being served: it speaks plain HTTP to a TLS listener, or is sent to https. */
export type Instead = '' | 'plain_http' | 'redirect'

/** Who is at the other end of a connection. */
export interface Peer {
  /** IP address; IPv4 in its own form even when it came over an IPv6 socket. */
  readonly address: string
  /** It is in `trust.forwarded`. */
  readonly trusted: boolean
  readonly scheme: 'http' | 'https'
  /** The port it connected to. */
  readonly localPort: number
  /** When it connected: milliseconds of the worker's coarse clock. */
  readonly since: number
  /** Null: in the clear. */
  readonly tls: PeerTls | null
  readonly instead: Instead
  /** The port of https that requests are sent to. */
  readonly redirectPort: number
  /** What was last told of it, to an upstream (proxy/forwarding.ts) and in the access log (proxy/account.ts). */
  readonly told: Told
}

/** Texts that are the same for each request of a connection that says the same of itself. */
export interface Told {
  /** What `lines` is made of. */
  authority: string | undefined
  version: RequestHead['version']
  /** For upstreams. */
  lines: string
  /** What `logged` is made of. */
  client: string
  protocol: string
  host: string
  userAgent: string
  /** For the access log; '' before the first. */
  logged: string
}

export const nothingTold = (): Told => ({ authority: undefined, version: '1.1', lines: '', client: '', protocol: '', host: '', userAgent: '', logged: '' })

/** Why a head was not taken; 408 when it did not come in time. */
export type Refused = HeadFault | { readonly status: 408; readonly reason: string }

/** Where a request goes: the exchange that answers it. Spans are gone when the call returns. */
export interface RequestSink {
  /** `end`: the body is complete with this span. */
  requestBody(bytes: Buffer, from: number, to: number, end: boolean, trailers: string): void
  /** The client will not get an answer: it went away, or broke the rules in mid-body. The stream is closed already. */
  clientGone(reason: ClientGone): void
}

/** The client's end of a tunnel, as heard by the other. */
export interface TunnelSink {
  data(bytes: Buffer, from: number, to: number): void
  /** It sends nothing more; it may still read. */
  end(): void
  /** It is no more; `client_abort` after `end` is an orderly one. */
  gone(reason: ClientGone): void
}

export type ClientGone = 'client_abort' | 'client_body_timeout' | 'client_write_timeout' | 'malformed_body' | 'shutdown' | 'internal_error'

/** One request's way back to the client. */
export interface ResponseStream {
  readonly peer: Peer
  /** Where the octets of its body, or of its tunnel, come from. */
  readonly source: Source
  interim(status: number, reason: string, fields: string): void
  /** The head and the first span of the body, which `source` has read. */
  respond(head: OutgoingHead, bytes: Buffer, from: number, to: number, end: boolean, trailers: string, source: Source): void
  respondBody(bytes: Buffer, from: number, to: number, end: boolean, trailers: string, source: Source): void
  /** An answer of our own: small, complete. `close`: what follows on this connection cannot be trusted, where that is one request after the other. */
  answer(head: OutgoingHead, body: string, close: boolean): void
  /** Ends the response so that the client knows it is not complete. */
  cut(): void
  /** Says yes and becomes a tunnel: what the client sends goes to `sink` from now on. */
  tunnel(fields: string, protocol: string, sink: TunnelSink): void
  /** Octets for the client, through the tunnel. */
  pass(bytes: Buffer, from: number, to: number, source: Source): void
  /** Nothing more goes to the client through the tunnel. */
  end(): void
  /** Ends the tunnel, or the request, at once. */
  shut(): void
}

/** Takes a request; the result gets the rest of its body, and its end. */
export type RequestHandler = (stream: ResponseStream, head: RequestHead, bytes: Buffer, from: number, to: number, end: boolean, trailers: string) => RequestSink
