// What the health of 1,000 allocations costs, at rest and while they are deployed, on one node of a fleet of 1, 100 and 3,000: npm run test:long.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '#src/registry/clock.ts'
import { listeningDriver } from '#test/support/listening-driver.ts'
import { makeJob } from '#test/support/nomad-job.ts'
import { startControl } from '#test/support/control.ts'
import { makeFolder } from '#test/support/folder.ts'
import { startNomad } from '#test/support/nomad-catalog.ts'
import { probeOnce } from '#src/catalog/probe/probe.ts'
import { until } from '#test/support/until.ts'

const JOBS = 20
const EACH = 50
const MEASURED_MS = 45_000

const pause = (ms: number): Promise<void> => systemClock.wait(ms, new AbortController().signal)

for (const { fleet, nodes } of [{ fleet: 1, nodes: 1 }, { fleet: 100, nodes: 100 }, { fleet: 3000, nodes: 100 }]) {
  test(`1,000 allocations with checks, a fleet of ${fleet}`, async (t) => {
    await using folder = await makeFolder()
    let probes = 0
    const own = { id: '', job: 'serai', namespace: 'default' }
    await using subject = await startNomad({
      registry: { nodes: Array.from({ length: nodes }, (_, at) => `node-${at}`), drivers: { listening: listeningDriver } },
      own, isHere: () => false,
      probe: (spec, host, port) => {
        probes++
        return probeOnce(spec, host, port)
      },
    })
    const { nomad, client } = subject
    nomad.run({ ...makeJob('serai', { mock: true, count: fleet, group: { Networks: [], Services: [], Update: null } }) })
    await until(() => nomad.allocations('serai').length === fleet && nomad.allocations('serai').every((each) => each.client === 'running'), { what: 'the fleet', deadline: 60_000 })
    own.id = nomad.allocations('serai')[0]!.id
    await using control = startControl({ catalogs: [subject.catalog], path: folder.file('state') })
    await until(() => control.complete, { what: 'the first reading', deadline: 30_000 })
    const calls = (): number => [...client.counts.values()].reduce((sum, count) => sum + count, 0)
    const looks = (): number => client.counts.get('checks') ?? 0

    const [callsBefore, looksBefore, deployed] = [calls(), looks(), performance.now()]
    for (let at = 0; at < JOBS; at++) {
      const tasks = [{ Name: 'server', Driver: 'listening', Config: {}, Env: { PORT: '${NOMAD_PORT_http}' } }]
      nomad.run(makeJob(`web-${at}`, { count: EACH, tags: [`serai.host=web-${at}.example.org`], checkMs: 10_000, check: { Type: 'tcp' }, minHealthyMs: 1000, group: { Tasks: tasks, Update: { MaxParallel: EACH, HealthCheck: 'checks', MinHealthyTime: 1e9, HealthyDeadline: 300e9, ProgressDeadline: 600e9 } } }))
    }
    await until(() => (control.known.instances ?? []).filter(({ health }) => health === 'passing').length === JOBS * EACH, { what: 'all routed', deadline: 120_000 })
    const took = (performance.now() - deployed) / 1000
    const deployment = { calls: calls() - callsBefore, looks: looks() - looksBefore }

    await pause(20_000)
    const [restCalls, restLooks, restProbes, begun] = [calls(), looks(), probes, performance.now()]
    await pause(MEASURED_MS)
    const seconds = (performance.now() - begun) / 1000
    const rest = { calls: (calls() - restCalls) / seconds, looks: (looks() - restLooks) / seconds, probes: (probes - restProbes) / seconds }
    t.diagnostic(`fleet of ${fleet}: deployment of 1,000 routed in ${took.toFixed(1)} s with ${deployment.calls} calls (${(deployment.calls / took).toFixed(1)} a second), ${deployment.looks} of them looks at checks; `
      + `at rest ${rest.calls.toFixed(2)} calls a second, ${rest.looks.toFixed(2)} of them looks, and ${rest.probes.toFixed(2)} probes; the fleet together ${(fleet * rest.calls).toFixed(0)} calls a second`)
    assert.ok(rest.calls <= 1, `${rest.calls} calls a second`)
    assert.ok(rest.probes <= 55, `${rest.probes} probes a second`)
    assert.ok(deployment.calls / took <= 35, `${deployment.calls / took} calls a second`)
  })
}
