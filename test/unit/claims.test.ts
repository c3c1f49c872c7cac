// Who may take which hosts, and who keeps what two want.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Instance } from '#src/catalog/catalog.ts'
import { assemble, jobId } from '#src/control/assemble.ts'
import type { Assembly } from '#src/control/assemble.ts'
import { createClaims } from '#src/control/claims.ts'
import type { Claim } from '#src/control/claims.ts'
import type { AssembleOptions } from '#src/control/tag-cache.ts'

const optionsWith = (claims: readonly Claim[] | undefined): AssembleOptions => ({
  prefix: 'serai', defaultHost: '', defaultBalance: 'p2c', ownAddresses: [],
  claims: createClaims({ claims, shared: ['nomad'], operators: ['file'] }),
  defaultPolicy: { retryAttempts: 2, retryTimeoutMs: 1, headTimeoutMs: 1, bodyTimeoutMs: 1, totalTimeoutMs: 0, upgrades: [], ejectStatuses: [] },
})
const instance = (namespace: string, service: string, tags: string, job = service): Instance =>
  ({ id: `${namespace}/${service}`, service, namespace, host: '10.0.0.1', port: 80, tags: tags.split(' '), health: 'passing', order: 1, where: `job ${job}`, job })

function assembled(instances: readonly Instance[], given: { claims?: readonly Claim[]; catalog?: string; ages?: Record<string, number | 'unreadable'>; previous?: Assembly } = {}): Assembly {
  const readings = new Map([[given.catalog ?? 'nomad', { instances, problems: [] }]])
  return assemble({ readings, previous: given.previous?.memory, now: 0, options: optionsWith(given.claims), ages: new Map(Object.entries(given.ages ?? {})) })
}
const routes = ({ services }: Assembly): string[] => [...services.values()].flatMap(({ key, routes: own }) => own.map(({ match }) => `${match.host || '*'}${match.path} ${key}`))
const reasons = ({ problems }: Assembly): string[] => problems.map(({ service, reason }) => `${service}: ${reason}`)

describe('claims', () => {
  const claims = [{ catalog: 'nomad', namespace: 'team-a', hosts: ['*.a.example.org', 'a.example.org'] }]

  test('a namespace takes only what is inside of its claim; the rest is left out, and told', () => {
    const result = assembled([instance('team-a', 'web', 'serai.host=x.a.example.org,a.example.org,*.a.example.org,y.x.a.example.org,b.example.org')], { claims })
    assert.deepEqual(routes(result), ['*.a.example.org/ web@nomad/team-a', 'a.example.org/ web@nomad/team-a', 'x.a.example.org/ web@nomad/team-a'])
    assert.deepEqual(reasons(result), [
      'web@nomad/team-a: b.example.org is left out: b.example.org is outside of what namespace team-a may take (claims)',
      'web@nomad/team-a: y.x.a.example.org is left out: y.x.a.example.org is outside of what namespace team-a may take (claims)',
    ])
  })

  test('a route without a host is never inside, and a wildcard only inside of the same', () => {
    const result = assembled([instance('team-a', 'web', 'serai.path=/x'), instance('team-a', 'all', 'serai.host=*.example.org')], { claims })
    assert.deepEqual(routes(result), [])
    assert.equal(result.problems.length, 2)
  })

  test('as soon as there are claims, a namespace without one takes nothing; what the operator wrote is free', () => {
    const other = [instance('team-b', 'web', 'serai.host=x.a.example.org')]
    assert.deepEqual(reasons(assembled(other, { claims })), ['web@nomad/team-b: x.a.example.org is left out: namespace team-b has no claim to any host (claims)'])
    assert.deepEqual(routes(assembled(other, { claims, catalog: 'file' })), ['x.a.example.org/ web@file/team-b'])
  })

  test('without claims, routes without a host are problems where all namespaces are read', () => {
    const hostless = [instance('team-b', 'web', 'serai.path=/')]
    assert.match(reasons(assembled(hostless))[0] ?? '', /it would take requests of every namespace/)
    assert.deepEqual(routes(assembled(hostless, { catalog: 'file' })), ['*/ web@file/team-b'])
  })
})

describe('two services with the same match', () => {
  const two = [instance('default', 'a', 'serai.host=x.example.org', 'job-a'), instance('default', 'b', 'serai.host=x.example.org', 'job-b')]
  const age = (job: string): string => jobId({ catalog: 'nomad', namespace: 'default', job })

  test('the one of the older job has it, whoever had it before', () => {
    const before = assembled(two)
    assert.deepEqual(routes(before), ['x.example.org/ a@nomad/default'])
    assert.deepEqual(before.contested.map(({ job }) => job).sort(), ['job-a', 'job-b'])
    const after = assembled(two, { previous: before, ages: { [age('job-a')]: 90, [age('job-b')]: 32 } })
    assert.deepEqual(routes(after), ['x.example.org/ b@nomad/default'])
    assert.deepEqual(reasons(after), ['a@nomad/default: x.example.org belongs to b@nomad/default'])
  })

  test('until the ages are read, the one that has it keeps it', () => {
    const alone = assembled(two.slice(1))
    assert.deepEqual(alone.contested, [])
    const both = assembled(two, { previous: alone, ages: { [age('job-b')]: 900 } })
    assert.deepEqual(routes(both), ['x.example.org/ b@nomad/default'])
  })

  test('where an age cannot be read, the order of claims decides, then the name: the same on every node', () => {
    const unreadable = { [age('job-a')]: 1, [age('job-b')]: 'unreadable' as const }
    const alone = assembled(two.slice(1))
    assert.deepEqual(routes(assembled(two, { previous: alone, ages: unreadable })), ['x.example.org/ a@nomad/default'])
    const claims = [{ catalog: 'nomad', namespace: 'z', hosts: ['x.example.org'] }, { catalog: 'nomad', namespace: 'default', hosts: ['x.example.org'] }]
    const across = [two[0]!, instance('z', 'c', 'serai.host=x.example.org', 'job-c')]
    const ages = { [age('job-a')]: 'unreadable' as const, [jobId({ catalog: 'nomad', namespace: 'z', job: 'job-c' })]: 'unreadable' as const }
    assert.deepEqual(routes(assembled(across, { claims, ages })), ['x.example.org/ c@nomad/z'])
  })
})
