// The proxies that are measured: Serai and those beside it, each with 1,000 hosts, an access log, forwarding fields, one worker.
import { chmodSync, existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeAuthority } from '#test/support/certificates.ts'
import type { Backend } from './backend.ts'
import { PROXY_CORE, type Children } from './children.ts'
import { GRPC_HOST, HOSTS, type PeerOptions, type Proxy, type ProxyName } from './peer.ts'
import { startCaddy } from './peers/caddy.ts'
import { startHaproxy } from './peers/haproxy.ts'
import { startNginx } from './peers/nginx.ts'
import { startSerai } from './peers/serai.ts'
import { processTree } from './process-usage.ts'
import { servicesFile } from './services.ts'

const starters = { serai: startSerai, nginx: startNginx, haproxy: startHaproxy, caddy: startCaddy }

/** Starts a proxy in a new folder below `folder` and waits until it accepts connections. */
export async function startProxy(
  name: ProxyName, children: Children, backend: Backend, folder: string, options: Partial<Pick<PeerOptions, 'workers' | 'services' | 'flags'>> = {},
): Promise<Proxy> {
  const own = mkdtempSync(join(folder, `${name}-`))
  chmodSync(own, 0o755) // started by root, nginx works as somebody else
  const grpc = `  - name: grpc\n    tags: ["serai.host=${GRPC_HOST}", serai.scheme=grpc]\n    instances: ["127.0.0.1:${backend.grpcPort}"]\n`
  const services = servicesFile(HOSTS, () => backend.ports.map((port) => `127.0.0.1:${port}`)) + grpc
  const started = await starters[name]({ children, backend, certificate: certificateIn(folder), folder: own, core: PROXY_CORE, workers: 1, services, flags: [], ...options })
  return { ...started, name, pids: () => processTree(started.child.pid) }
}

/** One certificate for all proxies of a run, of an authority that nobody trusts: no load generator here verifies. */
function certificateIn(folder: string): PeerOptions['certificate'] {
  const files = { cert: join(folder, 'bench.pem'), key: join(folder, 'bench.key'), both: join(folder, 'bench.both.pem') }
  if (existsSync(files.both)) return files
  const { cert, key } = makeAuthority('Bench').issue(['*.example.org'])
  for (const [path, text] of [[files.cert, cert], [files.key, key], [files.both, cert + key]] as const) writeFileSync(path, text, { mode: 0o600 })
  return files
}
