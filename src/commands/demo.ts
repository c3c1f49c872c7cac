// `serai demo`: sample services on this machine behind a real Serai, and a screen that says what to try.
import { setTimeout } from 'node:timers/promises'
import { formatAddress } from '#src/config/address.ts'
import type { BindAddress } from '#src/config/address.ts'
import { loadConfig } from '#src/config/load.ts'
import { formatMistakes } from '#src/config/mistake.ts'
import { parseArguments, UsageError } from './command.ts'
import type { Command, CommandIo } from './command.ts'
import { writeFiles } from './demo/files.ts'
import { startInstances } from './demo/instances.ts'
import { claim, readAddress, withIpv6Loopback } from './demo/ports.ts'
import { screen } from './demo/screen.ts'
import { runWith } from './run.ts'

const POLL_MS = 20

export const command: Command = {
  name: 'demo',
  summary: 'sample services behind Serai on this machine, and what to try with them',
  usage: [
    'serai demo [--http ADDRESS] [--admin ADDRESS]', '',
    '  --http    where Serai listens for requests (127.0.0.1:8080, and the same port of [::1])',
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
  await using instances = await startInstances(({ name, pid, service }) => {
    io.stdout.write(`${name} (pid ${pid}) has ended; the other instances of ${service} take its requests.\n`)
  })
  await using files = await writeFiles(instances.list, free.http, free.admin)
  const loaded = loadConfig({ file: 'demo', text: files.config, env: {} })
  if (!loaded.ok) {
    io.stderr.write(`${formatMistakes(loaded.mistakes)}\n`)
    return 2
  }
  const ending = new AbortController()
  const running = runWith(loaded.config, io).finally(() => { ending.abort() })
  const tell = async (): Promise<void> => {
    if (!await isReady(free.admin, ending.signal)) return
    const ports = { httpPort: free.http[0].port, adminPort: free.admin.port }
    io.stdout.write(screen({ instances: instances.list, services: files.services, ...ports, startedMs: performance.now() }))
  }
  const [code] = await Promise.all([running, tell()])
  return code
}

interface Asked {
  readonly http: BindAddress
  readonly admin: BindAddress
}

/** Throws UsageError. */
function readFlags(argv: readonly string[]): Asked {
  const { values, positionals } = parseArguments(argv, { http: { type: 'string' }, admin: { type: 'string' } })
  if (positionals.length > 0) throw new UsageError(`takes no argument: ${JSON.stringify(positionals[0])}`)
  const address = (flag: string, fallback: string): BindAddress => {
    const written = String(values[flag] ?? fallback)
    const read = readAddress(written)
    if (read === undefined) throw new UsageError(`--${flag} ${JSON.stringify(written)} is not an address to listen on, such as ${fallback}`)
    return read
  }
  return { http: address('http', '127.0.0.1:8080'), admin: address('admin', '127.0.0.1:9080') }
}

interface Claimed {
  readonly http: readonly [BindAddress, ...BindAddress[]]
  readonly admin: BindAddress
}

/** The addresses with their ports, all of them free; or one line on the first that is not. */
async function claimPorts(asked: Asked): Promise<Claimed | string> {
  let option = '--http'
  try {
    const http = await withIpv6Loopback(await claim(asked.http))
    option = '--admin'
    return { http, admin: await claim(asked.admin) }
  } catch (error) {
    const { code, message, address: host = '', port = 0 } = error as NodeJS.ErrnoException & Partial<BindAddress> & { readonly address?: string }
    if (code !== 'EADDRINUSE') return message
    return `${formatAddress({ host, port })} is in use by another program. Choose another port: npm run demo -- ${option} ${formatAddress({ host: '127.0.0.1', port: port + 1 })}`
  }
}

/** Waits until /ready says yes: true. The program ended first: false. */
async function isReady(admin: BindAddress, ended: AbortSignal): Promise<boolean> {
  const host = admin.host === '' ? '127.0.0.1' : admin.host
  const url = `http://${formatAddress({ host, port: admin.port })}/ready`
  while (!ended.aborted) {
    // Closed at once: an idle connection would be one to drain at the end.
    const response = await fetch(url, { signal: ended, headers: { connection: 'close' } }).catch(() => undefined)
    await response?.body?.cancel()
    if (response?.ok === true) return true
    await setTimeout(POLL_MS)
  }
  return false
}
