// Ten real minutes without a registry: npm run test:long. The same on an injected clock is test/behaviour/nomad-outages.test.ts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startControl } from '#test/support/control.ts'
import { makeFolder } from '#test/support/folder.ts'
import { makeJob } from '#test/support/nomad-job.ts'
import { startNomad } from '#test/support/nomad-catalog.ts'
import { until } from '#test/support/until.ts'

const OUTAGE_MS = 10 * 60_000

test('ten minutes of outage change nothing for clients, and a start meanwhile serves from disk', async (t) => {
  await using folder = await makeFolder()
  await using subject = await startNomad()
  subject.nomad.run(makeJob('web', { count: 2, tags: ['serai.host=web.example.org'] }))
  await using control = startControl({ catalogs: [subject.catalog], path: folder.file('state') })
  await until(() => control.addresses().length === 2, { what: 'two endpoints' })
  const routes = control.routes()
  const calls = (): number => [...subject.client.counts.values()].reduce((sum, count) => sum + count, 0)
  const before = calls()
  subject.gateway.mode = 'refuse'
  const begun = performance.now()
  await until(() => {
    assert.deepEqual(control.routes(), routes)
    return performance.now() - begun > OUTAGE_MS
  }, { what: 'ten minutes', deadline: OUTAGE_MS + 5000 })
  t.diagnostic(`${calls() - before} calls in ten minutes`)
  assert.equal(control.known.answer, 'unreachable')
  {
    await using second = startControl({ catalogs: [subject.catalog], path: folder.file('state') })
    await until(() => second.complete, { what: 'the table from disk' })
    assert.deepEqual([second.known.state, second.routes()], ['restored', routes])
  }
  subject.gateway.mode = 'pass'
  await until(() => control.known.answer === 'read', { what: 'the registry', deadline: 30_000 })
  assert.deepEqual(control.routes(), routes)
})
