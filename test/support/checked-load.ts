// Clients that ask without pause over kept connections, each answer checked; a connection that is cut is replaced and counted.
import { connect, type Client } from './client.ts'

export interface LoadOptions {
  readonly port: number
  readonly clients: number
  /** The hosts to ask for, in turn; the body of each answer must be the first label of its host. */
  readonly hosts: readonly string[]
  /** Further fields of each request. */
  readonly fields?: readonly string[]
}

export interface LoadResult {
  readonly requests: number
  /** Wrong statuses and wrong bodies. */
  readonly wrong: readonly string[]
  /** Connections that broke. */
  readonly cut: readonly string[]
  /** Of each request, in milliseconds. */
  readonly durations: readonly number[]
}

export interface Load {
  /** So far. */
  readonly requests: number
  stop(): Promise<LoadResult>
}

export function startCheckedLoad({ port, clients, hosts, fields = [] }: LoadOptions): Load {
  const wrong: string[] = []
  const cut: string[] = []
  const durations: number[] = []
  let running = true
  const ask = async (client: Client, host: string): Promise<void> => {
    const begun = performance.now()
    client.get('/', host, ...fields)
    const { status, text } = await client.receiveResponse()
    durations.push(performance.now() - begun)
    if (status !== 200 || `${text}.example.org` !== host) wrong.push(`${host}: ${status} ${text.slice(0, 40)}`)
  }
  const run = async (first: number): Promise<void> => {
    for (let turn = first; running;) {
      try {
        await using client = await connect(port)
        for (; running; turn++) await ask(client, hosts[turn % hosts.length] ?? '')
      } catch (error) {
        cut.push(String(error).slice(0, 150))
      }
    }
  }
  const all = Promise.all(Array.from({ length: clients }, (_, at) => run(at)))
  return {
    get requests() { return durations.length },
    async stop() {
      running = false
      await all
      return { requests: durations.length, wrong, cut, durations }
    },
  }
}

/** The value below which the share `part` of the numbers lies. */
export function quantile(numbers: readonly number[], part: number): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0
}
