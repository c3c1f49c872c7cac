// HAProxy as a peer: haproxy.cfg, a map of 1,000 hosts, and a backend for each.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { GRPC_HOST, HOSTS, hostName, type PeerOptions, type Started } from '../peer.ts'
import { accepting, freePorts } from '../ports.ts'
import { fill } from '../template.ts'

export async function startHaproxy({ children, backend, certificate, folder, core }: PeerOptions): Promise<Started> {
  const [port, tls] = await freePorts(2) as [number, number]
  const indexes = Array.from({ length: HOSTS }, (_, index) => index)
  writeFileSync(join(folder, 'hosts.map'), indexes.map((index) => `${hostName(index)} s${index}\n`).join('') + `${GRPC_HOST} grpc\n`)
  const servers = backend.ports.map((each, index) => `  server b${index} 127.0.0.1:${each} pool-max-conn -1\n`).join('')
  const template = readFileSync(new URL('haproxy.cfg', import.meta.url), 'utf8') + indexes.map((index) => `backend s${index}\n${servers}`).join('') + `backend grpc\n  server g 127.0.0.1:${backend.grpcPort} proto h2 pool-max-conn -1\n`
  const config = join(folder, 'haproxy.cfg')
  const accessLog = join(folder, 'haproxy-access.log')
  writeFileSync(config, fill(template, { folder, port, tls, both: certificate.both }))
  const child = children.start('haproxy', ['-db', '-f', config], { core, stdoutFile: accessLog })
  await accepting(port, child)
  return { child, port, tlsPort: tls, accessLog }
}
