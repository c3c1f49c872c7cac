// `npm run bench`: measures Serai beside other proxies; README.md here says how.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startBackend } from './backend.ts'
import { Children, LOAD_CORE } from './children.ts'
import { cpuRows, runCpuRow, type CpuRowResult } from './cpu-rows.ts'
import { peerNames, type PeerName, type Proxy } from './peer.ts'
import { startProxy } from './peers.ts'
import { findProgram } from './programs.ts'
import { cpuTable } from './table.ts'

const { values } = parseArgs({
  options: {
    all: { type: 'boolean', default: false },
    rows: { type: 'string' },
    pairs: { type: 'string', default: '9' },
    window: { type: 'string', default: '1500' },
    peers: { type: 'string' },
    json: { type: 'string' },
    svg: { type: 'string' },
  },
})
const names = values.rows?.split(',') ?? (values.all ? cpuRows.map(({ name }) => name) : ['small-64'])
const peers = (values.peers?.split(',') ?? (values.all ? [...peerNames] : ['nginx'])) as PeerName[]
const taskset = findProgram('taskset')
if (taskset !== undefined) spawnSync(taskset, ['-cp', String(LOAD_CORE), String(process.pid)])

const folder = mkdtempSync(join(tmpdir(), 'serai-bench-'))
const children = new Children()
let ended: Promise<void> | undefined
const end = (): Promise<void> => (ended ??= children[Symbol.asyncDispose]().then(() => rmSync(folder, { recursive: true, force: true })))
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => void end().then(() => process.exit(130)))
try {
  const backend = await startBackend(children, join(folder, 'backend'))
  const proxies: Proxy[] = []
  for (const name of ['serai', ...peers] as const) {
    if (name !== 'serai' && findProgram(name) === undefined) {
      console.log(`${name} is not installed: left out`)
      continue
    }
    proxies.push(await startProxy(name, children, backend, folder))
  }
  const results: CpuRowResult[] = []
  for (const name of names) {
    const row = cpuRows.find((each) => each.name === name)
    if (row === undefined) throw new Error(`no row ${name}`)
    const result = await runCpuRow(row, proxies, {
      children, backend, folder, pairs: Number(values.pairs), windowMs: Number(values.window),
      progress: (text) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${text}`),
    })
    results.push(result)
    console.log(`${cpuTable(result)}\n`)
  }
} finally {
  await end()
}
