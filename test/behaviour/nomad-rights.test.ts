// What a token may and may not read: "empty" is never taken for "not allowed", and what is allowed goes on.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Policy } from '#src/development/acl.ts'
import { startControl } from '#test/support/control.ts'
import { FastClock } from '#test/support/fast-clock.ts'
import { makeFolder } from '#test/support/folder.ts'
import { makeJob } from '#test/support/nomad-job.ts'
import { startNomad } from '#test/support/nomad-catalog.ts'
import type { NomadUnderTest, NomadUnderTestOptions } from '#test/support/nomad-catalog.ts'
import { until } from '#test/support/until.ts'

const all: Policy = { namespaces: { '*': ['read-job'] }, node: 'read' }
const connect = async (): Promise<string> => Promise.resolve('')

/** A registry that asks for tokens, with the service `web` in two namespaces. */
async function startWithAcl(options: NomadUnderTestOptions, kind: 'client' | 'workload', policies: readonly Policy[]): Promise<NomadUnderTest & { readonly use: (policies: readonly Policy[]) => void }> {
  const subject = await startNomad({ registry: { acl: true }, connect, allowAddresses: ['127.0.0.0/8'], token: 'the-token', ...options })
  const token = subject.nomad.addToken(kind, { secret: 'the-token', policies })
  subject.nomad.cluster.store.commit('NamespaceUpsert', ({ index, put }) => { put('namespaces', { name: 'team-b', description: '', createIndex: index, modifyIndex: index }) })
  subject.nomad.run(makeJob('web', { mock: true, tags: ['serai.host=web.example.org'] }))
  subject.nomad.run(makeJob('web', { mock: true, namespace: 'team-b', tags: ['serai.host=b.example.org'] }))
  await until(() => subject.nomad.cluster.store.services.size === 2, { what: 'the registrations' })
  return { ...subject, use: (next) => { token.policies = next } }
}

test('a bare workload identity that asks for all namespaces is told what it lacks, and nothing is taken for empty', async () => {
  await using folder = await makeFolder()
  await using subject = await startWithAcl({}, 'workload', [])
  await using control = startControl({ catalogs: [subject.catalog], path: folder.file('state') })
  await until(() => control.known.answer === 'not allowed', { what: 'the word' })
  assert.equal(control.complete, false)
  assert.match(control.known.problem, /the token may read no namespace: it needs read-job in each, or list catalogs\.nomad\.namespaces by name/)
})

test('a bare workload identity that names its namespaces reads them, without events and checks, and says so', async () => {
  await using folder = await makeFolder()
  const clock = new FastClock()
  await using subject = await startWithAcl({ namespaces: ['default', 'team-b'], clock }, 'workload', [])
  await using control = startControl({ catalogs: [subject.catalog], path: folder.file('state') })
  await until(() => control.routes().length === 2 && control.addresses().length === 2, { what: 'both namespaces' })
  assert.equal(control.known.answer, 'read')
  clock.speed = 20
  await until(() => control.source.problems.filter(({ reason }) => /stayed silent/.test(reason)).length === 2, { what: 'the streams to be known as refused' })
  clock.speed = 1
  assert.equal(control.source.problems.filter(({ reason }) => /allocations and checks may not be read/.test(reason)).length, 2)
  // An instance more, with the same tags: only the index of the list moves.
  subject.nomad.run(makeJob('web', { mock: true, count: 2, tags: ['serai.host=web.example.org'] }))
  await until(() => control.addresses().length === 3, { what: 'the third instance' })
})

test('one namespace of two that is not allowed: the other is read, and the part that is missing is named', async () => {
  await using folder = await makeFolder()
  await using subject = await startWithAcl({ namespaces: ['default', 'team-b'] }, 'client', [{ namespaces: { default: ['read-job'] }, node: 'read' }])
  await using control = startControl({ catalogs: [subject.catalog], path: folder.file('state') })
  await until(() => control.addresses().length === 1, { what: 'the readable namespace' })
  assert.equal(control.known.answer, 'partly read')
  assert.match(control.known.problem, /namespace team-b: not allowed: .*403 Permission denied/)
  assert.ok((control.known.forbiddenSince ?? 0) > 0)
  subject.use([all])
  await until(() => control.known.answer === 'read' && control.addresses().length === 2, { what: 'the right to be noticed', deadline: 20_000 })
  assert.equal(control.known.forbiddenSince, undefined)
})

test('a namespace that the token may no longer read is not taken for emptied', async () => {
  await using folder = await makeFolder()
  const clock = new FastClock()
  await using subject = await startWithAcl({ clock }, 'client', [all])
  await using control = startControl({ catalogs: [subject.catalog], path: folder.file('state') })
  await until(() => control.addresses().length === 2, { what: 'both namespaces' })
  const routes = control.routes()
  subject.use([{ namespaces: { default: ['read-job'] }, node: 'read' }])
  clock.speed = 20
  await until(() => control.known.answer === 'partly read', { what: 'the missing part' })
  assert.deepEqual(control.routes(), routes)
  await until(() => control.source.problems.some(({ reason }) => /namespace team-b: the token may not read it any more/.test(reason)), { what: 'the problem' })
  subject.use([all])
  await until(() => control.known.answer === 'read', { what: 'the right to be noticed' })
  subject.nomad.stop('web', { namespace: 'team-b', purge: true })
  await until(() => control.routes().includes('b.example.org/ web@nomad/team-b: vanished'), { what: 'what is really emptied' })
})

test('a token that is revoked and replaced in its file: what is known stays, and the new one is used at once', async () => {
  await using folder = await makeFolder()
  const clock = new FastClock()
  const tokenFile = await folder.write('token', 'the-token')
  await using subject = await startNomad({ registry: { acl: true }, connect, tokenFile, clock })
  subject.nomad.addToken('client', { secret: 'the-token', policies: [all] })
  subject.nomad.run(makeJob('web', { mock: true, tags: ['serai.host=web.example.org'] }))
  await using control = startControl({ catalogs: [subject.catalog], path: folder.file('state') })
  await until(() => control.addresses().length === 1, { what: 'the endpoint' })
  subject.nomad.cluster.acl.remove('the-token')
  clock.speed = 20
  await until(() => control.known.answer === 'not allowed', { what: 'the revoked token to be noticed' })
  assert.equal(control.addresses().length, 1)
  subject.nomad.addToken('client', { secret: 'the-new-one', policies: [all] })
  await folder.write('token', 'the-new-one')
  await until(() => control.known.answer === 'read', { what: 'the new token to be used' })
})

test('a stream that is cut is followed again, and what happened meanwhile is not missed', async () => {
  await using folder = await makeFolder()
  await using subject = await startNomad({ connect })
  subject.nomad.run(makeJob('web', { mock: true, tags: ['serai.host=web.example.org'] }))
  await using control = startControl({ catalogs: [subject.catalog], path: folder.file('state') })
  await until(() => control.addresses().length === 1, { what: 'the endpoint' })
  await until(() => subject.gateway.calls.some((call) => call.includes('/v1/event/stream')), { what: 'the stream' })
  subject.gateway.only = (path) => (path.startsWith('/v1/event/stream') ? 'refuse' : 'pass')
  subject.gateway.mode = 'pass'
  subject.nomad.run(makeJob('web', { mock: true, count: 2, tags: ['serai.host=web.example.org'] }))
  await until(() => subject.nomad.cluster.store.services.size === 2, { what: 'the second registration' })
  subject.gateway.only = undefined
  await until(() => control.addresses().length === 2, { what: 'the second endpoint' })
})
