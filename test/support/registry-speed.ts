// How long it takes until what a registry shows is in the published table, among other services that change all the time.
import net from 'node:net'
import { once } from 'node:events'
import { connectOnce } from '#src/catalog/connect-gate.ts'
import { startControl } from './control.ts'
import { makeFolder } from './folder.ts'
import { makeNomadCatalog } from './nomad-catalog.ts'
import { startRegistryProcess } from './registry-process.ts'
import { until } from './until.ts'

export interface SpeedOptions {
  /** Services beside the one that is measured. */
  readonly others: number
  readonly changesPerSecond: number
  readonly rounds: number
}

export interface Speed {
  /** Milliseconds from the registry's state to the published table, sorted. */
  readonly arrivals: readonly number[]
  readonly removals: readonly number[]
  /** Reads of single services in a second. */
  readonly reads: number
  /** Calls made, by what was asked. */
  readonly calls: Readonly<Record<string, number>>
}

/** Between two rounds, so that it is the others that change. */
const PAUSE_MS = 300

/** Registers and takes away one service that listens, again and again. */
export async function measureSpeed({ others, changesPerSecond, rounds }: SpeedOptions): Promise<Speed> {
  await using folder = await makeFolder()
  const target = net.createServer().listen(0, '127.0.0.1')
  await once(target, 'listening')
  const { port } = target.address() as net.AddressInfo
  await using registry = await startRegistryProcess()
  await registry.fill(others, 1)
  // Only the target listens; the others are taken to.
  const { client, catalog } = makeNomadCatalog(`http://${registry.address}`, { connect: (host, to) => (to === port ? connectOnce(host, to) : Promise.resolve('')) })
  const published: { readonly at: number; readonly routed: boolean }[] = []
  const isRouted = (): boolean => control.source.publisher.snapshot.services.get('target@nomad/default')?.endpoints.some(({ reserve }) => reserve === undefined) === true
  await using control = startControl({ catalogs: [catalog], path: folder.file('state'), onPublish: () => { published.push({ at: performance.timeOrigin + performance.now(), routed: isRouted() }) } })
  await until(() => control.complete, { what: 'the first reading', deadline: 60_000 })
  const readAtStart = client.counts.get('service') ?? 0
  registry.churn(others, 1, changesPerSecond)
  const begun = performance.now()
  const times: { readonly there: boolean; readonly ms: number }[] = []
  for (let turn = 0; turn < 2 * rounds; turn++) {
    const there = turn % 2 === 0
    published.length = 0
    const shown = await registry.target(there, port)
    const done = await until(() => published.find(({ routed }) => routed === there), { what: there ? 'the route' : 'its end' })
    times.push({ there, ms: Math.max(0, done.at - shown) })
    const next = performance.now() + PAUSE_MS * (0.5 + Math.random())
    await until(() => performance.now() > next, { what: 'a pause' })
  }
  target.close()
  const seconds = (performance.now() - begun) / 1000
  const reads = ((client.counts.get('service') ?? 0) - readAtStart) / seconds
  await client.close()
  const sorted = (which: boolean): number[] => times.filter(({ there }) => there === which).map(({ ms }) => ms).sort((a, b) => a - b)
  return { arrivals: sorted(true), removals: sorted(false), reads, calls: Object.fromEntries(client.counts) }
}

export const middle = (sorted: readonly number[]): number => sorted[Math.floor(sorted.length / 2)] ?? Number.NaN

export const showSpeed = ({ arrivals, removals, reads, calls }: Speed): string =>
  `routed ${showTimes(arrivals)}; removed ${showTimes(removals)}; ${reads.toFixed(1)} service reads a second; calls ${JSON.stringify(calls)}`

const showTimes = (sorted: readonly number[]): string => `${middle(sorted).toFixed(0)} ms median, ${(sorted.at(-1) ?? Number.NaN).toFixed(0)} ms worst of ${sorted.length}`
