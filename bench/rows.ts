// All rows by name: each is measured, added to the results, and told as text.
import { runChange } from './change/run.ts'
import { cpuRows, runCpuRow, subjectsOf, workersRow, type RunOptions } from './cpu-rows.ts'
import { runMemory } from './memory.ts'
import type { Proxy } from './peer.ts'
import { startProxy } from './peers.ts'
import type { Results } from './report.ts'
import { runSteady } from './steady/run.ts'
import { changeText, cpuTable, memoryTable, steadyTable } from './table.ts'

export const rowNames: readonly string[] = [...cpuRows.map(({ name }) => name), workersRow.name, 'steady', 'change', 'memory']

/** Measures one row. Rejects when a proxy does not answer, or answers something else. */
export async function runRow(name: string, proxies: readonly Proxy[], results: Results, options: RunOptions): Promise<string> {
  switch (name) {
    case workersRow.name: {
      const result = await runWorkers(proxies, options)
      results.cpu.push(result)
      return cpuTable(result)
    }
    case 'steady':
      return steadyTable(results.steady = await runSteady(proxies, options))
    case 'change':
      return changeText(results.change = await runChange(options))
    case 'memory':
      return memoryTable(results.memory = await runMemory(proxies.map((proxy) => proxy.name), options))
    default: {
      const row = cpuRows.find((each) => each.name === name)
      if (row === undefined) throw new Error(`no row ${name}`)
      const result = await runCpuRow(row, subjectsOf(row, proxies), 'nginx', options)
      results.cpu.push(result)
      return cpuTable(result)
    }
  }
}

async function runWorkers(proxies: readonly Proxy[], options: RunOptions): Promise<Results['cpu'][number]> {
  const one = proxies.find((proxy) => proxy.name === 'serai')!
  const two = await startProxy('serai', options.children, options.backend, options.folder, { workers: 2 })
  try {
    return await runCpuRow(workersRow, [{ label: 'two workers', proxy: two, port: two.port }, { label: 'one worker', proxy: one, port: one.port }], 'one worker', options)
  } finally {
    await two.child.stop()
  }
}
