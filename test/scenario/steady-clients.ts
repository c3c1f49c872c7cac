// Several clients that each send a GET every so often on a connection that they keep, whatever happens, and remember what became of it.
import { systemClock } from '#src/registry/clock.ts'
import { connect } from '#test/support/client.ts'
import type { Client } from '#test/support/client.ts'
import { CutError } from '#test/support/inbox.ts'
import type { RequestRecord } from './ledger.ts'

export interface SteadyOptions {
  readonly port: number
  readonly host: string
  readonly clients: number
  /** Between two requests of one client, in milliseconds. */
  readonly everyMs: number
}

export interface SteadyClients extends AsyncDisposable {
  /** In the order of their ends. */
  readonly records: readonly RequestRecord[]
}

const DEADLINE_MS = 10_000

/** Begins at once; disposal waits for the last answers. */
export function startClients({ port, host, clients, everyMs }: SteadyOptions): SteadyClients {
  const records: RequestRecord[] = []
  const ending = new AbortController()
  const run = async (number: number): Promise<void> => {
    await idle((everyMs * number) / clients)
    while (!ending.signal.aborted) {
      await using client = await connect(port, { deadline: DEADLINE_MS, record: false })
      for (let stays = true; stays && !ending.signal.aborted;) {
        const begun = performance.now()
        const record = await ask(client, host, begun)
        records.push(record.kept)
        stays = record.stays
        await idle(begun + everyMs - performance.now())
      }
    }
  }
  const idle = (ms: number): Promise<void> => systemClock.wait(Math.max(0, ms), ending.signal)
  const running = Promise.all(Array.from({ length: clients }, (_, number) => run(number)))
  return {
    records,
    async [Symbol.asyncDispose]() {
      ending.abort()
      await running
    },
  }
}

interface Answered {
  readonly kept: RequestRecord
  /** The connection takes another request. */
  readonly stays: boolean
}

async function ask(client: Client, host: string, begun: number): Promise<Answered> {
  const before = client.received
  client.get('/', host)
  try {
    const response = await client.receiveResponse()
    const said = response.status === 200 ? JSON.parse(response.text) as Pick<RequestRecord, 'allocation' | 'pid' | 'version'> : nobody
    const { allocation, pid, version } = said
    return { kept: { begun, ended: performance.now(), outcome: response.status, allocation, pid, version }, stays: response.headers.get('connection') !== 'close' }
  } catch (error) {
    const outcome = !(error instanceof CutError) ? 'timeout' : client.received > before ? 'cut' : 'closed'
    return { kept: { begun, ended: performance.now(), outcome, ...nobody }, stays: false }
  }
}

const nobody = { allocation: '', pid: 0, version: '' } as const
