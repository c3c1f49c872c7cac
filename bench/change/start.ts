// Starts the table program, and waits until it serves.
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Backend } from '../backend.ts'
import { PROXY_CORE, type Child, type Children } from '../children.ts'
import { accepting, freePorts } from '../ports.ts'
import { until } from '../until.ts'

export interface ChangeProgram {
  readonly child: Child
  readonly port: number
  /** Its catalog gives a new answer, in which one of 5,000 services has another endpoint. */
  change(): void
  /** Milliseconds from the catalog's answer until all workers had the change: of each change, the first table left out. */
  took(): number[]
}

const program = fileURLToPath(new URL('program.ts', import.meta.url))

export async function startChangeProgram(children: Children, backend: Backend, folder: string, { workers }: { readonly workers: number }): Promise<ChangeProgram> {
  const [port] = await freePorts(1) as [number]
  const own = mkdtempSync(join(folder, 'table-'))
  const child = children.start('node', [program, own, String(port), String(workers), ...backend.ports.map(String)], { core: PROXY_CORE })
  await accepting(port, child)
  const lines = (): number[] => [...child.output().matchAll(/"changeMs":([0-9.]+)/g)].map(([, ms]) => Number(ms))
  // One worker may listen before the other has the table.
  await until(() => lines().length > 0, child)
  return { child, port, change: () => process.kill(child.pid, 'SIGUSR2'), took: () => lines().slice(1) }
}
