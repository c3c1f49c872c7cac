// A development registry in a process of its own, filled with services that change as often as a test wants.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { within } from './until.ts'

export type Request =
  | { readonly kind: 'fill'; readonly services: number; readonly instances: number; readonly judged: boolean }
  | { readonly kind: 'churn'; readonly services: number; readonly instances: number; readonly perSecond: number }
  | { readonly kind: 'target'; readonly there: boolean; readonly port: number }

/** `shown`: the registry's state has it, or has it no more, since `at` (milliseconds since 1970, with fractions). */
export type Reply =
  | { readonly kind: 'listening'; readonly address: string }
  | { readonly kind: 'filled' }
  | { readonly kind: 'shown'; readonly at: number }

export interface RegistryProcess extends AsyncDisposable {
  /** `host:port`. */
  readonly address: string
  /** So many services with so many instances each, all healthy, none of them a process. `judged` false: no deployment says that they are. */
  fill(services: number, instances: number, judged?: boolean): Promise<void>
  /** From now on so many of them get other tags each second, one after the other. */
  churn(services: number, instances: number, perSecond: number): void
  /** Registers the service `target` at this port of the loopback address, or takes it away; resolves with when its state showed it. */
  target(there: boolean, port: number): Promise<number>
}

const DEADLINE_MS = 90_000

export async function startRegistryProcess(): Promise<RegistryProcess> {
  const child = fork(fileURLToPath(new URL('../fixtures/registry-child.ts', import.meta.url)), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const reply = async <Kind extends Reply['kind']>(kind: Kind): Promise<Extract<Reply, { kind: Kind }>> => {
    const [message] = await within(once(child, 'message'), DEADLINE_MS, () => `the registry's reply ${kind}`) as [Reply]
    if (message.kind !== kind) throw new Error(`the registry replied ${message.kind} instead of ${kind}`)
    return message as Extract<Reply, { kind: Kind }>
  }
  const send = (request: Request): void => { child.send(request) }
  const { address } = await reply('listening')
  return {
    address,
    async fill(services, instances, judged = true) {
      send({ kind: 'fill', services, instances, judged })
      await reply('filled')
    },
    churn(services, instances, perSecond) { send({ kind: 'churn', services, instances, perSecond }) },
    async target(there, port) {
      send({ kind: 'target', there, port })
      return (await reply('shown')).at
    },
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect()
      const timer = setInterval(() => child.kill('SIGKILL'), 3000)
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      clearInterval(timer)
    },
  }
}
