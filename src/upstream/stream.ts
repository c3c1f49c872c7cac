// The two sides of an attempt, whatever protocol the endpoint speaks: what is sent, and what becomes of it.
import type { Source, Wire } from '#src/io/wire.ts'
import type { ResponseHead } from '#src/http1/response-head.ts'

/** How an attempt failed, on the upstream's side. */
export type UpstreamFailure =
  | { readonly kind: 'connect'; readonly detail: string }
  /**
   * The connection ended before the response was whole. `stale`: it was a pooled one, and no octet of a response had come.
   * `untaken`: nobody can have acted on the request: the kernel took no octet of it, or the upstream said that it did not.
   */
  | { readonly kind: 'reset'; readonly detail: string; readonly stale: boolean; readonly untaken: boolean }
  /**
   * The endpoint broke the protocol's rules. `of` the `connection`: a frame that is nobody's answer, and ends those of all (HTTP/2); nothing is
   * known of whether this request was to blame.
   */
  | { readonly kind: 'malformed'; readonly of: 'answer' | 'connection'; readonly detail: string }
  | { readonly kind: 'head timeout'; readonly detail: string }
  | { readonly kind: 'body timeout'; readonly detail: string }

/** Where a response goes. Spans are of the read buffer and gone when the call returns. */
export interface ResponseSink {
  /** The connection is there and takes the request now. */
  connected(): void
  /** A 1xx other than 101. */
  informational(head: ResponseHead): void
  /** `end`: the body, which may be empty, is complete with this span. A 101 opens a tunnel, in whatever way the protocol does that. */
  responseHead(head: ResponseHead, bytes: Buffer, from: number, to: number, end: boolean, trailers: string): void
  responseBody(bytes: Buffer, from: number, to: number, end: boolean, trailers: string): void
  /** Nothing more comes; the connection is gone or going. */
  upstreamFailed(failure: UpstreamFailure): void
}

/** Hears what comes through the tunnel that a 101 opened. */
export interface UpstreamTunnelSink {
  data(bytes: Buffer, from: number, to: number): void
  end(): void
  gone(): void
}

/** A request as its upstream gets it. Milliseconds. */
export interface UpstreamRequest {
  readonly method: string
  /** The protocol that it asks to change to, or ''. */
  readonly upgrade: string
  /** It has no body to come, other than what was kept of it. */
  readonly whole: boolean
  /** It has no body at all. */
  readonly empty: boolean
  readonly headTimeoutMs: number
  readonly bodyTimeoutMs: number
  /** HTTP/1.1: all of the head, its empty line included. HTTP/2: its lines alone, without pseudo-header, connection and framing fields. */
  readonly text: string
  /** For HTTP/2: path with query, and authority. */
  readonly target: string
  readonly authority: string
}

/** One request's way to an endpoint and back: a whole HTTP/1.1 connection while it is lent, or one stream of an HTTP/2 connection. */
export interface UpstreamStream {
  /** It can take the request at once; otherwise its sink hears `connected`. */
  readonly ready: boolean
  /** Where the octets of the response, or of the tunnel, come from. */
  readonly source: Source
  /** The wire that octets passed to it wait in; null: what cannot go at once is copied. */
  readonly wire: Wire | null
  /** It may yet turn out that nobody has acted on the request: what is kept of its body has to stay at hand. */
  readonly mayBeUntaken: boolean
  /** Begins the attempt: sends the head, and `first`, which is the beginning of an HTTP/1.1 body as it is framed. */
  begin(sink: ResponseSink, request: UpstreamRequest, first: string): void
  /**
   * Sends octets that `source` has just read, the next of the body (as it is framed) or of the tunnel. `end`: they are the body's last, and
   * `tail` is what follows them: the last chunk, or for HTTP/2 the lines of trailers.
   */
  send(bytes: Buffer, from: number, to: number, end: boolean, tail: string, source: Source): void
  /** Sends what was kept of the body. */
  sendKept(piece: string | Buffer, end: boolean, tail: string, source: Source): void
  /** After a 101 was handed on: everything that comes goes to `sink`. */
  tunnel(sink: UpstreamTunnelSink): void
  /** Nothing more goes up through the tunnel. */
  end(): void
  /** The attempt is given up: nothing of it may reach the next one. `broken`: the endpoint must not take what it got for complete. */
  cancel(broken?: boolean): void
}
