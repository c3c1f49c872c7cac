// What a proxy is to the bench, and the hosts that all of them know.
import type { Backend } from './backend.ts'
import type { Child, Children } from './children.ts'

export const peerNames = ['nginx', 'haproxy', 'caddy'] as const
export type PeerName = (typeof peerNames)[number]
export type ProxyName = 'serai' | PeerName

export const HOSTS = 1000

export const hostName = (index: number): string => `h${index}.example.org`

/** The host that is asked for, one of the 1,000. */
export const HOST = hostName(500)

/** The host of the gRPC service, besides those. */
export const GRPC_HOST = 'grpc.example.org'

export interface PeerOptions {
  readonly children: Children
  readonly backend: Backend
  /** Of its own; exists. */
  readonly folder: string
  /** Of the TLS listener: P-256, for every host. PEM files, and one that holds both. */
  readonly certificate: { readonly cert: string; readonly key: string; readonly both: string }
  /** The core it runs on. */
  readonly core: number
  /** Serai's alone: its data-plane threads, the text of its services file, and further arguments of `serai run`. */
  readonly workers: number
  readonly services: string
  readonly flags: readonly string[]
}

/** A proxy that accepts connections. */
export interface Started {
  readonly child: Child
  readonly port: number
  /** TLS with HTTP/1.1; Caddy is measured without. */
  readonly tlsPort?: number
  /** nginx with its buffers off, for rows in which bodies matter. */
  readonly unbufferedPort?: number
  /** Grows with every request. */
  readonly accessLog: string
  /** `127.0.0.1:port` of Serai's admin listener. */
  readonly admin?: string
  /** Serai's services file. */
  readonly services?: string
}

export interface Proxy extends Started {
  readonly name: ProxyName
  /** All its processes. */
  pids(): readonly number[]
}
