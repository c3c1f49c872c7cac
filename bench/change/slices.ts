// What a worker's thread spends on one slice of the table.
import { Deadlines } from '#src/io/deadlines.ts'
import { Outboxes } from '#src/io/outbox.ts'
import { ReadBuffers } from '#src/io/read-buffer.ts'
import { loadConfig } from '#src/config/load.ts'
import { defaultPolicy, toDataPlaneSettings } from '#src/config/data-plane.ts'
import { Publisher } from '#src/control/publisher.ts'
import { PAGE_BYTES, PAGE_SERVICES, WORKER_CELLS } from '#src/observe/counters.ts'
import { Clock } from '#src/proxy/clock.ts'
import { Identities } from '#src/tls/identities.ts'
import { Plane } from '#src/proxy/plane.ts'
import type { DataPlaneSettings, Service } from '#src/snapshot.ts'
import { hostName } from '../peer.ts'

const SERVICES = 5000
const ENDPOINTS = 4

const TABLES = 8

/**
 * CPU milliseconds for one slice, of those that 5,000 services with 20,000 endpoints make: in the first table of a thread, whose code is
 * cold, and in later ones. Each is a mean over whole tables, because the kernel may tell CPU time in steps of 4 ms.
 */
export function sliceTimes(): { readonly slices: number; readonly coldMs: number; readonly warmMs: number } {
  const loaded = loadConfig({ text: '', env: {} })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.mistakes))
  const policy = defaultPolicy(loaded.config)
  const services = Array.from({ length: SERVICES }, (_, index): Service => ({
    key: `s${index}@file/default`, slot: index + 1, scheme: 'http', tls: { serverName: '', ca: '', skipVerify: false }, balance: 'p2c',
    endpoints: Array.from({ length: ENDPOINTS }, (__, at) => {
      const host = `10.${index >> 8}.${index & 255}.${at + 1}`
      return { address: `${host}:20000`, host, port: 20_000, weight: 100 }
    }),
    routes: [{ router: 'default', match: { host: hostName(index), path: '/', kind: 'prefix' }, refuse: '', endpoints: [0, 1, 2, 3], policy }],
  }))
  const publisher = new Publisher()
  publisher.publish(services, [], true)
  const settings = toDataPlaneSettings(loaded.config, 1, 'serai-bench')
  const slices = publisher.whole().length
  const first = tableMs(settings, publisher)
  let later = 0
  for (let table = 0; table < TABLES; table++) later += tableMs(settings, publisher)
  return { slices, coldMs: first / slices, warmMs: later / TABLES / slices }
}

/** CPU milliseconds of compiling the whole table into a new plane. */
function tableMs(settings: DataPlaneSettings, publisher: Publisher): number {
  const clock = new Clock()
  const pages = Array.from({ length: Math.ceil((SERVICES + 1) / PAGE_SERVICES) }, () => new SharedArrayBuffer(PAGE_BYTES))
  const plane = new Plane(settings, {
    clock, deadlines: new Deadlines(clock.now()), buffers: new ReadBuffers(() => undefined), outboxes: new Outboxes(() => undefined), random: Math.random, identities: new Identities(), counters: new Float64Array(WORKER_CELLS), pages,
    boundaryError: (error) => { throw error },
    ejected: () => undefined, nobodyListens: () => undefined, accessLine: () => undefined,
  })
  const slices = structuredClone(publisher.whole())
  const before = process.threadCpuUsage()
  for (const slice of slices) plane.apply(slice)
  const { user, system } = process.threadCpuUsage(before)
  if (plane.revision !== publisher.revision) throw new Error('the plane did not take the table')
  return (user + system) / 1000
}
