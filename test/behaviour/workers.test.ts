// A worker thread that ends, however it does: the others never notice, it comes back with the table, and no count is lost.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WorkerHandle } from '#src/control/worker-handle.ts'
import { connect, get } from '#test/support/client.ts'
import { service, startDataPlane, type DataPlane } from '#test/support/data-plane.ts'
import { startHttpBackend } from '#test/support/http-backend.ts'
import { quantile, startCheckedLoad } from '#test/support/checked-load.ts'
import { until } from '#test/support/until.ts'

const ends: Readonly<Record<string, (worker: WorkerHandle, plane: DataPlane) => void>> = {
  'is terminated': (worker) => void worker.terminate(),
  // Settings that no config can hold: taking them throws outside of any boundary.
  'throws': (worker, { settings }) => worker.tell({ kind: 'settings', settings: { ...settings, trustedPeers: ['not a block'] } }),
}

for (const [how, end] of Object.entries(ends)) {
  test(`a worker that ${how}: the others go on, it is back within a second with the table, counters do not fall`, async (t) => {
    await using backend = await startHttpBackend('web')
    await using plane = await startDataPlane({ workers: 2 })
    plane.publish(Array.from({ length: 500 }, (_, at) => service(at === 0 ? 'web' : `other-${at}`, [backend.address])))
    await plane.settled()
    const quiet = await measure(plane, async () => {})
    const counted = await requestsCounted(plane)
    const [victim] = plane.workers.live
    let itsConnections = 0
    const disturbed = await measure(plane, async () => {
      itsConnections = victim!.connections
      const ended = performance.now()
      end(victim!, plane)
      await until(() => !plane.workers.live.includes(victim!), { what: 'the end of the worker' })
      assert.ok(await requestsCounted(plane) >= counted, 'a counter fell when the worker ended')
      await plane.settled()
      t.diagnostic(`back after ${Math.round(performance.now() - ended)} ms`)
      assert.ok(performance.now() - ended < 2000, 'twice the promise: machines that run tests are busy')
    })
    // Its own connections are cut, and what its queue held; the other worker's are not.
    assert.deepEqual(disturbed.wrong, [])
    assert.ok(disturbed.cut.length <= itsConnections + 1, `${disturbed.cut.length} connections broke, the worker had ${itsConnections}: ${disturbed.cut.join('\n')}`)
    assert.equal(plane.workers.restarts, 1)
    t.diagnostic(`p99 ${quantile(disturbed.durations, 0.99).toFixed(1)} ms, without ${quantile(quiet.durations, 0.99).toFixed(1)} ms; ${disturbed.cut.length} of 8 connections cut`)
    // A request is counted just after its answer went out.
    await until(async () => await requestsCounted(plane) >= counted + disturbed.requests, { what: 'every request to be counted' })
    assert.ok(plane.logs.some((line) => line.startsWith('error a worker ended')), plane.logs.join('\n'))
  })
}

async function measure(plane: DataPlane, disturb: () => Promise<void>): Promise<Awaited<ReturnType<ReturnType<typeof startCheckedLoad>['stop']>>> {
  const load = startCheckedLoad({ port: plane.port, clients: 8, hosts: ['web.example.org'] })
  await until(() => load.requests > 300, { what: '300 requests' })
  await disturb()
  const before = load.requests
  await until(() => load.requests > before + 300, { what: '300 requests more' })
  return await load.stop()
}

async function requestsCounted(plane: DataPlane): Promise<number> {
  const [, count] = /^serai_requests_total\{service="web@test\/default",code="200"\} (\d+)$/m.exec(await plane.metrics()) ?? []
  return Number(count)
}

test('both workers together count each request once', async () => {
  await using backend = await startHttpBackend('web')
  await using plane = await startDataPlane({ workers: 2 })
  plane.publish([service('web', [backend.address])])
  await plane.settled()
  for (let request = 0; request < 40; request++) assert.equal((await get(plane.port, '/', 'web.example.org')).status, 200)
  assert.ok(plane.workers.live.every((worker) => worker.counter('connections_accepted_total') > 0), 'one worker got all connections')
  await until(async () => await requestsCounted(plane) >= 40, { what: 'every request to be counted' })
  assert.equal(await requestsCounted(plane), 40)
})

test('out of memory ends the worker, not the process; it comes back', async () => {
  await using backend = await startHttpBackend('web')
  await using plane = await startDataPlane({ workers: 2, heapMb: 32 })
  plane.publish([service('web', [backend.address])])
  await plane.settled()
  const [victim] = plane.workers.live
  // A change that this worker alone is given, and that no heap of 32 MB can hold.
  const routes = Array.from({ length: 200_000 }, (_, at) => `${at}.host-number-${at}.example.org`)
  victim!.publish([{ from: 1, to: 2, complete: true, changed: [service('huge', [backend.address], {}, routes)], removed: [], last: true }], 64)
  await until(() => plane.workers.restarts === 1, { what: 'the end of the worker', deadline: 20_000 })
  assert.match(plane.logs.join('\n'), /ERR_WORKER_OUT_OF_MEMORY/)
  await plane.settled()
  assert.equal((await get(plane.port, '/', 'web.example.org')).status, 200)
})

test('a worker that cannot listen at the start is an error that says why', async () => {
  await assert.rejects(startDataPlane({ settings: (same) => ({ ...same, listeners: [{ ...same.listeners[0]!, host: '192.0.2.1', port: 1 }] }) }), /cannot start: .*EADDRNOTAVAIL/)
})

test('a worker that comes back listens only when it has the table: no request is answered 503 meanwhile', async () => {
  await using backend = await startHttpBackend('web')
  await using plane = await startDataPlane({ workers: 1 })
  plane.publish(Array.from({ length: 2000 }, (_, at) => service(at === 0 ? 'web' : `other-${at}`, [backend.address])))
  await plane.settled()
  await plane.workers.live[0]!.terminate()
  const statuses = new Set<number>()
  await until(async () => {
    await using client = await connect(plane.port)
    client.get('/', 'web.example.org')
    statuses.add((await client.receiveResponse()).status)
    return statuses.size > 0
  }, { what: 'an answer' })
  assert.deepEqual([...statuses], [200])
})
