// The proxies that are measured: Serai and those beside it, each with 1,000 hosts, an access log, forwarding fields, one worker.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Backend } from './backend.ts'
import { PROXY_CORE, type Children } from './children.ts'
import type { PeerOptions, Proxy, ProxyName } from './peer.ts'
import { startCaddy } from './peers/caddy.ts'
import { startHaproxy } from './peers/haproxy.ts'
import { startNginx } from './peers/nginx.ts'
import { startSerai } from './peers/serai.ts'
import { processTree } from './process-usage.ts'

const starters = { serai: startSerai, nginx: startNginx, haproxy: startHaproxy, caddy: startCaddy }

/** Starts a proxy in a folder below `folder` and waits until it accepts connections. */
export async function startProxy(
  name: ProxyName, children: Children, backend: Backend, folder: string, options: Partial<Pick<PeerOptions, 'core' | 'workers'>> = {},
): Promise<Proxy> {
  const own = join(folder, name)
  mkdirSync(own, { recursive: true })
  const started = await starters[name]({ children, backend, folder: own, core: PROXY_CORE, workers: 1, ...options })
  return { ...started, name, pids: () => processTree(started.child.pid) }
}
