// A load at a fixed rate, and what rate to choose.
import { fileURLToPath } from 'node:url'
import type { Backend } from '../backend.ts'
import { LOAD_CORE, type Child, type Children } from '../children.ts'
import { startLoad } from '../load.ts'
import { sleep } from '../until.ts'

const CONNECTIONS = 64
const SETTLE_MS = 500
const WINDOW_MS = 2000
const client = fileURLToPath(new URL('client.ts', import.meta.url))

/** Asks at this rate for so long; its output is then a `Latency`. */
export function startSteadyLoad(children: Children, port: number, rate: number, forMs: number): Child {
  return children.start('node', [client, String(port), String(rate), String(forMs), String(CONNECTIONS)], { core: LOAD_CORE })
}

/** Half of the requests a second that get through when as many are asked as will. */
export async function halfOfMost(
  port: number, { children, backend, folder }: { readonly children: Children; readonly backend: Backend; readonly folder: string },
): Promise<number> {
  const load = startLoad(children, folder, port, { path: '/', connections: CONNECTIONS })
  try {
    await sleep(SETTLE_MS)
    const [before, from] = [await backend.requests(), performance.now()]
    await sleep(WINDOW_MS)
    const requests = await backend.requests() - before
    return Math.max(100, Math.round((requests * 1000) / (performance.now() - from) / 2 / 100) * 100)
  } finally {
    await load.stop('SIGINT')
  }
}
