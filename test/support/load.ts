// Clients that ask without a pause until they are told to stop, each answer checked against the host that it was asked of.
import { connect } from './client.ts'
import { CutError } from './inbox.ts'

export interface LoadOptions {
  readonly port: number
  readonly clients: number
  /** Asked in turn; a backend answers with the first label of the host. */
  readonly hosts: readonly string[]
}

export interface LoadOutcome {
  readonly requests: number
  /** Answers that were not 200 with the service's name. */
  readonly wrong: readonly string[]
  /** Connections that broke. */
  readonly cut: readonly string[]
  /** Milliseconds of each answer. */
  readonly durations: readonly number[]
}

export interface Load {
  /** Answers so far. */
  readonly requests: number
  stop(): Promise<LoadOutcome>
}

/** Starts the clients; each opens a new connection when its own breaks. */
export function startLoad({ port, clients, hosts }: LoadOptions): Load {
  const wrong: string[] = []
  const cut: string[] = []
  const durations: number[] = []
  let running = true
  let asked = 0
  const converse = async (): Promise<void> => {
    await using client = await connect(port, { record: false })
    while (running) {
      const host = hosts[asked++ % hosts.length]!
      const begun = performance.now()
      client.get('/', host)
      const { status, text } = await client.receiveResponse()
      durations.push(performance.now() - begun)
      if (status !== 200 || text !== host.split('.')[0]) wrong.push(`${host}: ${status} ${text}`)
    }
  }
  const ask = async (): Promise<void> => {
    while (running) {
      try {
        await converse()
      } catch (error) {
        if (!(error instanceof CutError) && (error as NodeJS.ErrnoException).code === undefined) throw error
        cut.push(String(error))
      }
    }
  }
  const all = Promise.all(Array.from({ length: clients }, ask))
  return {
    get requests() { return durations.length },
    async stop() {
      running = false
      await all
      return { requests: durations.length, wrong, cut, durations }
    },
  }
}

/** The value that a part of them, 0–1, does not exceed. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}
