// What asks: wrk where it is installed, else autocannon; in a closed loop on a number of connections, until it is told to stop.
import { createRequire } from 'node:module'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LOAD_CORE, type Child, type Children } from './children.ts'
import { GRPC_HOST, HOST } from './peer.ts'
import { findProgram } from './programs.ts'

export interface Load {
  readonly path: string
  readonly connections: number
  /** Octets of the body of a POST; 0: a GET. */
  readonly bodyBytes?: number
  /** Requests sent at once on a connection. */
  readonly pipelined?: number
  /** A new connection for each request. */
  readonly close?: boolean
  /** TLS 1.3, X25519, AES-128-GCM: requests on connections that stay, or each with a handshake of its own, whole or resumed. */
  readonly tls?: 'kept' | 'full' | 'resumed'
  /** HTTP/2, with so many streams at once on each connection. */
  readonly streams?: number
  /** Each request is a call of the gRPC service, with an empty message. */
  readonly grpc?: boolean
}

const LONG = '600' // seconds; it is stopped before

/** Starts to ask `port` of 127.0.0.1. */
export function startLoad(children: Children, folder: string, port: number, load: Load): Child {
  if (load.tls === 'kept') return startH2load(children, folder, port, load)
  if (load.tls !== undefined) return startHandshakes(children, port, load)
  return findProgram('wrk') !== undefined ? startWrk(children, folder, port, load) : startAutocannon(children, folder, port, load)
}

/** Errors that the generator saw, as it says them in the end; '' when there were none. */
export function errorsOf(output: string): string {
  const said = output.match(/Non-2xx.*|Socket errors.*|[1-9][0-9]* errors.*|[1-9][0-9]* (?:[345]xx|non 2xx).*/g)
  return said === null ? '' : said.join('; ')
}

function startH2load(children: Children, folder: string, port: number, { path, connections, streams, grpc = false }: Load): Child {
  const message = join(folder, 'message')
  if (grpc) writeFileSync(message, Buffer.alloc(5))
  return children.start('h2load', [
    ...(streams === undefined ? ['--h1'] : ['-m', String(streams)]), '-t', '1', '-c', String(connections), '-D', LONG, '--groups', 'X25519', '--tls13-ciphers', 'TLS_AES_128_GCM_SHA256',
    ...(grpc ? ['-d', message, '-H', 'content-type: application/grpc', '-H', 'te: trailers'] : []),
    '--connect-to', `127.0.0.1:${port}`, `https://${grpc ? GRPC_HOST : HOST}:${port}${path}`,
  ], { core: LOAD_CORE })
}

function startHandshakes(children: Children, port: number, { path, connections, tls }: Load): Child {
  const program = fileURLToPath(new URL('handshakes.ts', import.meta.url))
  return children.start('node', [program, String(port), path, String(connections), tls === 'resumed' ? '-reuse' : '-new'], { core: LOAD_CORE })
}

function startWrk(children: Children, folder: string, port: number, { path, connections, bodyBytes = 0, pipelined = 1, close = false }: Load): Child {
  const script = join(folder, 'wrk.lua')
  const fields = `wrk.headers["Host"] = "${HOST}"\n${close ? 'wrk.headers["Connection"] = "close"\n' : ''}`
  const body = bodyBytes === 0 ? '' : `wrk.method = "POST"\nwrk.body = string.rep("x", ${bodyBytes})\n`
  const pipeline = pipelined === 1 ? '' : `function init()\n  all = string.rep(wrk.format(), ${pipelined})\nend\nfunction request() return all end\n`
  writeFileSync(script, fields + body + pipeline)
  return children.start('wrk', ['-t', '1', '-c', String(connections), '-d', LONG, '--timeout', '10', '-s', script, `http://127.0.0.1:${port}${path}`], { core: LOAD_CORE })
}

function startAutocannon(children: Children, folder: string, port: number, { path, connections, bodyBytes = 0, pipelined = 1, close = false }: Load): Child {
  const program = createRequire(import.meta.url).resolve('autocannon')
  const body = join(folder, 'autocannon.body')
  writeFileSync(body, 'x'.repeat(bodyBytes))
  return children.start('node', [
    program, '-c', String(connections), '-d', LONG, '-p', String(pipelined), '-H', `Host: ${HOST}`, '--no-progress',
    ...(bodyBytes === 0 ? [] : ['-m', 'POST', '-i', body]),
    ...(close ? ['-D', '1'] : []),
    `http://127.0.0.1:${port}${path}`,
  ], { core: LOAD_CORE })
}
