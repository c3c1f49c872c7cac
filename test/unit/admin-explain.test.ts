// Explanations: the same answer as the data plane's, and a reason for each step.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explain, QuestionError } from '#src/admin/explain.ts'
import type { ExplainedView } from '#src/admin/explain.ts'
import { certificates, endpoint, problems, route, routes, services, status } from '#test/support/admin-subject.ts'

const view: ExplainedView = { complete: true, listeners: status.listeners, routes, services, problems, certificates }
const ask = (url: string, given: Partial<ExplainedView> = {}, headers: readonly (readonly [string, string])[] = []): ReturnType<typeof explain> =>
  explain({ ...view, ...given }, { url, method: 'GET', headers })

const cases: readonly { name: string; url: string; given?: Partial<ExplainedView>; headers?: readonly (readonly [string, string])[]; outcome: string; status: number; says: RegExp }[] = [
  { name: 'a prefix', url: 'http://a.example.org/x', outcome: 'forwarded', status: 0, says: /^goes to web@file\/default \(router default\), at 127\.0\.0\.1:9001$/ },
  { name: 'the longer prefix', url: 'http://a.example.org/api/v1?q=1#top', outcome: 'forwarded', status: 0, says: /api@file/ },
  { name: 'whole segments', url: 'http://a.example.org/apis', outcome: 'forwarded', status: 0, says: /web@file/ },
  { name: 'the normal form of the path', url: 'http://a.example.org/x/../%61pi', outcome: 'forwarded', status: 0, says: /api@file/ },
  { name: 'no scheme', url: 'A.example.org:8080', outcome: 'forwarded', status: 0, says: /web@file/ },
  { name: 'the Host header stands for the host', url: 'http://127.0.0.1:8080/', headers: [['host', 'a.example.org']], outcome: 'forwarded', status: 0, says: /web@file/ },
  { name: 'a refused route', url: 'http://b.example.org/down', outcome: 'answered', status: 503, says: /tags have a problem/ },
  { name: 'an exact path takes nothing below it', url: 'http://b.example.org/down/x', outcome: 'answered', status: 404, says: /no route takes b\.example\.org\/down\/x/ },
  { name: 'a wildcard is one label', url: 'http://c.b.example.org/down', outcome: 'answered', status: 404, says: /no route/ },
  { name: 'an unread catalog', url: 'http://none.test/', given: { complete: false }, outcome: 'answered', status: 503, says: /not every catalog was read/ },
  { name: 'a host that does not cover the path falls through', url: 'http://a.example.org/x', given: { routes: [route({ path: '/api' }), route({ host: '', service: 'any@file/default' })], services: [{ key: 'any@file/default', scheme: 'http', balance: 'p2c', endpoints: [endpoint('127.0.0.1:9001')] }] }, outcome: 'forwarded', status: 0, says: /any@file/ },
  { name: 'a malformed path', url: 'http://a.example.org/%2f', outcome: 'answered', status: 400, says: /refused/ },
  { name: 'vanished', url: 'http://a.example.org/', given: { routes: [route({ refuse: 'vanished' })] }, outcome: 'answered', status: 503, says: /vanished/ },
  { name: 'no endpoint ready', url: 'http://a.example.org/', given: { routes: [route({})], services: [{ ...services[0]!, endpoints: [endpoint('127.0.0.1:9001', { state: 'pending' })] }] }, outcome: 'answered', status: 503, says: /none of its 1 endpoints is ready/ },
  { name: 'all failing: panic', url: 'http://a.example.org/', given: { routes: [route({})], services: [{ ...services[0]!, endpoints: [endpoint('127.0.0.1:9001', { state: 'failing' })] }] }, outcome: 'forwarded', status: 0, says: /9001/ },
  { name: 'weight 0 is the last choice', url: 'http://a.example.org/', given: { services: [{ ...services[0]!, endpoints: [endpoint('127.0.0.1:9001', { weight: 0 }), endpoint('127.0.0.1:9002')] }] }, outcome: 'forwarded', status: 0, says: /at 127\.0\.0\.1:9002$/ },
]

for (const { name, url, given, headers, outcome, status: code, says } of cases) {
  test(`explains: ${name}`, () => {
    const answer = ask(url, given, headers)
    assert.match(answer.summary, says)
    assert.deepEqual([answer.outcome, answer.status], [outcome, code])
  })
}

test('each step says why, the refused ones too', () => {
  const { steps } = ask('http://a.example.org:8080/api')
  assert.deepEqual(steps.map(({ stage, name, ok }) => [stage, name, ok]), [
    ['listener', 'http', true],
    ['host', 'a.example.org', true],
    ['host', '*.example.org', false],
    ['host', 'any host', false],
    ['route', 'a.example.org /api → api@file/default (router default)', true],
    ['route', 'a.example.org / → web@file/default (router default)', false],
    ['endpoint', '127.0.0.1:9003', true],
  ])
  assert.match(steps[2]!.why, /not asked: a\.example\.org is narrower/)
  assert.match(steps[5]!.why, /less specific/)
  assert.match(ask('http://a.example.org/').steps.at(-1)!.why, /ejected: 5 connect errors in a row/)
})

test('an unknown port is told, and does not stop the explanation; no port is any', () => {
  const listener = (url: string, given: Partial<ExplainedView> = {}): unknown[] => Object.values(ask(url, given).steps[0]!).slice(1)
  assert.deepEqual(listener('http://a.example.org:81/'), ['port 81', false, 'nothing listens there; shown is what http on 0.0.0.0:8080 would do'])
  assert.deepEqual(listener('https://a.example.org/'), ['http', true, 'the URL names no port, and http listens on 0.0.0.0:8080'])
  assert.deepEqual(listener('http://a.example.org:8080/'), ['http', true, 'listens on 0.0.0.0:8080'])
  assert.deepEqual(listener('http://a.example.org/', { listeners: [] }), ['port 80', false, 'no listener is open'])
})

test('problems that touch the question come along, others do not', () => {
  assert.equal(ask('http://a.example.org/').problems.length, 1)
  assert.equal(ask('http://none.test/').problems.length, 0)
  const unreadable = { service: 'x@file/default', router: 'default', tag: 'serai.host=none.test,,', reason: 'empty host', where: '' }
  assert.deepEqual(ask('http://none.test/', { problems: [unreadable] }).problems, [unreadable])
})

for (const url of ['http://', 'http://user@a.example.org/', 'ftp://a.example.org/', 'a b']) {
  test(`${JSON.stringify(url)} is no question`, () => {
    assert.throws(() => ask(url), (error: Error) => error instanceof QuestionError && error.message.includes('expected http://host/path'))
  })
}
