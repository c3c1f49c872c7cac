// Asks over a new TLS connection each time, with so many `openssl s_time` side by side, until SIGINT: `handshakes.ts PORT PATH NUMBER -new|-reuse`.
import { spawn } from 'node:child_process'
import { HOST } from './peer.ts'
import { findProgram } from './programs.ts'

const [port, path, number, kind] = process.argv.slice(2)
// s_time writes `GET ${-www} HTTP/1.0`: what it says there ends in a field that swallows its version.
const request = `${path} HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\nX-Rest:`
const clients = Array.from({ length: Number(number) }, () => spawn(findProgram('openssl')!, [
  's_time', '-connect', `127.0.0.1:${port}`, '-tls1_3', '-ciphersuites', 'TLS_AES_128_GCM_SHA256', '-www', request, '-time', '600', kind!,
], { stdio: 'ignore' }))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => clients.forEach((client) => client.kill('SIGKILL')))
