// Which instances of an old reading still listen: their ports may belong to somebody else by now, or to nobody.
import net from 'node:net'
import type { Instance } from './catalog.ts'

const TIMEOUT_MS = 2000
const AT_ONCE = 64

/** The instances that accept a TCP connection now. Ends early, with what it has, when the signal aborts. */
export async function reachable(instances: readonly Instance[], signal: AbortSignal): Promise<Instance[]> {
  const found = new Set<Instance>()
  const waiting = [...instances]
  const work = async (): Promise<void> => {
    for (let next = waiting.pop(); next !== undefined && !signal.aborted; next = waiting.pop()) {
      if (await accepts(next.host, next.port)) found.add(next)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return instances.filter((instance) => found.has(instance))
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port })
    const answer = (accepted: boolean): void => {
      socket.destroy()
      resolve(accepted)
    }
    socket.setTimeout(TIMEOUT_MS, () => answer(false))
    socket.once('connect', () => answer(true))
    socket.once('error', () => answer(false))
  })
}
