// What the demo configures: the services file, which the user edits while it runs, and the config.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatAddress } from '#src/config/address.ts'
import type { BindAddress } from '#src/config/address.ts'
import type { Instance } from './instances.ts'

export interface DemoFiles extends AsyncDisposable {
  /** The path of the services file. */
  readonly services: string
  /** The text of the config. */
  readonly config: string
}

/** Writes the services to a new folder of the system's temporary directory; disposal removes it. */
export async function writeFiles(instances: readonly Instance[], http: readonly BindAddress[], admin: BindAddress): Promise<DemoFiles> {
  const folder = await mkdtemp(join(tmpdir(), 'serai-demo-'))
  const services = join(folder, 'services.yaml')
  await writeFile(services, servicesFile(instances))
  const listeners = Object.fromEntries(http.map((address, at) => [at === 0 ? 'http' : `http-${at + 1}`, { address: formatAddress(address) }]))
  // JSON is YAML. The access log would bury the screen; on a terminal nobody waits for a lame duck.
  const config = JSON.stringify({
    listeners,
    admin: { address: formatAddress(admin) },
    catalogs: { file: { path: services } },
    stop: { lameDuck: '0s', drain: '5s' },
    state: { path: join(folder, 'state') },
    log: { level: 'warn', access: { target: 'off' } },
  })
  return { services, config, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
}

function servicesFile(instances: readonly Instance[]): string {
  const addresses = (service: string): string[] => instances.filter((each) => each.service === service).map(({ address }) => address)
  const list = (service: string): string => addresses(service).map((address) => `      - ${address}`).join('\n')
  const [stable1, stable2, canary] = addresses('shop')
  return `# The services of the demo. Serai watches this file: save a change, and it is in force at once.
services:
  - name: web
    tags: ["serai.host=a.example.org, a.localhost"]
    instances:
${list('web')}

  - name: api
    tags: ["serai.host=a.example.org, a.localhost", "serai.path=/api"]
    instances:
${list('api')}

  # Two stable instances, and a canary that gets a tenth of an instance's share.
  - name: shop
    tags: ["serai.host=shop.example.org, shop.localhost"]
    instances:
      - ${stable1}
      - ${stable2}
      - { address: ${canary}, tags: ["serai.host=shop.example.org, shop.localhost", "serai.weight=10"] }

  # Take the # off the next three lines, save, and open http://new.localhost:… in a browser.
#  - name: new
#    tags: ["serai.host=new.example.org, new.localhost"]
#    instances: [${addresses('web')[1]}]
`
}
