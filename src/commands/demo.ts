// `serai demo`: a small Nomad with sample jobs on this machine behind a real Serai, a screen that says what to try, and keys to try it with.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { request } from 'undici'
import { formatAddress } from '#src/config/address.ts'
import type { BindAddress } from '#src/config/address.ts'
import { loadConfig } from '#src/config/load.ts'
import { formatMistakes } from '#src/config/mistake.ts'
import { parseArguments, UsageError } from './command.ts'
import type { Command, CommandIo } from './command.ts'
import { demoConfig } from './demo/config.ts'
import { followKeys } from './demo/keys.ts'
import { writeCertificate } from './demo/local-authority.ts'
import { claim, readAddress, withIpv6Loopback } from './demo/ports.ts'
import { SampleCluster } from './demo/sample-cluster.ts'
import { screen } from './demo/screen.ts'
import { runWith } from './run.ts'

const POLL_MS = 20
/** Paths that answer once all samples are routed. */
const SAMPLES = [['a.example.org', '/'], ['a.example.org', '/api'], ['shop.example.org', '/']] as const

export const command: Command = {
  name: 'demo',
  summary: 'a small Nomad with sample jobs behind Serai on this machine, and what to try with them',
  usage: [
    'serai demo [--http ADDRESS] [--https ADDRESS] [--admin ADDRESS]', '',
    '  --http    where Serai listens for requests (127.0.0.1:8080, and the same port of [::1])',
    '  --https   where it speaks TLS (127.0.0.1:8443), with a certificate of an authority made at the start',
    '  --admin   where its admin page is (127.0.0.1:9080)',
  ].join('\n'),
  run: demo,
}

async function demo(argv: readonly string[], io: CommandIo): Promise<number> {
  const asked = readFlags(argv)
  const free = await claimPorts(asked)
  if (typeof free === 'string') {
    io.stderr.write(`${free}\n`)
    return 1
  }
  await using cleanUp = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'serai-demo-'))
  cleanUp.defer(() => rm(folder, { recursive: true, force: true }))
  const certificate = await writeCertificate(folder, ['localhost', 'a.localhost', 'shop.localhost', '*.example.org'])
  const cluster = cleanUp.use(await SampleCluster.start())
  const loaded = loadConfig({ file: 'demo', text: demoConfig({ ...free, certificate, registry: cluster.address, folder: join(folder, 'state') }), env: {} })
  if (!loaded.ok) {
    io.stderr.write(`${formatMistakes(loaded.mistakes)}\n`)
    return 2
  }
  const ending = new AbortController()
  const running = runWith(loaded.config, io).finally(() => { ending.abort() })
  const tell = async (): Promise<void> => {
    if (!await isServing(free, cluster, ending.signal)) return
    io.stdout.write(screen({ cluster, httpPort: free.http[0].port, httpsPort: free.https[0].port, ca: certificate.ca, adminPort: free.admin.port, startedMs: performance.now() }))
    cleanUp.use(followKeys({ input: process.stdin, cluster, say: (line) => { io.stdout.write(`${line}\n`) } }))
  }
  const [code] = await Promise.all([running, tell()])
  return code
}

interface Asked {
  readonly http: BindAddress
  readonly https: BindAddress
  readonly admin: BindAddress
}

/** Throws UsageError. */
function readFlags(argv: readonly string[]): Asked {
  const { values, positionals } = parseArguments(argv, { http: { type: 'string' }, https: { type: 'string' }, admin: { type: 'string' } })
  if (positionals.length > 0) throw new UsageError(`takes no argument: ${JSON.stringify(positionals[0])}`)
  const address = (flag: string, fallback: string): BindAddress => {
    const written = String(values[flag] ?? fallback)
    const read = readAddress(written)
    if (read === undefined) throw new UsageError(`--${flag} ${JSON.stringify(written)} is not an address to listen on, such as ${fallback}`)
    return read
  }
  return { http: address('http', '127.0.0.1:8080'), https: address('https', '127.0.0.1:8443'), admin: address('admin', '127.0.0.1:9080') }
}

interface Claimed {
  readonly http: readonly [BindAddress, ...BindAddress[]]
  readonly https: readonly [BindAddress, ...BindAddress[]]
  readonly admin: BindAddress
}

/** The addresses with their ports, all of them free; or one line on the first that is not. */
async function claimPorts(asked: Asked): Promise<Claimed | string> {
  let option = '--http'
  try {
    const http = await withIpv6Loopback(await claim(asked.http))
    option = '--https'
    const https = await withIpv6Loopback(await claim(asked.https))
    option = '--admin'
    return { http, https, admin: await claim(asked.admin) }
  } catch (error) {
    const { code, message, address: host = '', port = 0 } = error as NodeJS.ErrnoException & Partial<BindAddress> & { readonly address?: string }
    if (code !== 'EADDRINUSE') return message
    return `${formatAddress({ host, port })} is in use by another program. Choose another port: npm run demo -- ${option} ${formatAddress({ host: '127.0.0.1', port: port + 1 })}`
  }
}

/** Waits until /ready says yes and every sample is routed: true. The program ended first: false. */
async function isServing({ http: [http], admin }: Claimed, cluster: SampleCluster, ended: AbortSignal): Promise<boolean> {
  const at = ({ host, port }: BindAddress): string => `http://${formatAddress({ host: host === '' ? '127.0.0.1' : host, port })}`
  if (!await answers(`${at(admin)}/ready`, undefined, ended)) return false
  while (!cluster.complete && !ended.aborted) await setTimeout(POLL_MS)
  for (const [host, path] of SAMPLES) if (!await answers(`${at(http)}${path}`, host, ended)) return false
  return true
}

async function answers(url: string, host: string | undefined, ended: AbortSignal): Promise<boolean> {
  while (!ended.aborted) {
    // Closed at once: an idle connection would be one to drain at the end.
    const response = await request(url, { signal: ended, reset: true, headers: host === undefined ? {} : { host } }).catch(() => undefined)
    await response?.body.dump()
    if (response?.statusCode === 200) return true
    await setTimeout(POLL_MS)
  }
  return false
}
