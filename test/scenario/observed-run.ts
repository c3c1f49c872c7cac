// One job under constant requests: its phases, and what clients and checks saw in each.
import type { NomadClient } from '#test/support/nomad-client.ts'
import { watchChecks } from './check-watch.ts'
import type { DeployedJob } from './deployed-job.ts'
import { settled } from './deployed-job.ts'
import { figuresOf } from './ledger.ts'
import type { PhaseFigures, PhaseMark, RequestRecord, Timing } from './ledger.ts'
import { startClients } from './steady-clients.ts'

/** Who a client was answered by. */
type Answer = Pick<RequestRecord, 'allocation' | 'pid' | 'version'>

const CLIENTS = 4
/** Of each client: a hundred requests a second from all of them. */
const EVERY_MS = 40

export interface ObservedRun extends AsyncDisposable {
  readonly records: readonly RequestRecord[]
  /** Runs what a phase consists of; `routed`: new instances get requests in it, whose times to route are to be taken. */
  phase(name: string, act: () => Promise<void>, how?: { readonly routed?: boolean }): Promise<void>
  /** Until the clients were answered by `count` different instances, since this call, for which `matches` says yes. */
  answered(count: number, matches?: (answer: Answer) => boolean): Promise<readonly Answer[]>
  /** Adds a time to a phase. */
  time(phase: string, ms: number): void
  /** When an allocation last answered; 0: never. */
  lastAnswer(allocation: string): number
  figures(): PhaseFigures[]
}

/** `port`: of the Serai that the clients ask for `host`. */
export function observe(job: DeployedJob, { client, port, host }: { readonly client: NomadClient; readonly port: number; readonly host: string }): ObservedRun {
  const clients = startClients({ port, host, clients: CLIENTS, everyMs: EVERY_MS })
  const checks = watchChecks(client, job.name)
  const { records } = clients
  const phases: PhaseMark[] = []
  const timings: Timing[] = []
  /** From each first passing of a check in the phase to the next answer of that instance. */
  const takeRoutes = (phase: string, since: number): void => {
    for (const { allocation, passing, notBefore } of checks.changes.slice(since)) {
      const first = records.find((record) => record.allocation === allocation && record.ended >= notBefore)
      if (passing && first !== undefined) timings.push({ phase, ms: first.ended - notBefore })
    }
  }
  return {
    records,
    async phase(name, act, { routed = true } = {}) {
      const from = performance.now()
      const since = checks.changes.length
      await act()
      phases.push({ name, from, to: performance.now() })
      if (routed) takeRoutes(name, since)
    },
    async answered(count, matches = () => true) {
      const since = records.length
      return settled(() => {
        const answers = new Map(records.slice(since).filter((record) => record.outcome === 200 && matches(record)).map((record) => [record.pid, record]))
        return answers.size >= count ? [...answers.values()] : undefined
      }, `answers of ${count} instances of ${job.name}`)
    },
    time: (phase, ms) => { timings.push({ phase, ms }) },
    lastAnswer: (allocation) => records.findLast((record) => record.allocation === allocation)?.ended ?? 0,
    figures: () => figuresOf(records, phases, timings),
    async [Symbol.asyncDispose]() {
      await clients[Symbol.asyncDispose]()
      await checks[Symbol.asyncDispose]()
    },
  }
}
