// Which instances of an old reading still listen: their ports may belong to somebody else by now, or to nobody.
import net from 'node:net'
import type { Instance } from './catalog.ts'
import { failureWords } from './failure-words.ts'

const TIMEOUT_MS = 2000
const AT_ONCE = 64

/** The instances that accept a TCP connection now. Ends early, with what it has, when the signal aborts. */
export async function reachable(instances: readonly Instance[], signal: AbortSignal): Promise<Instance[]> {
  const found = new Set<Instance>()
  const waiting = [...instances]
  const work = async (): Promise<void> => {
    for (let next = waiting.pop(); next !== undefined && !signal.aborted; next = waiting.pop()) {
      if (await connectOnce(next.host, next.port) === '') found.add(next)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return instances.filter((instance) => found.has(instance))
}

/** Connects and hangs up: '' when it was accepted, else why not. `refuses` is asked about the address that a name led to. */
export function connectOnce(host: string, port: number, refuses?: (address: string) => string | undefined, timeoutMs = TIMEOUT_MS): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port })
    const answer = (failure: string): void => {
      socket.destroy()
      resolve(failure)
    }
    socket.setTimeout(timeoutMs, () => answer(`no answer in ${timeoutMs} ms`))
    socket.once('connect', () => answer((net.isIP(host) === 0 ? refuses?.(socket.remoteAddress ?? '') : undefined) ?? ''))
    socket.once('error', (error) => answer(failureWords(error)))
  })
}
