// What Nomad's answers mean, held against recordings of real servers.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checksOf, readAllocation, readChecks, readStub } from '#src/catalog/nomad/check-definition.ts'
import { readRegistrations, readServices } from '#src/catalog/nomad/registration.ts'
import { LineSplitter, readEventLine } from '#src/catalog/nomad/event-line.ts'
import { readAnswer } from '#src/registry/nomad-answer.ts'
import { readFileSync } from 'node:fs'
import { recordedAnswer, recordedAnswers, recordedBody } from '#test/support/recordings.ts'

const kindOf = (name: string): string => {
  const result = readAnswer(name, recordedAnswer(name))
  return result.ok ? 'ok' : result.kind
}

test('refusals are told from outages, also where a real server answers 500', () => {
  assert.deepEqual(
    ['09-acl/23-socket-no-token', '09-acl/23-socket-malformed-token', '09-acl/23-socket-unknown-token', '08-restart-restore/int-down-client-services', '01-register/02-region-unknown',
      '01-register/02-allocation-unknown', '01-register/02-checks-malformed', '01-register/00-services-empty', '05-crash/2-checks-failed'].map(kindOf),
    ['forbidden', 'forbidden', 'forbidden', 'unreachable', 'unreachable', 'missing', 'unreachable', 'ok', 'ok'])
})

test('what a token lacks is forbidden on every path, whatever its status', () => {
  for (const name of ['09-acl/20-identity-tcp', '09-acl/10-anonymous', '09-acl/12-malformed-token']) {
    for (const [path, answer] of recordedAnswers(name)) {
      const result = readAnswer(path, answer)
      assert.ok(result.ok || result.kind === 'forbidden' || result.kind === 'missing', `${name} ${path}: ${JSON.stringify(result)}`)
    }
  }
})

test('index and leader are read; an error gives no index', () => {
  const services = readAnswer('', recordedAnswer('01-register/02-services'))
  assert.ok(services.ok)
  assert.deepEqual([services.index, services.knownLeader], [36, true])
  const returning = readAnswer('', recordedAnswer('08-restart-restore/start-stale-200-1'))
  assert.ok(returning.ok)
  assert.deepEqual([returning.index, returning.knownLeader], [25, false])
  const nothing = readAnswer('', recordedAnswers('09-acl/20-identity-tcp').get('/v1/services?namespace=*')!)
  assert.ok(nothing.ok)
  assert.deepEqual([nothing.index, nothing.body], [0, []])
})

test('too many connections is busy; what is not JSON is garbage', () => {
  const too = readAnswer('', { status: 429, header: () => undefined, text: 'Your IP is issuing too many concurrent connections' })
  const torn = readAnswer('/v1/services', { status: 200, header: () => undefined, text: '<html>' })
  assert.deepEqual([too.ok ? '' : too.kind, torn.ok ? '' : torn.kind], ['busy', 'garbage'])
})

test('lists are compared without their random order', () => {
  const [listed] = readServices(recordedBody('06-namespaces/services-star')) ?? []
  assert.deepEqual(listed, { namespace: 'default', name: 'web', tags: ['serai.host=default.example.org'] })
  const shuffled = (recordedBody('01-register/02-service') as object[]).toReversed()
  assert.deepEqual(readRegistrations(shuffled, 'default', 'web'), readRegistrations(recordedBody('01-register/02-service'), 'default', 'web'))
})

test('an answer of another shape is none', () => {
  assert.equal(readServices(null), undefined)
  assert.equal(readServices([{ Namespace: 'default', Services: [{ ServiceName: 3 }] }]), undefined)
  assert.equal(readRegistrations({}, 'default', 'web'), undefined)
  assert.equal(readRegistrations(recordedBody('06-namespaces/service-team-b'), 'default', 'web'), undefined, 'of another namespace')
})

test('checks: null is unknown, never none', () => {
  assert.equal(readChecks(recordedBody('05-crash/2-checks-failed')), undefined)
  assert.equal(readChecks({}), undefined)
  assert.deepEqual(readChecks(recordedBody('01-register/02-checks')), [{ service: 'web', check: 'up', status: 'success', output: 'nomad: http ok', ranAt: 1795312360 }])
  assert.equal(readChecks(recordedBody('01-register/01-checks-just-registered'))?.[0]?.status, 'pending')
  assert.equal(readChecks(recordedBody('02-failing-check/checks-failing'))?.[0]?.status, 'failure')
})

test('whether a service has a check is read from its allocation’s job', () => {
  const web = readAllocation(recordedBody('01-register/02-allocation'))
  assert.ok(web !== undefined)
  const { status, ...allocation } = web.allocation
  assert.deepEqual(allocation, { id: '3e8e09f5-79c8-2527-df88-6db748865262', namespace: 'default', job: 'web', jobVersion: 0, group: 'web', nodeAddress: '127.0.0.1' })
  assert.deepEqual([status.desired, status.client, status.healthy], ['run', 'running', true])
  assert.deepEqual(checksOf(web.definition, 'web', 'web'), [{ name: 'up', kind: 'http', intervalMs: 2000, timeoutMs: 1000, portLabel: '', https: false, method: 'GET', path: '/health', headers: {}, body: '' }])
  assert.deepEqual([checksOf(web.definition, 'web', 'other'), web.definition.createIndex], [[], 32])
  const addresses = readAllocation(recordedBody('11-addresses/allocation'))
  assert.ok(addresses !== undefined)
  assert.deepEqual(checksOf(addresses.definition, addresses.allocation.group, 'addr-interpolated-0'), [])
  assert.deepEqual((recordedBody('06-namespaces/allocations-star') as unknown[]).map((stub) => readStub(stub)?.jobVersion !== undefined), [true, true])
})

test('recorded events are hints with the service that they name, by what happened to it', () => {
  const lines = readFileSync('test/fixtures/nomad/01-register/events.ndjson', 'utf8').trim().split('\n').map((line) => (JSON.parse(line) as { line: string }).line)
  const read = lines.map((line) => readEventLine(line))
  assert.ok(read.every((line) => line !== undefined))
  assert.deepEqual(read[0], { index: 0, hints: [], statuses: [] }, 'a heartbeat')
  const hints = read.flatMap((line) => line?.hints ?? [])
  assert.ok(hints.every(({ name, namespace }) => name === 'web' && namespace === 'default'))
  assert.deepEqual(hints.map(({ index, change }) => [index, change]), [[16, 'registered'], [17, 'registered'], [29, 'deregistered'], [30, 'deregistered'], [35, 'registered'], [36, 'registered']])
})

test('recorded events of allocations say that one is to stop before its services are deregistered', () => {
  const lines = readFileSync('test/fixtures/nomad/04-scale-stop/nodelay-events.ndjson', 'utf8').trim().split('\n').map((line) => readEventLine((JSON.parse(line) as { line: string }).line))
  const told = lines.flatMap((line) => [...(line?.statuses ?? []).map(({ desired, client, index }) => `${index} ${desired} ${client}`), ...(line?.hints ?? []).map(({ index, change }) => `${index} ${change}`)])
  assert.ok(told.includes('432 stop running') && told.includes('438 stop pending') && told.includes('440 stop complete'), told.join(', '))
  assert.ok(told.indexOf('432 stop running') < told.indexOf('436 deregistered'))
})

test('lines are whole, however their bytes come', () => {
  const splitter = new LineSplitter()
  const bytes = Buffer.from('{}\n{"Index":1,"x":"Köln"}\n{"In')
  const lines = [...bytes].flatMap((byte) => splitter.push(Uint8Array.of(byte)))
  assert.deepEqual(lines, ['{}', '{"Index":1,"x":"Köln"}'])
  assert.deepEqual(splitter.push(Buffer.from('dex":2}\n\n')), ['{"Index":2}'])
})
