// The sample instances: starts each as a process of its own, says when one has ended, and ends them with the demo.
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export interface Instance {
  readonly service: string
  readonly name: string
  readonly pid: number
  /** `127.0.0.1:port`. */
  readonly address: string
}

export interface Instances extends AsyncDisposable {
  readonly list: readonly Instance[]
}

const samples = [
  { service: 'web', name: 'web-1' }, { service: 'web', name: 'web-2' },
  { service: 'api', name: 'api-1' }, { service: 'api', name: 'api-2' },
  { service: 'shop', name: 'stable-1' }, { service: 'shop', name: 'stable-2' }, { service: 'shop', name: 'canary' },
] as const

/** Starts all samples. `onEnd` is told of each that ends by itself; disposal ends the others. */
export async function startInstances(onEnd: (instance: Instance) => void): Promise<Instances> {
  const children: ChildProcess[] = []
  const endAll = async (): Promise<void> => {
    const running = children.filter((child) => child.exitCode === null && child.signalCode === null)
    await Promise.all(running.map((child) => {
      child.removeAllListeners('exit')
      const ended = once(child, 'exit')
      if (child.connected) child.disconnect()
      return ended
    }))
  }
  const start = async ({ service, name }: { readonly service: string; readonly name: string }): Promise<Instance> => {
    const child = fork(fileURLToPath(new URL('instance.ts', import.meta.url)), [service, name], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    children.push(child)
    const [message] = await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(([code]) => { throw new Error(`the sample instance ${name} ended with ${code} before it listened`) }),
    ]) as [{ readonly port: number }]
    const instance = { service, name, pid: child.pid ?? 0, address: `127.0.0.1:${message.port}` }
    child.once('exit', () => { onEnd(instance) })
    return instance
  }
  try {
    return { list: await Promise.all(samples.map(start)), [Symbol.asyncDispose]: endAll }
  } catch (error) {
    await endAll()
    throw error
  }
}
