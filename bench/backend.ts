// What the proxies forward to: nginx on two ports, and on one that speaks HTTP/2, whose own counter says how many requests came.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fill } from './template.ts'
import { LOAD_CORE, type Child, type Children } from './children.ts'
import { accepting, freePorts } from './ports.ts'

export interface Backend {
  /** Two ports that answer the same. */
  readonly ports: readonly [number, number]
  /** HTTP/2 in the clear: answers as a gRPC service does. */
  readonly grpcPort: number
  readonly child: Child
  /** Requests answered so far, this question included. */
  requests(): Promise<number>
}

export const LARGE_BYTES = 1024 * 1024

/** Starts the backend on the load generator's core; its files go to `folder`. */
export async function startBackend(children: Children, folder: string): Promise<Backend> {
  const [port1, port2, port3, grpcPort] = await freePorts(4) as [number, number, number, number]
  mkdirSync(folder, { recursive: true })
  const body = (bytes: number): string => 'serai '.repeat(Math.ceil(bytes / 6)).slice(0, bytes)
  writeFileSync(join(folder, '10k'), body(10 * 1024))
  writeFileSync(join(folder, '1m'), body(LARGE_BYTES))
  writeFileSync(join(folder, 'chunked.txt'), body(16 * 1024))
  const config = join(folder, 'backend.conf')
  writeFileSync(config, fill(readFileSync(new URL('peers/backend.conf', import.meta.url), 'utf8'), { folder, port1, port2, port3, grpc: grpcPort }))
  const child = children.start('nginx', ['-c', config, '-e', join(folder, 'backend.log')], { core: LOAD_CORE })
  await accepting(port3, child)
  return { ports: [port1, port2], grpcPort, child, requests: () => stubStatus(port3) }
}

/** The third number of stub_status: requests. */
async function stubStatus(port: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/count`, { signal: AbortSignal.timeout(5000) })).text()
  const requests = /^\s*\d+ \d+ (\d+)/m.exec(text)?.[1]
  if (requests === undefined) throw new Error(`the backend's counter answered ${JSON.stringify(text)}`)
  return Number(requests)
}
