// Caddy as a peer: the Caddyfile, and one site with 1,000 names.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HOSTS, hostName, type PeerOptions, type Started } from '../peer.ts'
import { accepting, freePorts } from '../ports.ts'
import { fill } from '../template.ts'

export async function startCaddy({ children, backend, folder, core }: PeerOptions): Promise<Started> {
  const [port] = await freePorts(1) as [number]
  // One site with all names: with a site for each, Caddy walks through 1,000 routes, which takes it 2.6 ms a request.
  const sites = `${Array.from({ length: HOSTS }, (_, index) => `http://${hostName(index)}:${port}`).join(', ')} {\n\timport proxied\n}\n`
  const config = join(folder, 'Caddyfile')
  const [backend1, backend2] = backend.ports
  writeFileSync(config, fill(readFileSync(new URL('Caddyfile', import.meta.url), 'utf8') + sites, { folder, port, backend1, backend2 }))
  const child = children.start('caddy', ['run', '--config', config, '--adapter', 'caddyfile'], { core, cwd: folder, env: { HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder } })
  await accepting(port, child, 30_000)
  return { child, port, accessLog: join(folder, 'caddy-access.log') }
}
