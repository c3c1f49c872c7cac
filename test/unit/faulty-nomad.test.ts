// The faults that tests with Nomad use do what they say, in front of the development registry; and its snapshot behaves as recorded.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startRegistry } from '#src/development/registry.ts'
import { startFaultyNomad } from '#test/support/faulty-nomad.ts'
import { ManualClock } from '#test/support/manual-clock.ts'
import { NomadClient } from '#test/support/nomad-client.ts'
import { makeJob } from '#test/support/nomad-job.ts'
import { until } from '#test/support/until.ts'

test('each fault is seen by who asks, and ends when it is mended', async () => {
  await using nomad = await startRegistry()
  nomad.run(makeJob('web', { mock: true }))
  await until(() => nomad.cluster.store.services.size === 1, { what: 'a registration' })
  await using faulty = await startFaultyNomad(nomad.address)
  const client = new NomadClient(faulty.address)
  const real = await client.ask('/v1/services')
  assert.deepEqual([real.status, real.headers.get('x-nomad-knownleader')], [200, 'true'])

  faulty.set({ kind: 'status', status: 500, text: 'No cluster leader' }, /^\/v1\/services/)
  assert.deepEqual(await client.ask('/v1/services').then(({ status, body }) => [status, body]), [500, 'No cluster leader'])
  assert.equal((await client.ask('/v1/service/web')).status, 200)
  faulty.set({ kind: 'too-many' })
  assert.equal((await client.ask('/v1/services')).status, 429)
  for (const fault of [{ kind: 'garbage' }, { kind: 'cut' }] as const) {
    faulty.set(fault)
    await assert.rejects(client.ask('/v1/services'))
  }
  faulty.set({ kind: 'no-leader', body: '[]' })
  assert.deepEqual(await client.ask('/v1/services').then(({ body, headers }) => [body, headers.get('x-nomad-knownleader')]), [[], 'false'])
  faulty.set({ kind: 'index', index: (index) => index - 1 })
  assert.equal((await client.ask('/v1/services')).index, (real.index ?? 0) - 1)
  faulty.set({ kind: 'trickle', everyMs: 1 })
  assert.deepEqual((await client.ask('/v1/services')).body, real.body)
  faulty.set({ kind: 'hang' })
  await assert.rejects(fetch(`http://${faulty.address}/v1/services`, { signal: AbortSignal.timeout(50) }), /timeout/i)
  await faulty.refuse()
  await assert.rejects(client.ask('/v1/services'))
  faulty.mend()
  await faulty.accept()
  assert.deepEqual((await client.ask('/v1/services')).body, real.body)
})

test('event streams pass through, are cut, and are refused in silence', async () => {
  await using nomad = await startRegistry()
  await using faulty = await startFaultyNomad(nomad.address)
  const client = new NomadClient(faulty.address)
  await using stream = await client.follow('topic=Service')
  await until(() => stream.heartbeats === 1, { what: 'the first heartbeat' })
  nomad.run(makeJob('web', { mock: true }))
  await stream.event(({ Type }) => Type === 'ServiceRegistration', 'a registration')
  faulty.cutStreams()
  await until(() => stream.ended, { what: 'the end' })
  faulty.set({ kind: 'silent' }, /event/)
  await using silent = await client.follow('topic=Service')
  await client.ask('/v1/services')
  assert.deepEqual([silent.status, silent.heartbeats, silent.ended], [200, 0, false])
})

test('after a restore loops see the old content and a lower index only when their wait ends; streams end', async () => {
  const clock = new ManualClock()
  await using nomad = await startRegistry({ clock })
  const client = new NomadClient(nomad.address)
  nomad.run(makeJob('old', { mock: true }))
  await clock.advance(1000)
  const saved = nomad.save()
  nomad.run(makeJob('new', { mock: true }))
  await clock.advance(1000)
  const { index = 0, body } = await client.ask<readonly { readonly Services: readonly object[] }[]>('/v1/services')
  assert.equal(body[0]?.Services.length, 2)
  await using stream = await client.follow('topic=Service&index=999999')
  const waiting = clock.waiting
  let answered = false
  const loop = client.ask<readonly { readonly Services: readonly object[] }[]>(`/v1/services?index=${index}&wait=20s`).finally(() => { answered = true })
  await until(() => clock.waiting > waiting, { what: 'the loop to wait' })
  nomad.restore(saved)
  await until(() => stream.ended, { what: 'the stream to end' })
  await clock.advance(19_000)
  assert.equal(answered, false)
  await clock.advance(3000)
  const after = await loop
  assert.deepEqual([after.body[0]?.Services.length, (after.index ?? 0) < index], [1, true])
})
