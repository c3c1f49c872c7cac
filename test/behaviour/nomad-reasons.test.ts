// What a service team sees of its instances, and what clients get of them, with the real program on the development registry.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startRegistry } from '#src/development/registry.ts'
import { get } from '#test/support/client.ts'
import { makeJob } from '#test/support/nomad-job.ts'
import { startSerai } from '#test/support/serai.ts'
import type { Serai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'

interface EndpointBody { readonly address: string; readonly state: string; readonly why: string; readonly weight: number }

async function endpointsOf(serai: Serai): Promise<readonly EndpointBody[]> {
  const { body } = await serai.ask('/api/services')
  return (body as { readonly services: readonly { readonly endpoints: readonly EndpointBody[] }[] }).services[0]?.endpoints ?? []
}

const explained = async (serai: Serai): Promise<{ readonly summary: string; readonly steps: readonly { readonly stage: string; readonly ok: boolean; readonly why: string }[] }> =>
  (await serai.ask(`/api/explain?url=${encodeURIComponent(`http://web.example.org:${serai.port}/`)}`)).body as never

test('every state of an instance has its reason in words, in /api/services and in explain', async () => {
  await using nomad = await startRegistry()
  await using serai = await startSerai({ config: { catalogs: { nomad: { address: `http://${nomad.address}` } } } })
  nomad.run(makeJob('web', { count: 1, tags: ['serai.host=web.example.org'], checkMs: 4000, env: { START_DELAY: '100' }, groupDelayMs: 2000 }))
  const pending = await until(async () => (await endpointsOf(serai)).find(({ why }) => why.startsWith("check 'up' has not passed yet: pending, for ")), { what: 'the reason' })
  assert.match(pending.why, /^check 'up' has not passed yet: pending, for \d\.\d s$/)
  assert.equal(pending.state, 'pending')
  const waiting = await explained(serai)
  assert.match(waiting.summary, /^503: the route of web@nomad\/default takes it, and none of its 1 endpoints is ready$/)
  assert.match(waiting.steps.find(({ stage }) => stage === 'endpoint')?.why ?? '', /^pending: check 'up' has not passed yet: pending, for \d\.\d s$/)
  assert.equal((await get(serai.port, '/', 'web.example.org')).status, 503)

  await until(async () => (await endpointsOf(serai))[0]?.state === 'ready', { what: 'ready', deadline: 10_000 })
  assert.equal((await get(serai.port, '/', 'web.example.org')).status, 200)

  nomad.stop('web')
  const leaving = await until(async () => (await endpointsOf(serai)).find(({ state }) => state === 'leaving'), { what: 'leaving' })
  assert.match(leaving.why, /^(its allocation is being stopped|it is registered no more), for \d\.\d s$/)
  assert.equal((await get(serai.port, '/', 'web.example.org')).status, 200, 'the last resort, while nothing else is left')
})

test('a canary gets its share of the traffic, and promotion loses no request', async (t) => {
  await using nomad = await startRegistry()
  await using serai = await startSerai({ config: { catalogs: { nomad: { address: `http://${nomad.address}` } } } })
  const job = (version: string): ReturnType<typeof makeJob> => makeJob('web', {
    count: 3, canaries: 1, minHealthyMs: 50, tags: ['serai.host=web.example.org'], canaryTags: ['serai.host=web.example.org', 'serai.share=10%'], env: { VERSION: version }, groupDelayMs: 200,
  })
  nomad.run(job('1'))
  await until(async () => (await endpointsOf(serai)).filter(({ state }) => state === 'ready').length === 3, { what: 'three', deadline: 10_000 })
  await until(() => nomad.cluster.store.deploymentsOf('default', 'web').every(({ status }) => status !== 'running'), { what: 'the end of the deployment' })
  nomad.run(job('2'))
  await until(async () => (await endpointsOf(serai)).filter(({ state }) => state === 'ready').length === 4, { what: 'the canary', deadline: 10_000 })

  const versions = { 1: 0, 2: 0 }
  const ask = async (): Promise<void> => {
    const { status, body } = await get(serai.port, '/', 'web.example.org')
    assert.equal(status, 200, body.toString())
    versions[(JSON.parse(body.toString()) as { readonly version: '1' | '2' }).version]++
  }
  for (let at = 0; at < 400; at++) await ask()
  t.diagnostic(`the canary got ${versions[2]} of 400`)
  assert.ok(versions[2] >= 15 && versions[2] <= 75, `${versions[2]} of 400`)

  await until(() => {
    try {
      nomad.promote('web')
      return true
    } catch {
      return false
    }
  }, { what: 'the promotion' })
  const isOver = (): boolean => nomad.allocations('web').filter(({ desired }) => desired === 'run').length === 3 && nomad.allocations('web').every(({ desired, client, job: { Version } }) => (desired === 'run' ? Version === 1 : client === 'complete'))
  let asked = 0
  while (!isOver() || asked < 50) {
    await ask()
    asked++
  }
  const after = { ...versions }
  for (let at = 0; at < 20; at++) await ask()
  assert.equal(versions[1], after[1], 'the new version alone')
})
