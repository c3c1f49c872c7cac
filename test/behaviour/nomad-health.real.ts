// The states of an instance as a real Nomad tells them: npm run test:real.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { readSummary } from '#src/catalog/nomad/fleet.ts'
import { connectOnce } from '#src/catalog/connect-gate.ts'
import { startControl } from '#test/support/control.ts'
import type { Control } from '#test/support/control.ts'
import { makeFolder } from '#test/support/folder.ts'
import { makeNomadCatalog } from '#test/support/nomad-catalog.ts'
import { NomadClient } from '#test/support/nomad-client.ts'
import { makeJob } from '#test/support/nomad-job.ts'
import { startRealNomad } from '#test/support/real-nomad.ts'
import { until } from '#test/support/until.ts'

describe('on a real Nomad', () => {
  const cleanUp = new AsyncDisposableStack()
  let ask: NomadClient
  let control: Control
  const told: string[] = []

  before(async () => {
    const nomad = cleanUp.use(await startRealNomad())
    const folder = cleanUp.use(await makeFolder())
    ask = new NomadClient(nomad.address)
    const { client, catalog } = makeNomadCatalog(`http://${nomad.address}`)
    cleanUp.defer(async () => { await client.close() })
    control = cleanUp.use(startControl({
      catalogs: [catalog], path: folder.file('state'),
      onPublish: () => { told.push(...(control.known.instances ?? []).map(({ host, port, health, why = '' }) => `${host}:${port} ${health}: ${why}`)) },
    }))
    await until(() => control.complete, { what: 'the first reading', deadline: 15_000 })
  })
  after(async () => { await cleanUp.disposeAsync() })

  const submit = (options: Parameters<typeof makeJob>[1]): Promise<unknown> => ask.ask('/v1/jobs', { method: 'PUT', body: { Job: makeJob('web', { tags: ['serai.host=web.example.org'], checkMs: 1000, minHealthyMs: 1000, ...options }) } })
  const endpoints = (count: number): Promise<readonly string[]> => until(() => (control.addresses().length === count ? control.addresses() : undefined), { what: `${count} endpoints`, deadline: 30_000 })

  test('a check that passes, fails and passes again; a crash; a stop', async (t) => {
    await submit({ count: 2, env: { START_DELAY: '500' } })
    const [first = '', second = ''] = await endpoints(2)
    assert.ok(told.some((line) => line.includes("pending: check 'up' has not passed yet: ")), told.join('\n'))
    const { body } = await ask.ask('/v1/job/web/summary')
    assert.equal(readSummary(body), 2)

    await fetch(`http://${first}/fail`)
    const failed = performance.now()
    await until(() => control.addresses().join() === second, { what: 'the other alone', deadline: 15_000 })
    t.diagnostic(`a failing check: ${Math.round(performance.now() - failed)} ms`)
    assert.ok(performance.now() - failed <= 2500)
    await fetch(`http://${first}/mend`)
    await endpoints(2)

    const { pid } = await (await fetch(`http://${first}/`)).json() as { readonly pid: number }
    process.kill(pid, 'SIGKILL')
    const killed = performance.now()
    await until(() => control.addresses().join() === second, { what: 'the other alone', deadline: 15_000 })
    t.diagnostic(`a crash: ${Math.round(performance.now() - killed)} ms`)
    await endpoints(2)

    const from = told.length
    await ask.ask('/v1/job/web', { method: 'DELETE' })
    await until(() => told.slice(from).some((line) => line.includes('leaving: its allocation is being stopped')), { what: 'the stop', deadline: 15_000 })
    await until(() => control.routes()[0]?.endsWith(': vanished') === true, { what: '503', deadline: 15_000 })
    assert.equal(await connectOnce(first.split(':')[0]!, Number(first.split(':')[1])), 'connection refused')
  })
})
