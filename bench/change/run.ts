// The row `change`: how long a change of the table takes among 5,000 services and 20,000 endpoints, until all workers have it, under load.
import { renameSync, writeFileSync } from 'node:fs'
import type { RunOptions } from '../cpu-rows.ts'
import { HOST, hostName, type Proxy } from '../peer.ts'
import { startProxy } from '../peers.ts'
import { servicesFile } from '../services.ts'
import { sleep, until } from '../until.ts'
import { spread, type Spread } from '../statistics.ts'
import { halfOfMost, startSteadyLoad } from '../steady/load.ts'
import { sliceTimes } from './slices.ts'
import { startChangeProgram } from './start.ts'

export interface ChangeResult {
  readonly changes: number
  /** Milliseconds from the catalog's answer (in memory) until both workers have swapped: at rest, and at half of the most requests. */
  readonly answerToWorkers: { readonly idle: Spread; readonly loaded: Spread; readonly worst: number }
  /** The program with a services file: from the rename, and from its log line, until `/api/status` shows both workers at the new revision. */
  readonly fileToWorkers: Spread
  readonly logToWorkers: Spread
  /** CPU in a worker for one slice of the whole table. */
  readonly slice: ReturnType<typeof sliceTimes>
}

const SERVICES = 5000
const ENDPOINTS = 4
const FILE_CHANGES = 8
const MEMORY_CHANGES = 25
const PAUSE_MS = 300
const SETTLE_MS = 1500
const ANSWER_MS = 10_000

export async function runChange(options: RunOptions): Promise<ChangeResult> {
  options.progress('change: slices')
  const slice = sliceTimes()
  const memory = await changesInMemory(options)
  const file = await changesOfFile(options)
  return {
    changes: memory.idle.length + memory.loaded.length + file.length,
    answerToWorkers: { idle: spread(memory.idle), loaded: spread(memory.loaded), worst: Math.max(...memory.idle, ...memory.loaded) },
    fileToWorkers: spread(file.map(({ fromRename }) => fromRename)),
    logToWorkers: spread(file.map(({ fromLog }) => fromLog)),
    slice,
  }
}

async function changesInMemory({ children, backend, folder, progress }: RunOptions): Promise<{ idle: number[]; loaded: number[] }> {
  const program = await startChangeProgram(children, backend, folder, { workers: 2 })
  const changes = async (label: string): Promise<number[]> => {
    const before = program.took().length
    for (let change = 0; change < MEMORY_CHANGES; change++) {
      progress(`change: ${label}, ${change + 1} of ${MEMORY_CHANGES}`)
      const seen = program.took().length
      program.change()
      await until(() => program.took().length > seen, program.child)
      await sleep(PAUSE_MS)
    }
    return program.took().slice(before)
  }
  try {
    const idle = await changes('at rest')
    const rate = await halfOfMost(program.port, { children, backend, folder })
    const load = startSteadyLoad(children, program.port, rate, 120_000)
    try {
      await sleep(SETTLE_MS)
      return { idle, loaded: await changes('under load') }
    } finally {
      await load.stop()
    }
  } finally {
    await program.child.stop()
  }
}

interface FileChange {
  readonly fromRename: number
  readonly fromLog: number
}

async function changesOfFile({ children, backend, folder, progress }: RunOptions): Promise<FileChange[]> {
  const real = backend.ports.map((port) => `127.0.0.1:${port}`)
  const addresses = (index: number, change: number): string[] =>
    (hostName(index) === HOST ? real : Array.from({ length: ENDPOINTS }, (_, at) => `10.${index >> 8}.${index & 255}.${at + 1}:${20_000 + (index === 77 ? change : 0)}`))
  const texts = [0, 1].map((change) => servicesFile(SERVICES, (index) => addresses(index, change)))
  const serai = await startProxy('serai', children, backend, folder, { workers: 2, services: texts[0]! })
  try {
    const taken: FileChange[] = []
    for (let change = 1; change <= FILE_CHANGES; change++) {
      progress(`change: services file, ${change} of ${FILE_CHANGES}`)
      taken.push(await changeFile(serai, texts[change % 2]!))
      await sleep(PAUSE_MS)
    }
    return taken
  } finally {
    await serai.child.stop()
  }
}

async function changeFile({ admin, services, child }: Proxy, text: string): Promise<FileChange> {
  const { revision } = await status(admin!)
  writeFileSync(`${services!}.new`, text)
  renameSync(`${services!}.new`, services!)
  const renamedAt = Date.now()
  await until(async () => (await status(admin!)).workers.every((worker) => worker.revision > revision), child, 2)
  const at = Date.now()
  const line = child.output().split('\n').findLast((each) => each.includes('"routes changed"'))
  if (line === undefined) throw new Error(`serai said nothing of changed routes: ${child.output()}`)
  return { fromRename: at - renamedAt, fromLog: at - Date.parse((JSON.parse(line) as { time: string }).time) }
}

interface Status {
  readonly revision: number
  readonly workers: readonly { readonly revision: number }[]
}

const status = async (admin: string): Promise<Status> =>
  await (await fetch(`http://${admin}/api/status`, { signal: AbortSignal.timeout(ANSWER_MS) })).json() as Status
