// Metrics: what the workers counted arrives, and no counter goes backwards whatever happens to workers and services.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { cells, countExchange, NO_SERVICE_SLOT, PAGE_BYTES, PAGE_SERVICES, serviceCells, WORKER_CELLS, workerCell, workerCounters } from '#src/observe/counters.ts'
import { NO_STATUS } from '#src/observe/grpc-status.ts'
import { createMetrics } from '#src/observe/metrics.ts'
import type { Metrics, Observed } from '#src/observe/metrics.ts'
import type { WorkerCounts } from '#src/observe/service-totals.ts'

const observed: Observed = {
  revision: 7, ready: true, draining: false, problems: 3, workerRestarts: 1,
  catalogs: [{ name: 'file', ageSeconds: 1.5, errors: 2, forbiddenSeconds: 0, calls: new Map() },
    { name: 'nomad', ageSeconds: undefined, errors: 0, forbiddenSeconds: 2, calls: new Map([['services', 7]]) }],
  certificates: [{ name: 'a.example.org', expiresInSeconds: 86_400 }],
  listeners: ['http', 'other'], accessDropped: 5,
}

const makeWorker = (id: number, pages = 2): WorkerCounts => ({ id, cells: new Float64Array(WORKER_CELLS), pages: Array.from({ length: pages }, () => new SharedArrayBuffer(PAGE_BYTES)) })

function setUp(workers: WorkerCounts[], given: Partial<Observed> = {}, maxServices?: number): Metrics {
  return createMetrics({ version: '1.2.3', workers: () => workers, observed: () => ({ ...observed, ...given }), ...(maxServices !== undefined && { maxServices }) })
}

/** The exposition as a map from a series to its value. */
async function scrape(metrics: Metrics): Promise<Map<string, number>> {
  const lines = (await metrics.render()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  const series = new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]))
  assert.equal(series.size, lines.length, 'no series comes twice')
  return series
}

function count(worker: WorkerCounts, slot: number, status = 200, seconds = 0.004): void {
  countExchange(serviceCells(worker.pages, slot), status, seconds, 10, 100)
}

const requests = (service: string, code = '200'): string => `serai_requests_total{service="${service}",code="${code}"}`

test('the sum over workers, by service and code; nothing for what was not counted', async () => {
  const workers = [makeWorker(1), makeWorker(2)]
  const metrics = setUp(workers)
  metrics.addService('web@file/default', 1)
  metrics.addService('idle@file/default', 2)
  metrics.addService('far@file/default', PAGE_SERVICES)
  count(workers[0]!, 1)
  count(workers[1]!, 1)
  count(workers[1]!, 1, 503, 99)
  count(workers[0]!, NO_SERVICE_SLOT, 404)
  count(workers[0]!, PAGE_SERVICES, 299)
  serviceCells(workers[0]!.pages, 1)[cells.attempts]! += 4
  serviceCells(workers[0]!.pages, 1)[cells.grpc + 14]! += 3
  serviceCells(workers[1]!.pages, 1)[cells.grpc + NO_STATUS]! += 1
  serviceCells(workers[0]!.pages, 1)[cells.inFlight] = 2

  const series = await scrape(metrics)
  assert.equal(series.get(requests('web@file/default')), 2)
  assert.equal(series.get(requests('web@file/default', '503')), 1)
  assert.equal(series.get(requests('none', '404')), 1)
  assert.equal(series.get(requests('far@file/default', '2xx')), 1)
  assert.equal(series.get('serai_attempts_total{service="web@file/default",result="ok"}'), 4)
  assert.deepEqual([...series].filter(([name]) => name.startsWith('serai_grpc_calls_total')), [
    ['serai_grpc_calls_total{service="web@file/default",code="14"}', 3], ['serai_grpc_calls_total{service="web@file/default",code="none"}', 1],
  ])
  assert.equal(series.get('serai_requests_in_flight{service="web@file/default"}'), 2)
  assert.equal(series.get('serai_request_bytes_total{service="web@file/default"}'), 30)
  assert.equal(series.get('serai_response_bytes_total{service="web@file/default"}'), 300)
  assert.equal([...series.keys()].filter((name) => name.startsWith('serai_requests_total{service="web@')).length, 2)
  assert.equal([...series.keys()].some((name) => name.includes('idle@')), false)
  assert.equal([...series.keys()].some((name) => name.includes('"other"') && name.includes('service')), false)
})

test('durations are a cumulative histogram', async () => {
  const workers = [makeWorker(1)]
  const metrics = setUp(workers)
  metrics.addService('web@file/default', 1)
  for (const seconds of [0.0005, 0.001, 0.004, 29, 31]) count(workers[0]!, 1, 200, seconds)
  const series = await scrape(metrics)
  const bucket = (le: string): number | undefined => series.get(`serai_request_duration_seconds_bucket{service="web@file/default",le="${le}"}`)
  assert.deepEqual(['0.001', '0.0025', '0.005', '10', '30', '+Inf'].map(bucket), [2, 2, 3, 3, 4, 5])
  assert.equal(series.get('serai_request_duration_seconds_count{service="web@file/default"}'), 5)
  assert.equal(series.get('serai_request_duration_seconds_sum{service="web@file/default"}'), 60.0055)
})

test('a worker that ends takes its gauges away and leaves its counts', async () => {
  const workers = [makeWorker(1), makeWorker(2)]
  const metrics = setUp(workers)
  metrics.addService('web@file/default', 1)
  for (const worker of workers) {
    count(worker, 1)
    serviceCells(worker.pages, 1)[cells.inFlight] = 1
    worker.cells[workerCell.retries_total] = 5
    worker.cells[workerCell.exchanges] = 1
    worker.cells[workerCounters.length] = 10
  }
  metrics.retireWorker(workers.pop()!)
  workers.push(makeWorker(2, 1))
  count(workers[1]!, 1)

  const series = await scrape(metrics)
  assert.equal(series.get(requests('web@file/default')), 3)
  assert.equal(series.get('serai_requests_in_flight{service="web@file/default"}'), 1)
  assert.equal(series.get('serai_retries_total'), 10)
  assert.equal(series.get('serai_exchanges'), 1)
  assert.equal(series.get('serai_connections{listener="http"}'), 10)
})

test('a service that goes takes its series along; the next one in its slot counts from zero', async () => {
  const workers = [makeWorker(1)]
  const metrics = setUp(workers)
  metrics.addService('old@file/default', 1)
  count(workers[0]!, 1)
  metrics.removeService(1)
  assert.equal([...(await scrape(metrics)).keys()].some((name) => name.includes('old@')), false)

  count(workers[0]!, 1, 500)
  metrics.addService('new@file/default', 1)
  count(workers[0]!, 1)
  metrics.retireWorker(workers.pop()!)
  workers.push(makeWorker(2))
  count(workers[0]!, 1)
  const series = await scrape(metrics)
  assert.equal(series.get(requests('new@file/default')), 2)
  assert.equal(series.has(requests('new@file/default', '500')), false)
})

test('services beyond the bound are counted as one, which never falls', async () => {
  const workers = [makeWorker(1)]
  const metrics = setUp(workers, {}, 2)
  for (let slot = 1; slot <= 4; slot++) {
    metrics.addService(`s${slot}@file/default`, slot)
    count(workers[0]!, slot)
  }
  const before = await scrape(metrics)
  assert.equal(before.get('serai_services_folded'), 2)
  assert.deepEqual([requests('s1@file/default'), requests('s2@file/default'), requests('s3@file/default'), requests('other')].map((name) => before.get(name)), [1, 1, undefined, 2])

  metrics.removeService(3)
  metrics.addService('s5@file/default', 3)
  count(workers[0]!, 3)
  const after = await scrape(metrics)
  assert.equal(after.get(requests('other')), 3)

  metrics.removeService(1)
  metrics.addService('s6@file/default', 1)
  assert.equal((await scrape(metrics)).get('serai_services_folded'), 2)
})

test('what the main thread knows', async () => {
  const series = await scrape(setUp([makeWorker(4)], { draining: true, endpoints: [{ service: 'web@file/default', address: '127.0.0.1:1', up: false }] }))
  const expected = {
    serai_snapshot_revision: 7, serai_problems: 3, serai_ready: 1, serai_draining: 1, serai_worker_restarts_total: 1,
    'serai_catalog_age_seconds{catalog="file"}': 1.5, 'serai_catalog_errors_total{catalog="file"}': 2, 'serai_catalog_errors_total{catalog="nomad"}': 0,
    'serai_access_log_dropped_total{at="sink"}': 5, 'serai_access_log_dropped_total{at="worker"}': 0, 'serai_upstream_connections{state="idle"}': 0,
    'serai_connections{listener="other"}': 0, 'serai_worker_revision{worker="4"}': 0, 'serai_build_info{version="1.2.3"}': 1,
    'serai_endpoint_up{service="web@file/default",endpoint="127.0.0.1:1"}': 0,
  }
  for (const [name, value] of Object.entries(expected)) assert.equal(series.get(name), value, name)
  assert.equal(series.has('serai_catalog_age_seconds{catalog="nomad"}'), false)
  assert.ok((series.get('process_resident_memory_bytes') ?? 0) > 1e6)
})

test('labels are escaped, and registries are apart', async () => {
  const workers = [makeWorker(1)]
  const [metrics, other] = [setUp(workers), setUp(workers)]
  metrics.addService('a"b\\c\nd@file/default', 1)
  count(workers[0]!, 1)
  assert.ok((await metrics.render()).includes('serai_requests_total{service="a\\"b\\\\c\\nd@file/default",code="200"} 1'))
  assert.ok(!(await other.render()).includes('serai_requests_total{'))
})

test('5,000 services are rendered in less than a second', async (t) => {
  const workers = [makeWorker(1, 80), makeWorker(2, 80)]
  const metrics = setUp(workers)
  for (let slot = 1; slot <= 5000; slot++) {
    metrics.addService(`service-${slot}@file/default`, slot)
    for (const worker of workers) count(worker, slot)
  }
  const begun = performance.now()
  const text = await metrics.render()
  const took = performance.now() - begun
  t.diagnostic(`${took.toFixed(0)} ms, ${(text.length / 1e6).toFixed(1)} MB`)
  assert.ok(took < 1000, `took ${took} ms`)
})

test('every metric is documented', async () => {
  const page = await readFile(new URL('../../docs/metrics.md', import.meta.url), 'utf8')
  const names = [...(await setUp([makeWorker(1)]).render()).matchAll(/^# TYPE (serai_\w+)/gm)].map(([, name]) => name!)
  assert.ok(names.length > 25)
  assert.deepEqual(names.filter((name) => !page.includes(`\`${name}\``)), [])
  assert.deepEqual([...page.matchAll(/`(serai_\w+)`/g)].map(([, name]) => name!).filter((name) => !names.includes(name)), [])
})
