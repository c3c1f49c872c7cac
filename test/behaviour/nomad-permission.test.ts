// A permission that is missing is no outage: what is known is served, but after a quarter of an hour nothing new is admitted, and both are shown.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Policy } from '#src/development/acl.ts'
import { startControl } from '#test/support/control.ts'
import { FastClock } from '#test/support/fast-clock.ts'
import { makeFolder } from '#test/support/folder.ts'
import { makeJob } from '#test/support/nomad-job.ts'
import { startNomad } from '#test/support/nomad-catalog.ts'
import { until } from '#test/support/until.ts'

const all: Policy = { namespaces: { '*': ['read-job'] }, node: 'read' }
const MINUTE = 60_000

for (const { what, left, answer } of [
  { what: 'a catalog', left: [], answer: 'not allowed' },
  { what: 'one namespace of two', left: [{ namespaces: { other: ['read-job'] }, node: 'read' }], answer: 'partly read' },
] as const satisfies readonly { readonly what: string; readonly left: readonly Policy[]; readonly answer: string }[]) {
  test(`${what} that may not be read: for 15 minutes as in an outage; then names lead where they led, and a restart takes nothing of it from disk`, async () => {
    const clock = new FastClock()
    await using folder = await makeFolder()
    await using subject = await startNomad({ clock, namespaces: ['default', 'other'], registry: { acl: true }, token: 'the-token', connect: async () => Promise.resolve('') })
    const token = subject.nomad.addToken('client', { secret: 'the-token', policies: [all] })
    subject.nomad.cluster.store.commit('NamespaceUpsert', ({ index, put }) => { put('namespaces', { name: 'other', description: '', createIndex: index, modifyIndex: index }) })
    subject.nomad.run(makeJob('web', { mock: true, tags: ['serai.host=web.example.org'], service: { Address: 'web.internal' } }))
    const path = folder.file('state')
    const pinned = (): (true | undefined)[] => [...control.source.publisher.snapshot.services.values()].flatMap(({ endpoints }) => endpoints.map((endpoint) => endpoint.pinned))
    const closed = (): boolean => control.source.problems.some(({ service, reason }) => service === '@nomad' && /missing for 15 minutes/.test(reason))
    await using control = startControl({ catalogs: [subject.catalog], path, clock })
    await until(() => control.addresses().length === 1, { what: 'the endpoint' })
    const routes = control.routes()

    token.policies = left
    clock.speed = 30
    await until(() => control.known.answer === answer, { what: answer })
    const since = control.known.forbiddenSince!
    clock.speed = 300
    await until(() => clock.wall() - since > 13 * MINUTE, { what: '13 minutes' })
    clock.speed = 1
    assert.deepEqual([control.routes(), pinned(), closed()], [routes, [undefined], false])
    clock.speed = 300
    await until(closed, { what: 'the end of the quarter' })
    assert.ok(clock.wall() - since >= 15 * MINUTE)
    await until(() => pinned()[0] === true, { what: 'the name to be pinned' })
    assert.deepEqual(control.routes(), routes, 'what is known is served')
    clock.speed = 1

    {
      await using second = startControl({ catalogs: [subject.catalog], path, clock })
      await until(() => second.known.answer === answer, { what: 'the restart' })
      assert.deepEqual(second.addresses(), [])
    }
    token.policies = [all]
    clock.speed = 60
    await until(() => control.known.answer === 'read' && pinned()[0] === undefined && !closed(), { what: 'the permission to be noticed' })
    assert.equal(control.known.forbiddenSince, undefined)
    assert.deepEqual(control.routes(), routes)
  })
}
