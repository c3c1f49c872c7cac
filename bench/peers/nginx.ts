// nginx as a peer: nginx.conf, and 1,000 server blocks on two ports, with buffers and without.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { GRPC_HOST, HOSTS, hostName, type PeerOptions, type Started } from '../peer.ts'
import { accepting, freePorts } from '../ports.ts'
import { fill } from '../template.ts'

export async function startNginx({ children, backend, certificate, folder, core }: PeerOptions): Promise<Started> {
  const [port, unbuffered, status, tls] = await freePorts(4) as [number, number, number, number]
  const servers = backend.ports.map((each) => `server 127.0.0.1:${each};`).join(' ')
  const hosts = Array.from({ length: HOSTS }, (_, index) => [
    `upstream s${index} { ${servers} keepalive 1024; keepalive_requests 1000000000; }`,
    `server { listen 127.0.0.1:${port}; listen 127.0.0.1:${tls} ssl http2; server_name ${hostName(index)}; location / { proxy_pass http://s${index}; } }`,
    `server { listen 127.0.0.1:${unbuffered}; server_name ${hostName(index)}; location / { proxy_buffering off; proxy_request_buffering off; proxy_pass http://s${index}; } }`,
  ].join('\n'))
  hosts.push(
    `upstream grpc { server 127.0.0.1:${backend.grpcPort}; keepalive 1024; keepalive_requests 1000000000; }`,
    `server { listen 127.0.0.1:${tls} ssl http2; server_name ${GRPC_HOST}; location / { grpc_pass grpc://grpc; } }`,
  )
  writeFileSync(join(folder, 'hosts.conf'), `${hosts.join('\n')}\n`)
  const config = join(folder, 'nginx.conf')
  writeFileSync(config, fill(readFileSync(new URL('nginx.conf', import.meta.url), 'utf8'), { folder, port, unbuffered, status, tls, cert: certificate.cert, key: certificate.key }))
  const child = children.start('nginx', ['-c', config, '-e', join(folder, 'nginx.log')], { core })
  await accepting(port, child)
  return { child, port, unbufferedPort: unbuffered, tlsPort: tls, accessLog: join(folder, 'nginx-access.log') }
}
