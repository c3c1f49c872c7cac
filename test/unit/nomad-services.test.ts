// What is remembered of Nomad's services: lists, reads and events in any order.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KnownServices } from '#src/catalog/nomad/known-services.ts'
import type { Listed, Registration } from '#src/catalog/nomad/registration.ts'
import type { ServiceHint } from '#src/catalog/nomad/event-line.ts'

const ours = (tags: readonly string[]): boolean => tags.some((tag) => tag.startsWith('serai.'))
const listed = (name: string, tags = ['serai.host=a'], namespace = 'default'): Listed => ({ namespace, name, tags })
const registration = (id: string, more: Partial<Registration> = {}): Registration => ({
  id, service: 'web', namespace: 'default', node: 'n', job: 'web', allocation: 'a', tags: ['serai.host=a'], address: '10.0.0.1', port: 80, createIndex: 1, modifyIndex: 1, ...more,
})
const hint = (index: number, change: ServiceHint['change'], of: Registration): ServiceHint => ({ index, namespace: of.namespace, name: of.service, change, registration: of })
const everywhere = (): boolean => true
const ids = (services: KnownServices, id = 'default/web'): string[] | undefined => services.get(id)?.registrations?.map((each) => each.id)

function known(...registrations: Registration[]): KnownServices {
  const services = new KnownServices(ours)
  services.applyList([listed('web')], 10, everywhere, false)
  services.applyService('default/web', registrations, 10, false)
  return services
}

test('only services with a tag that matters are read, and those that changed again', () => {
  const services = new KnownServices(ours)
  assert.deepEqual(services.applyList([listed('web'), listed('db', ['other'])], 5, everywhere, false), { read: ['default/web'], changed: false })
  assert.deepEqual(services.applyList([listed('db', ['other']), listed('web')], 6, everywhere, false), { read: [], changed: false })
  assert.deepEqual(services.applyList([listed('web', ['serai.host=b'])], 7, everywhere, false), { read: ['default/web'], changed: false })
  assert.deepEqual(services.applyList([], 8, everywhere, false), { read: [], changed: true })
})

test('an answer that is older than what is known is not taken', () => {
  const services = known(registration('1'))
  assert.equal(services.applyService('default/web', [], 9, false), 'stale')
  services.hint(hint(20, 'registered', registration('2')), 10)
  assert.equal(services.applyService('default/web', [registration('1')], 15, false), 'stale')
  assert.equal(services.applyService('default/web', [registration('1'), registration('2')], 20, false), 'changed')
  assert.equal(services.applyService('default/web', [registration('1'), registration('2')], 21, false), 'same')
})

test('a list that is older than a read or an event takes nothing away', () => {
  const services = known(registration('1'))
  services.hint(hint(30, 'registered', registration('9', { service: 'new' })), 10)
  assert.deepEqual(services.applyList([], 9, everywhere, false).read.toSorted(), ['default/new', 'default/web'])
  assert.deepEqual(ids(services), ['1'])
})

test('a list takes away only in the namespaces that it covers', () => {
  const services = new KnownServices(ours)
  services.applyList([listed('web'), listed('web', ['serai.host=b'], 'team-b')], 5, everywhere, false)
  services.applyList([], 6, (namespace) => namespace === 'team-b', false)
  assert.deepEqual([...services.all].map(({ id }) => id), ['default/web'])
  assert.deepEqual(services.emptied([listed('x', [], 'team-b')], everywhere), ['default'])
})

test('events are old news below what was read, and replayed ones change nothing', () => {
  const services = known(registration('1'))
  assert.equal(services.hint(hint(10, 'deregistered', registration('1')), 10), undefined)
  assert.equal(services.believe(hint(10, 'deregistered', registration('1'))), false)
  assert.deepEqual(ids(services), ['1'])
})

test('an event is believed only until its read, and never what it does not say clearly', () => {
  const services = known(registration('1'))
  const more = hint(11, 'registered', registration('2', { createIndex: 11, modifyIndex: 11 }))
  services.hint(more, 10)
  assert.equal(services.believe(more), true)
  assert.deepEqual(ids(services), ['1', '2'])
  assert.equal(services.believe(hint(12, 'unknown', registration('1'))), false)
  assert.equal(services.believe(hint(13, 'deregistered', registration('1'))), true)
  assert.deepEqual(ids(services), ['2'])
  assert.equal(services.applyService('default/web', [registration('1')], 13, false), 'changed')
  assert.deepEqual(ids(services), ['1'])
})

test('of a service that was never read an event is believed if it is newer than the list', () => {
  const services = new KnownServices(ours)
  const first = hint(3, 'registered', registration('1'))
  assert.equal(services.hint(first, 3), undefined, 'the list at 3 would have shown it')
  assert.equal(services.believe(first), false)
  assert.equal(services.hint(first, 2), 'default/web')
  assert.equal(services.believe(first), true)
  assert.deepEqual(ids(services), ['1'])
})

test('what a restored snapshot does not know is held, and let go of later', () => {
  const services = known(registration('1'), registration('2'))
  assert.deepEqual(services.applyList([listed('web')], 4, everywhere, true).read, ['default/web'])
  assert.equal(services.applyService('default/web', [registration('1')], 4, true), 'changed')
  assert.deepEqual([ids(services), services.get('default/web')?.held.map(({ id }) => id)], [['1'], ['2']])
  services.applyList([], 5, everywhere, true)
  assert.deepEqual(services.get('default/web')?.held.map(({ id }) => id).sort(), ['1', '2'])
  services.applyList([listed('web')], 6, everywhere, true)
  services.applyService('default/web', [registration('2')], 6, true)
  assert.deepEqual([ids(services), services.get('default/web')?.held.map(({ id }) => id)], [['2'], ['1']], 'what comes back is held no more')
  assert.equal(services.releaseHeld(), true)
  assert.deepEqual([ids(services), services.get('default/web')?.held], [['2'], []])
})
