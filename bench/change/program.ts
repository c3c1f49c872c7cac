// A process with Serai's table and workers, fed by a catalog of 5,000 services in memory instead of a file that must be parsed:
// what a change costs from the catalog's answer on. Arguments: folder, port, workers, two backend ports. Each SIGUSR2 is one change;
// for each a line of JSON says how long it took: {"changeMs": 5.1}.
import { join } from 'node:path'
import { pino } from 'pino'
import type { Catalog, Instance, Reading } from '#src/catalog/catalog.ts'
import { LastGood } from '#src/catalog/last-good.ts'
import { toDataPlaneSettings } from '#src/config/data-plane.ts'
import { loadConfig } from '#src/config/load.ts'
import { assemblyOptions } from '#src/control/assembly-options.ts'
import { TableSource } from '#src/control/table-source.ts'
import { workerHeapMb } from '#src/control/worker-count.ts'
import { Workers } from '#src/control/workers.ts'
import { createAccessSink } from '#src/observe/access-sink.ts'
import { systemClock } from '#src/registry/clock.ts'
import { HOST, hostName } from '../peer.ts'

const SERVICES = 5000
const ENDPOINTS = 4
const CHANGING = 77

const [folder = '', port = '', count = '', ...backends] = process.argv.slice(2)
const workersCount = Number(count)
const loaded = loadConfig({ text: '', env: {}, flags: { 'listeners.http.address': `127.0.0.1:${port}`, 'limits.connections': '20000' } })
if (!loaded.ok) throw new Error(JSON.stringify(loaded.mistakes))
const { config } = loaded
const settings = toDataPlaneSettings(config, workersCount, 'serai-bench')
const log = pino({ level: 'error' }, process.stderr)
const access = createAccessSink(join(folder, 'access.log'))

/** The host that is asked for leads to the backends; nobody asks the others. */
function instancesOf(service: number, change: number): Instance[] {
  const host = hostName(service)
  const registration = { service: `s${service}`, namespace: 'default', tags: [`serai.host=${host}`], health: 'passing', where: 'memory' } as const
  if (host === HOST) return backends.map((each, at) => ({ ...registration, id: `${service}/${at}`, host: '127.0.0.1', port: Number(each) }))
  return Array.from({ length: ENDPOINTS }, (_, at) => ({
    ...registration, id: `${service}/${at}`, host: `10.${service >> 8}.${service & 255}.${at + 1}`, port: 20_000 + (at === 0 ? change % 2 : 0),
  }))
}

const groups = Array.from({ length: SERVICES }, (_, service) => instancesOf(service, 0))

let change = 0
let answeredAt = 0
let answer: (() => void) | undefined

/** As after a registry's event: the instances of the changed service are read anew, the others are the objects that they were. */
async function* readings(signal: AbortSignal): AsyncGenerator<Reading> {
  while (!signal.aborted) {
    groups[CHANGING] = instancesOf(CHANGING, change++)
    answeredAt = performance.now()
    yield { kind: 'read', instances: groups.flat(), problems: [] }
    await new Promise<void>((resolve) => (answer = resolve))
  }
}

const catalog: Catalog = { name: 'memory', reusesAddresses: false, readings }
const workers: Workers = new Workers({
  count: workersCount,
  heapMb: workerHeapMb(workersCount),
  settings: () => settings,
  certificates: () => [],
  ticketKeys: () => new Uint8Array(48),
  handshakeFailed: () => undefined,
  whole: () => table.publisher.whole(),
  access: (lines, records) => access.write(lines, records),
  ejected: () => undefined,
  nobodyListens: () => undefined,
  retired: () => undefined,
  swapped: () => {
    const { revision, snapshot } = table.publisher
    if (snapshot.complete && workers.live.every((worker) => worker.revision === revision)) console.log(JSON.stringify({ changeMs: performance.now() - answeredAt }))
  },
  log,
})
const table = new TableSource({
  catalogs: [catalog],
  assembly: assemblyOptions(config, settings.listeners),
  lastGood: new LastGood({ path: join(folder, 'state'), maxAgeMs: 3_600_000, log }),
  nodeAddresses: [],
  clock: systemClock,
  publish: (slices, slotsEnd) => workers.publish(slices, slotsEnd),
  serviceAdded: () => undefined,
  serviceRemoved: () => undefined,
  log,
})
process.on('SIGUSR2', () => answer?.())
process.once('SIGTERM', () => process.exit(0))
const listening = workers.start()
void table.follow(new AbortController().signal)
await listening
