// A real Nomad for tests: a development agent on ports of its own, with raw_exec, from the `nomad` on PATH.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { makeFolder } from './folder.ts'
import { NomadClient } from './nomad-client.ts'
import { realServer } from './real-servers.ts'
import { until, within } from './until.ts'

export interface RealNomad extends AsyncDisposable {
  /** `host:port`. */
  readonly address: string
  /** Everything that the agent has logged. */
  readonly log: () => string
}

const DEADLINE_MS = 60_000

/** Starts an agent and waits until its node takes work. Throws where there is no `nomad`. */
export async function startRealNomad(): Promise<RealNomad> {
  const program = realServer('nomad')
  if (program === undefined) throw new Error('nomad is not on PATH')
  await using cleanUp = new AsyncDisposableStack()
  const folder = cleanUp.use(await makeFolder())
  const [http, rpc, serf] = [await freePort(), await freePort(), await freePort()]
  const config = await folder.write('agent.hcl', `
    bind_addr            = "127.0.0.1"
    disable_update_check = true
    ports { http = ${http} rpc = ${rpc} serf = ${serf} }
    plugin "raw_exec" { config { enabled = true } }
    client {
      network_interface = "lo"
      options           = { "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean" }
    }
    consul { client_auto_join = false server_auto_join = false auto_advertise = false }
  `)
  const child = spawn(program, ['agent', '-dev', '-config', config], { cwd: folder.path, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  let log = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { log += text })
  const ended = once(child, 'close')
  cleanUp.defer(async () => {
    // SIGINT lets the agent end its tasks; what is left of its group is ended after that.
    child.kill('SIGINT')
    await within(ended, DEADLINE_MS, () => 'the agent ending').finally(() => { killGroup(child.pid) })
  })
  const address = `127.0.0.1:${http}`
  const client = new NomadClient(address)
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`nomad ended with ${child.exitCode}: ${log.slice(-2000)}`)
    return (await client.ask<readonly { readonly Status: string }[]>('/v1/nodes')).body.some(({ Status }) => Status === 'ready')
  }, { deadline: DEADLINE_MS, what: 'a node that is ready' })
  const running = cleanUp.move()
  return {
    address,
    log: () => log,
    async [Symbol.asyncDispose]() {
      // A development agent leaves tasks running when it ends: stop them first.
      const jobs = await client.ask<readonly { readonly ID: string; readonly Namespace: string }[]>('/v1/jobs?namespace=*').catch(() => undefined)
      for (const { ID, Namespace } of jobs?.body ?? []) await client.ask(`/v1/job/${ID}?namespace=${Namespace}&purge=true&no_shutdown_delay=true`, { method: 'DELETE' }).catch(() => undefined)
      await until(async () => (await client.ask<readonly unknown[]>('/v1/services?namespace=*')).body.length === 0, { deadline: 10_000, what: 'all services to go' }).catch(() => undefined)
      await running.disposeAsync()
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nothing is left of it.
  }
}
