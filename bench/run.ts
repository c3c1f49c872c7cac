// `npm run bench`: measures Serai beside other proxies; README.md here says how.
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startBackend } from './backend.ts'
import { Children, LOAD_CORE } from './children.ts'
import { peerNames, type PeerName, type Proxy } from './peer.ts'
import { startProxy } from './peers.ts'
import { runMicro } from './micro/run.ts'
import { findProgram } from './programs.ts'
import { createReport, writeReport, type Results } from './report.ts'
import { rowNames, runRow } from './rows.ts'

/** A first look, done within a minute. */
const QUICK = { rows: ['small-64'], pairs: 5, rowMs: 35_000 }
const THOROUGH = { pairs: 9, rowMs: 240_000 }

const USAGE = `npm run bench                              a first look: small-64, 5 pairs with nginx
npm run bench -- --all                     every row, every peer, 9 pairs
npm run bench -- --micro [NAME]            functions of the hot path by themselves
  --rows NAME,…      ${rowNames.join(', ')}
  --peers NAME,…     ${peerNames.join(', ')}
  --pairs N          of runs of Serai and a peer, interleaved
  --window MS        of one run, default 1500
  --json FILE, --svg FILE
  -- FLAG…           for the process of Serai`

const { values, positionals } = readArguments()
if (values.help) {
  console.log(USAGE)
  process.exit(0)
}
if (values.micro) {
  console.log(runMicro(positionals[0] ?? ''))
  process.exit(0)
}
const quick = !values.all && values.rows === undefined
const names = values.all ? rowNames : values.rows?.split(',') ?? QUICK.rows
const peers = values.peers?.split(',') ?? (values.all ? peerNames : ['nginx'])
const pairs = values.pairs === undefined ? (quick ? QUICK : THOROUGH).pairs : Number(values.pairs)
const windowMs = Number(values.window)
const wrong = [
  ...names.filter((name) => !rowNames.includes(name)).map((name) => `no row ${name}: expected ${rowNames.join(', ')}`),
  ...peers.filter((name) => !isPeer(name)).map((name) => `no peer ${name}: expected ${peerNames.join(', ')}`),
  ...(pairs >= 1 && windowMs >= 100 ? [] : ['expected --pairs of 1 or more and --window of 100 (milliseconds) or more']),
  ...(['nginx', 'taskset'] as const).filter((name) => findProgram(name) === undefined).map((name) => `${name} is not installed, and nothing is measured without it`),
  ...(availableParallelism() >= 2 ? [] : ['two cores are needed: one for the proxy, one for what asks and answers']),
]
if (wrong.length > 0) {
  for (const line of wrong) console.error(line)
  process.exit(2)
}
spawnSync('taskset', ['-acp', String(LOAD_CORE), String(process.pid)])

const folder = mkdtempSync(join(tmpdir(), 'serai-bench-'))
chmodSync(folder, 0o755) // started by root, nginx works as somebody else
const children = new Children()
let ended: Promise<void> | undefined
const end = (): Promise<void> => (ended ??= children[Symbol.asyncDispose]().then(() => rmSync(folder, { recursive: true, force: true })))
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => void end().then(() => process.exit(130)))
// Whoever read the output has gone (`| head`): without this the programs would go on alone.
process.stdout.on('error', () => void end().then(() => process.exit(1)))
try {
  const backend = await startBackend(children, join(folder, 'backend'))
  const proxies: Proxy[] = [await startProxy('serai', children, backend, folder, { flags: positionals })]
  for (const name of peers.filter(isPeer)) {
    if (findProgram(name) === undefined) console.log(`${name} is not installed: left out`)
    else proxies.push(await startProxy(name, children, backend, folder))
  }
  if (quick) console.log(`a first look, with ${pairs} pairs; what is to be relied on takes ${THOROUGH.pairs}: npm run bench -- --rows ${names.join(',')}\n`)
  const results: Results = { cpu: [], failed: [] }
  for (const name of names) {
    try {
      console.log(`${await runRow(name, proxies, results, {
        children, backend, folder, pairs, windowMs, rowMs: (quick ? QUICK : THOROUGH).rowMs,
        progress: (text) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${text}`),
      })}\n`)
    } catch (error) {
      if (ended !== undefined) break
      const reason = error instanceof Error ? error.message : String(error)
      results.failed.push({ row: name, reason })
      console.log(`${name}: FAILED: ${reason}\n`)
      process.exitCode = 1
    }
  }
  writeReport(createReport(results), { json: values.json, svg: values.svg })
} finally {
  await end()
}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        all: { type: 'boolean', default: false },
        rows: { type: 'string' },
        pairs: { type: 'string' },
        window: { type: 'string', default: '1500' },
        peers: { type: 'string' },
        json: { type: 'string' },
        svg: { type: 'string' },
        micro: { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`)
    process.exit(2)
  }
}

function isPeer(name: string): name is PeerName {
  return peerNames.some((peer) => peer === name)
}
