// A closed loop of requests on a number of connections, and what became of each.
import { connect } from './client.ts'
import { CutError } from './inbox.ts'

export interface LoadOptions {
  readonly port: number
  readonly host: string
  readonly connections: number
  /** Milliseconds: no request begins later. */
  readonly forMs: number
  /** The bytes of the request with this number; the default is a GET of `/<number>`. */
  readonly request?: (number: number) => string
  /** Of a single response, in milliseconds. */
  readonly deadline?: number
}

export interface LoadResult {
  readonly requests: number
  /** How often each status came; `cut`: the connection ended before the response was whole. */
  readonly statuses: ReadonlyMap<number | 'cut', number>
  /** Milliseconds of each response with status 200, sorted. */
  readonly latencies: readonly number[]
  /** Everything but 200. */
  readonly failed: number
}

/** Runs it and waits for the last response. */
export async function runLoad({ port, host, connections, forMs, request, deadline = 15_000 }: LoadOptions): Promise<LoadResult> {
  const end = performance.now() + forMs
  const statuses = new Map<number | 'cut', number>()
  const latencies: number[] = []
  let requests = 0
  const text = request ?? ((number: number) => `GET /${number} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  const runOne = async (): Promise<void> => {
    while (performance.now() < end) {
      await using client = await connect(port, { deadline, record: false })
      while (performance.now() < end) {
        const begun = performance.now()
        client.send(text(requests++))
        const status = await client.receiveResponse().then((response) => response, (error: unknown) => {
          if (error instanceof CutError) return undefined
          throw error
        })
        const key = status?.status ?? 'cut'
        statuses.set(key, (statuses.get(key) ?? 0) + 1)
        if (key === 200) latencies.push(performance.now() - begun)
        if (status === undefined || status.headers.get('connection') === 'close') break
      }
    }
  }
  await Promise.all(Array.from({ length: connections }, runOne))
  latencies.sort((a, b) => a - b)
  return { requests, statuses, latencies, failed: requests - latencies.length }
}

/** A part of the sorted values, 0–1: 0.99 is the value that 99 % do not exceed. */
export const quantile = (sorted: readonly number[], part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN

/** `200: 1234, cut: 1; p50 0.8 ms, p99 3.1 ms`. */
export function describeLoad({ statuses, latencies }: LoadResult): string {
  const counts = [...statuses].map(([status, count]) => `${status}: ${count}`).join(', ')
  return `${counts}; p50 ${quantile(latencies, 0.5).toFixed(1)} ms, p99 ${quantile(latencies, 0.99).toFixed(1)} ms`
}
