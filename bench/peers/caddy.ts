// Caddy as a peer: the Caddyfile, and a site for each of 1,000 hosts.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HOSTS, hostName, type PeerOptions, type Started } from '../peer.ts'
import { accepting, freePorts } from '../ports.ts'
import { fill } from '../template.ts'

export async function startCaddy({ children, backend, folder, core }: PeerOptions): Promise<Started> {
  const [port] = await freePorts(1) as [number]
  const sites = Array.from({ length: HOSTS }, (_, index) => `http://${hostName(index)}:${port} {\n\timport proxied\n}\n`).join('')
  const config = join(folder, 'Caddyfile')
  const [backend1, backend2] = backend.ports
  writeFileSync(config, fill(readFileSync(new URL('Caddyfile', import.meta.url), 'utf8') + sites, { folder, port, backend1, backend2 }))
  const child = children.start('caddy', ['run', '--config', config, '--adapter', 'caddyfile'], { core, cwd: folder })
  await accepting(port, child.output, 30_000)
  return { child, port, accessLog: join(folder, 'caddy-access.log') }
}
