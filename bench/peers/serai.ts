// Serai itself: the program of this checkout with 1,000 services in a file, access log to a file, metrics on (they always are).
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Child } from '../children.ts'
import type { PeerOptions, Started } from '../peer.ts'
import { freePorts } from '../ports.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const READY_MS = 30_000

export async function startSerai({ children, certificate, folder, core, workers, services: text, flags }: PeerOptions): Promise<Started> {
  const [port, adminPort, tlsPort] = await freePorts(3) as [number, number, number]
  const admin = `127.0.0.1:${adminPort}`
  const accessLog = join(folder, 'serai-access.log')
  const services = join(folder, 'services.yaml')
  writeFileSync(services, text)
  const config = join(folder, 'serai.yaml')
  writeFileSync(config, JSON.stringify({
    listeners: { http: { address: `127.0.0.1:${port}` }, https: { address: `127.0.0.1:${tlsPort}`, tls: true } },
    tls: { certificates: [{ cert: certificate.cert, key: certificate.key, default: true }] },
    admin: { address: admin },
    catalogs: { file: { path: services } },
    limits: { connections: 20_000 },
    stop: { lameDuck: '0s', drain: '1s' },
    state: { path: join(folder, 'state') },
    log: { access: { target: accessLog } },
  }, null, 1))
  const child = children.start('node', [...process.execArgv, main, 'run', '--config', config, `--workers=${workers}`, ...flags], { core })
  await ready(admin, child)
  return { child, port, tlsPort, accessLog, admin, services }
}

async function ready(admin: string, child: Child): Promise<void> {
  const until = performance.now() + READY_MS
  while (performance.now() < until && child.running) {
    const answer = await fetch(`http://${admin}/ready`, { signal: AbortSignal.timeout(5000) }).catch(() => undefined)
    await answer?.arrayBuffer()
    if (answer?.status === 200) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`serai is not ready; it said: ${child.output()}`)
}
