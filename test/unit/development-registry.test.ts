// A smoke test of the development registry by its methods; what it answers is held by test/contract.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startRegistry } from '#src/development/registry.ts'
import { NomadClient } from '#test/support/nomad-client.ts'
import { makeJob } from '#test/support/nomad-job.ts'
import { until } from '#test/support/until.ts'

test('a job runs until it is stopped, and leaves no process', async () => {
  await using nomad = await startRegistry()
  const client = new NomadClient(nomad.address)
  nomad.run(makeJob('web', { count: 2, tags: ['serai.host=a.example.org'], checkMs: 50 }))
  const { body } = await client.askUntil<{ readonly Address: string; readonly Port: number }[]>('/v1/service/web', (answer) => answer.body.length === 2, 'two instances')
  for (const { Address, Port } of body) await until(async () => (await fetch(`http://${Address}:${Port}/`)).ok, { what: 'the task to listen' })
  await until(() => nomad.allocations('web').every(({ health }) => health?.healthy === true), { what: 'both to be healthy' })
  const pids = nomad.allocations('web').flatMap(({ id }) => nomad.pids(id))
  assert.equal(pids.length, 2)
  nomad.stop('web')
  await client.askUntil<unknown[]>('/v1/services', (answer) => answer.body.length === 0, 'no service')
  await until(() => nomad.allocations('web').every(({ client: status }) => status === 'complete'), { what: 'the tasks to end' })
  for (const pid of pids) assert.throws(() => process.kill(pid, 0), /ESRCH/)
})
