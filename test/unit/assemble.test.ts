// From readings to services: the promises of DESIGN section 6 that need no socket.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Instance } from '#src/catalog/catalog.ts'
import { createClaims } from '#src/control/claims.ts'
import { assemble } from '#src/control/assemble.ts'
import type { Assembly, AssemblyMemory } from '#src/control/assemble.ts'
import { describeRoutes, diffServices } from '#src/control/diff.ts'
import type { AssembleOptions } from '#src/control/tag-cache.ts'

const MINUTE = 60_000
const options: AssembleOptions = {
  prefix: 'serai',
  defaultHost: '',
  defaultBalance: 'p2c',
  ownAddresses: [':8080', '127.0.0.1:9080'],
  claims: createClaims({ claims: undefined, shared: [], operators: [] }),
  defaultPolicy: {
    retryAttempts: 2, retryTimeoutMs: 10_000, headTimeoutMs: 60_000, bodyTimeoutMs: 60_000, totalTimeoutMs: 0, upgrades: ['websocket'], ejectStatuses: [],
  },
}

let made = 0
/** An instance of `web` at a port of 10.0.0.1; each is newer than those made before it. */
function instance(port: number, tags: string | readonly string[] = 'serai.host=a.example.org', more: Partial<Instance> = {}): Instance {
  const { service = 'web', namespace = 'default', host = '10.0.0.1' } = more
  const list = typeof tags === 'string' ? tags.split(' ').filter((tag) => tag !== '') : tags
  return { id: `${namespace}/${service}/${host}:${port}`, service, namespace, host, port, tags: list, health: 'passing', order: ++made, where: `services.yaml:${port}`, ...more }
}

interface Given {
  readonly previous?: Assembly
  readonly now?: number
  readonly options?: AssembleOptions
}

const assembled = (instances: readonly Instance[], given: Given = {}): Assembly =>
  assemble({ readings: new Map([['file', { instances, problems: [] }]]), previous: given.previous?.memory, now: given.now ?? 0, options: given.options ?? options })

/** Routes as lines: `a.example.org/ -> web: 10.0.0.1:1 10.0.0.1:2`. */
function routesOf({ services }: Pick<AssemblyMemory, 'services'>): string[] {
  return [...services.values()].flatMap(({ key, endpoints, routes }) => routes.map(({ match, refuse, endpoints: own }) =>
    `${match.host}${match.path} -> ${key.split('@')[0]}: ${refuse === '' ? own.map((at) => endpoints[at]!.port).join(' ') : refuse}`))
}
const reasonsOf = ({ problems }: Assembly): string[] => problems.map(({ service, router, reason, where }) => `${service}[${router}] ${reason} (${where})`)

describe('one route, many instances', () => {
  test('it has exactly the ready instances that carry it', () => {
    const result = assembled([
      instance(1), instance(2, undefined, { health: 'warning' }), instance(3, undefined, { health: 'critical' }),
      instance(4, undefined, { health: 'maintenance' }), instance(5, 'serai.host=b.example.org'), instance(6, ''), instance(7, 'serai.enable=false serai.host=a.example.org'),
    ])
    assert.deepEqual(routesOf(result), ['a.example.org/ -> web: 1 2', 'b.example.org/ -> web: 5'])
    assert.deepEqual(result.problems, [])
    assert.equal(result.complete, true)
  })

  test('those that fail or leave are in reserve, unless another instance at their address is ready', () => {
    const [service] = assembled([
      instance(1), instance(2, undefined, { health: 'unhealthy' }), instance(3, undefined, { health: 'leaving' }), instance(4, undefined, { health: 'pending' }),
      instance(5, undefined, { id: 'old', health: 'leaving' }), instance(5),
    ]).services.values()
    assert.deepEqual(service?.endpoints.map(({ port, reserve = 'none' }) => `${port} ${reserve}`), ['1 none', '2 panic', '3 last', '5 none'])
  })

  describe('shares of the traffic', () => {
    const web = 'serai.host=a.example.org'
    const shares = (...instances: readonly Instance[]): string => {
      const [service] = assembled(instances).services.values()
      const sum = service!.endpoints.reduce((total, { weight, reserve }) => total + (reserve === undefined ? weight : 0), 0)
      return service!.endpoints.map(({ port, weight }) => `${port}: ${Math.round((1000 * weight) / sum) / 10}`).join(', ')
    }
    for (const { name, instances, expect } of [
      { name: 'one canary beside three', instances: () => [instance(1), instance(2), instance(3), instance(4, `${web} serai.share=10%`)], expect: '1: 30, 2: 30, 3: 30, 4: 10' },
      { name: 'two canaries together', instances: () => [instance(1), instance(2, `${web} serai.share=10%`), instance(3, `${web} serai.share=10%`)], expect: '1: 90, 2: 5, 3: 5' },
      { name: 'by their weights', instances: () => [instance(1), instance(2, `${web} serai.weight=300`), instance(3, `${web} serai.share=20% serai.weight=3`), instance(4, `${web} serai.share=20% serai.weight=1`)], expect: '1: 20, 2: 60, 3: 15, 4: 5' },
      { name: 'only ready ones count', instances: () => [instance(1), instance(2, undefined, { health: 'pending' }), instance(3, `${web} serai.share=25%`)], expect: '1: 75, 3: 25' },
      { name: 'a canary that is not ready takes nothing', instances: () => [instance(1), instance(2, `${web} serai.share=25%`, { health: 'pending' })], expect: '1: 100' },
      { name: 'only canaries are left', instances: () => [instance(1, `${web} serai.share=5%`), instance(2, `${web} serai.share=15%`)], expect: '1: 25, 2: 75' },
      { name: 'a hundred beside one', instances: () => [...Array.from({ length: 3 }, (_, at) => instance(at + 1)), instance(9, `${web} serai.share=1%`)], expect: '1: 33, 2: 33, 3: 33, 9: 1' },
    ]) test(name, () => { assert.equal(shares(...instances()), expect) })
  })

  test('without a ready instance it stays, to answer 503', () => {
    assert.deepEqual(routesOf(assembled([instance(1, undefined, { health: 'critical' })])), ['a.example.org/ -> web: '])
  })

  test('weights are of each instance; two registrations of one address are one endpoint, with the newer weight', () => {
    const result = assembled([instance(1, 'serai.host=a.example.org serai.weight=5'), instance(1, 'serai.host=a.example.org serai.weight=7', { id: 'again' }), instance(2)])
    assert.deepEqual([...result.services.values()][0]?.endpoints, [
      { address: '10.0.0.1:1', host: '10.0.0.1', port: 1, weight: 7 }, { address: '10.0.0.1:2', host: '10.0.0.1', port: 2, weight: 100 },
    ])
  })

  test('a policy that one instance changes gets requests when most have it', () => {
    const changed = 'serai.host=a.example.org serai.timeout.head=5s'
    const early = assembled([instance(1), instance(2), instance(3, changed)])
    assert.deepEqual(routesOf(early), ['a.example.org/ -> web: 1 2'])
    assert.match(reasonsOf(early).join(), /web@file\/default\[default\] a\.example\.org: other instances carry this router in another form .*services\.yaml:3/)
    assert.deepEqual(routesOf(assembled([instance(1), instance(2, changed), instance(3, changed)])), ['a.example.org/ -> web: 2 3'])
    assert.deepEqual(routesOf(assembled([instance(1), instance(2, changed)])), ['a.example.org/ -> web: 2'], 'of equals the newer')
  })

  test('the newest ready instance decides on service keys, and the difference is told', () => {
    const result = assembled([instance(1, 'serai.host=a.example.org serai.scheme=https'), instance(2, 'serai.host=a.example.org serai.balance=rr'),
      instance(3, 'serai.host=a.example.org serai.scheme=https', { health: 'critical' })])
    const [service] = result.services.values()
    assert.deepEqual([service?.scheme, service?.balance], ['http', 'rr'])
    assert.deepEqual(reasonsOf(result), [
      'web@file/default[] instances differ: rr is used, as the newest ready one says (services.yaml:2) (services.yaml:1)',
      'web@file/default[] instances differ: http is used, as the newest ready one says (services.yaml:2) (services.yaml:1)',
    ])
  })

  test('listed upgrades are let through beside the usual ones', () => {
    const [service] = assembled([instance(1, 'serai.host=a.example.org serai.upgrade=foo')]).services.values()
    assert.deepEqual(service?.routes[0]?.policy.upgrades, ['foo', 'websocket'])
  })
})

describe('one bad tag hurts one router', () => {
  test('the last good form goes on for the instances that carry it', () => {
    const bad = 'serai.host=a.example.org serai.auht.basic=x'
    assert.deepEqual(routesOf(assembled([instance(1), instance(2, bad), instance(3, bad)])), ['a.example.org/ -> web: 1'])
    assert.deepEqual(routesOf(assembled([instance(2, bad)])), ['a.example.org/ -> web: problem'])
  })

  test('a problem that many instances share is told once', () => {
    const { problems } = assembled([12, 3, 100].map((port) => instance(port, 'serai.host=a.example.org serai.nonsense=1')))
    assert.deepEqual(problems, [{ service: 'web@file/default', router: 'default', tag: 'serai.nonsense=1', reason: 'unknown key', where: 'services.yaml:3 and 2 more' }])
  })

  test('a catalog’s own problems are passed on, and a catalog that was not read yet is not empty', () => {
    const problem = { service: '@file', router: '', tag: '', reason: 'there is no such file', where: 'services.yaml' }
    const result = assemble({ readings: new Map([['file', { instances: [], problems: [problem] }], ['nomad', undefined]]), previous: undefined, now: 0, options })
    assert.deepEqual([result.problems, result.complete], [[problem], false])
  })
})

describe('services that vanish', () => {
  test('answer 503 for ten minutes, then are forgotten; then the caller is to wake up', () => {
    const first = assembled([instance(1)])
    const gone = assembled([], { previous: first, now: MINUTE })
    assert.deepEqual(routesOf(gone), ['a.example.org/ -> web: vanished'])
    assert.equal(gone.nextChangeAt, 11 * MINUTE)
    const later = assembled([], { previous: gone, now: 11 * MINUTE - 1 })
    assert.equal(later.nextChangeAt, 11 * MINUTE)
    assert.deepEqual(diffServices(gone.services, later.services), { changed: [], removed: [] })
    const end = assembled([], { previous: later, now: 11 * MINUTE })
    assert.deepEqual([routesOf(end), end.nextChangeAt], [[], undefined])
  })

  test('come back as they were', () => {
    const gone = assembled([], { previous: assembled([instance(1)]) })
    const back = assembled([instance(1)], { previous: gone, now: MINUTE })
    assert.deepEqual([routesOf(back), back.nextChangeAt], [['a.example.org/ -> web: 1'], undefined])
  })

  test('give way to a living service with the same match', () => {
    const result = assembled([instance(2, undefined, { service: 'other' })], { previous: assembled([instance(1), instance(1, 'serai.host=b.example.org', { host: '10.0.0.2' })]) })
    assert.deepEqual(routesOf(result), ['a.example.org/ -> other: 2', 'b.example.org/ -> web: vanished'])
  })

  test('have not vanished while an instance is there, if only without its tags', () => {
    const result = assembled([instance(1, '')], { previous: assembled([instance(1)]) })
    assert.deepEqual([routesOf(result), result.nextChangeAt], [[], undefined])
  })
})

describe('two services with the same match', () => {
  const [alpha, beta] = [instance(1, undefined, { service: 'alpha' }), instance(2, undefined, { service: 'beta' })]

  test('the first by catalog, namespace and name has it; the other is a problem', () => {
    const result = assembled([beta, alpha])
    assert.deepEqual(routesOf(result), ['a.example.org/ -> alpha: 1'])
    assert.deepEqual(reasonsOf(result), ['beta@file/default[default] a.example.org belongs to alpha@file/default (services.yaml:2)'])
  })

  test('who has it keeps it, while it claims it', () => {
    const both = assembled([alpha, beta], { previous: assembled([beta]) })
    assert.deepEqual(routesOf(both), ['a.example.org/ -> beta: 2'])
    assert.deepEqual(routesOf(assembled([alpha, beta], { previous: both })), ['a.example.org/ -> beta: 2'])
    assert.deepEqual(routesOf(assembled([alpha], { previous: both })), ['a.example.org/ -> alpha: 1'])
  })

  test('only the contested match is lost', () => {
    const rival = instance(3, 'serai.host=a.example.org,b.example.org', { service: 'rival' })
    assert.deepEqual(routesOf(assembled([alpha, rival])), ['a.example.org/ -> alpha: 1', 'b.example.org/ -> rival: 3'])
  })

  test('an exact path and a prefix are not the same match', () => {
    const exact = instance(3, 'serai.host=a.example.org serai.path==/', { service: 'exact' })
    assert.deepEqual(assembled([alpha, exact]).problems, [])
  })
})

describe('our own listeners', () => {
  const cases: readonly (readonly [host: string, port: number, own: boolean])[] = [
    ['127.0.0.1', 8080, true], ['::1', 8080, true], ['localhost', 8080, true], ['0.0.0.0', 8080, true], ['127.8.9.1', 8080, true], ['::ffff:7f00:1', 8080, true],
    ['10.0.0.1', 8080, false], ['127.0.0.1', 8081, false], ['127.0.0.1', 9080, true], ['localhost', 9080, true], ['127.0.0.2', 9080, false], ['::', 9080, true],
  ]
  for (const [host, port, own] of cases) {
    test(`${host} port ${port} is ${own ? '' : 'not '}one of them`, () => {
      const result = assembled([instance(port, undefined, { host })])
      assert.equal([...result.services.values()][0]?.endpoints.length, own ? 0 : 1)
      assert.equal(result.problems.length, own ? 1 : 0)
    })
  }
})

describe('the default host', () => {
  const withHost = { ...options, defaultHost: '{service}.{namespace}.apps.example.org' }
  test('is of services that name none, and of none without a tag', () => {
    const result = assembled([instance(1, 'serai.enable=true'), instance(2, '', { service: 'closed' }), instance(3, 'serai.enable=true', { service: 'api', namespace: 'team-a' })], { options: withHost })
    assert.deepEqual(routesOf(result), ['api.team-a.apps.example.org/ -> api: 3', 'web.default.apps.example.org/ -> web: 1'])
  })
  test('a changed configuration is not answered from memory', () => {
    const instances = [instance(1, 'serai.enable=true')]
    assert.deepEqual(routesOf(assembled(instances, { previous: assembled(instances), options: withHost })), ['web.default.apps.example.org/ -> web: 1'])
  })
})

describe('equal input', () => {
  const tags = fc.subarray(['serai.host=a.example.org', 'serai.host=b.example.org', 'serai.path=/api', 'serai.balance=rr', 'serai.scheme=https', 'serai.weight=3',
    'serai.timeout.head=1s', 'serai.nonsense=1', 'serai.router.x.host=a.example.org', 'serai.enable=false'])
  const some = fc.array(fc.record({
    tags, port: fc.integer({ min: 1, max: 6 }), service: fc.constantFrom('web', 'api'), namespace: fc.constantFrom('default', 'other'),
    health: fc.constantFrom('passing' as const, 'critical' as const),
  }), { maxLength: 10 }).map((list) => list.map(({ tags, port, ...more }, at) => instance(port, tags, { ...more, id: String(at) })))

  test('in any order gives equal output', () => {
    fc.assert(fc.property(some.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))), ([list, shuffled]) => {
      const [one, two] = [assembled(list), assembled(shuffled)]
      assert.deepEqual([[...two.services], two.problems], [[...one.services], one.problems])
    }), { numRuns: 500 })
  })

  test('gives the same services, whether made afresh or from memory', () => {
    fc.assert(fc.property(some, some, (before, after) => {
      const first = assembled(before)
      const mixed = [...before.slice(1), ...after]
      const remembered = assembled(mixed, { previous: first })
      const afresh = assembled(mixed.map((each) => ({ ...each })), { previous: first })
      assert.deepEqual([[...remembered.services], remembered.problems], [[...afresh.services], afresh.problems])
      const again = assembled(mixed.map((each) => ({ ...each })), { previous: remembered })
      for (const [key, service] of again.services) assert.equal(remembered.services.get(key), service, 'unchanged, so the same object')
      assert.deepEqual(diffServices(remembered.services, again.services), { changed: [], removed: [] })
    }), { numRuns: 500 })
  })

  test('matches are unique in the table, and every index points at an endpoint', () => {
    fc.assert(fc.property(some, (list) => {
      const seen = new Set<string>()
      for (const { endpoints, routes } of assembled(list).services.values()) {
        for (const { match, endpoints: own } of routes) {
          const id = JSON.stringify(match)
          assert.ok(!seen.has(id), id)
          seen.add(id)
          for (const at of own) assert.ok(endpoints[at] !== undefined)
        }
      }
    }), { numRuns: 500 })
  })
})

describe('what changed', () => {
  test('is the services that differ, and those that are gone', () => {
    const before = assembled([instance(1), instance(2, 'serai.host=b.example.org', { service: 'api' }), instance(3, 'serai.host=c.example.org', { service: 'same' })])
    const after = new Map(assembled([instance(4), instance(3, 'serai.host=c.example.org', { service: 'same' })]).services)
    const { changed, removed } = diffServices(before.services, after)
    assert.deepEqual([changed.map(({ key }) => key), removed], [['web@file/default'], ['api@file/default']])
  })

  test('is told in lines', () => {
    const before = assembled([instance(1), instance(2, 'serai.host=b.example.org serai.path==/x', { service: 'api' }), instance(3, 'serai.host=c.example.org', { service: 'same' })])
    const after = assembled([instance(1), instance(4), instance(5, 'serai.path=/any serai.nonsense=1', { service: 'new' }), instance(3, 'serai.host=c.example.org', { service: 'same' })])
    assert.deepEqual(describeRoutes(before.services, after.services), [
      '+ */any -> new@file/default (503: problem)',
      '~ a.example.org -> web@file/default (2 endpoints, +10.0.0.1:4)',
      '- b.example.org=/x -> api@file/default',
    ])
    assert.deepEqual(describeRoutes(after.services, after.services), [])
  })

  test('is told in at most fifty lines', () => {
    const many = Array.from({ length: 60 }, (_, at) => instance(at + 1, `serai.host=h${at}.example.org`, { service: `s${at}` }))
    const lines = describeRoutes(new Map(), assembled(many).services)
    assert.deepEqual([lines.length, lines.at(-1)], [50, '… and 11 more'])
  })
})
