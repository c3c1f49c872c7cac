// The admin and health servers over real sockets: what they answer, to whom, and what they refuse.
import assert from 'node:assert/strict'
import { request } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { answers, errorView } from '#src/admin/schema.ts'
import { startAdminServer, startHealthServer } from '#src/admin/server.ts'
import type { AdminOptions, AdminServer } from '#src/admin/server.ts'
import type { Subject } from '#src/admin/subject.ts'
import { makeSubject, route } from '#test/support/admin-subject.ts'
import { makeFolder } from '#test/support/folder.ts'
import { DEADLINE_MS, within } from '#test/support/until.ts'

interface Answered {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

const local = { host: '127.0.0.1', port: 0 }
const fail = (error: unknown): never => { throw error }

const startAdmin = (subject: Subject = makeSubject(), given: Partial<AdminOptions> = {}): Promise<AdminServer> =>
  startAdminServer({ address: local, subject, onError: fail, ...given })

function ask({ address }: AdminServer, path: string, { method = 'GET', headers = {} }: { readonly method?: string; readonly headers?: Readonly<Record<string, string>> } = {}): Promise<Answered> {
  const answered = new Promise<Answered>((resolve, reject) => {
    const asked = request(`http://${address}`, { path, method, headers, agent: false }, (response) => {
      text(response).then((body) => { resolve({ status: response.statusCode ?? 0, headers: response.headers, body }) }, reject)
    })
    asked.on('error', reject).end()
  })
  return within(answered, DEADLINE_MS, () => `an answer to ${path}`)
}

const jsonOf = (answered: Answered): unknown => JSON.parse(answered.body)

for (const [path, schema] of Object.entries(answers)) {
  test(`${path} answers as its schema says`, async () => {
    await using admin = await startAdmin()
    const answered = await ask(admin, path === '/api/explain' ? `${path}?url=http://a.example.org/api&header=X-A:%20b` : path)
    assert.equal(answered.status, 200)
    assert.match(answered.headers['content-type'] ?? '', /^application\/json/)
    schema.parse(jsonOf(answered))
  })
}

test('/ready says 503 and why', async () => {
  const readiness = { ready: false, reasons: ['catalog nomad was not read yet', 'worker 2 is starting'] }
  await using admin = await startAdmin(makeSubject({ readiness: () => readiness }))
  const answered = await ask(admin, '/ready')
  assert.equal(answered.status, 503)
  assert.deepEqual(jsonOf(answered), readiness)
})

test('/metrics is text for Prometheus', async () => {
  await using admin = await startAdmin()
  const answered = await ask(admin, '/metrics')
  assert.match(answered.headers['content-type'] ?? '', /^text\/plain; version=0\.0\.4/)
  assert.equal(answered.body, 'serai_ready 1\n')
})

const refused: readonly { path: string; method?: string; status: number; says: RegExp }[] = [
  { path: '/nothing', status: 404, says: /nothing is at \/nothing; expected one of \/ \/live/ },
  { path: '/api/status/', status: 404, says: /nothing is at/ },
  { path: '//evil.example/', status: 404, says: /nothing is at/ },
  { path: '/api/explain', status: 400, says: /expected \/api\/explain\?url=/ },
  { path: '/api/explain?url=http://', status: 400, says: /not an URL/ },
  { path: '/api/explain?url=http://a/&header=oops', status: 400, says: /"oops" has no name/ },
  { path: `/api/explain?url=http://a/${'&header=a:b'.repeat(101)}`, status: 400, says: /101 headers are too many/ },
  { path: '/api/status', method: 'POST', status: 405, says: /POST is not offered; expected GET or HEAD/ },
  { path: '/live', method: 'DELETE', status: 405, says: /DELETE/ },
]
for (const { path, method = 'GET', status, says } of refused) {
  test(`${method} ${path.slice(0, 50)} is ${status}`, async () => {
    await using admin = await startAdmin()
    const answered = await ask(admin, path, { method })
    assert.equal(answered.status, status)
    assert.match(errorView.parse(jsonOf(answered)).error, says)
    assert.equal(answered.headers.allow, status === 405 ? 'GET, HEAD' : undefined)
  })
}

test('HEAD has the fields of GET, and no body', async () => {
  await using admin = await startAdmin()
  const [head, get] = [await ask(admin, '/api/routes', { method: 'HEAD' }), await ask(admin, '/api/routes')]
  assert.equal(head.body, '')
  assert.equal(head.headers['content-length'], get.headers['content-length'])
})

test('every answer forbids scripts, frames, sniffing and storing', async () => {
  await using admin = await startAdmin()
  for (const path of ['/', '/api/status', '/nothing', '/metrics']) {
    const { headers } = await ask(admin, path)
    assert.match(String(headers['content-security-policy']), /^default-src 'none'; style-src 'sha256-[\w+/=]+'; .*frame-ancestors 'none'/)
    assert.deepEqual([headers['x-content-type-options'], headers['x-frame-options'], headers['cache-control']], ['nosniff', 'DENY', 'no-store'])
  }
})

test('a Host that is not ours is refused (DNS rebinding), with what was expected', async () => {
  await using admin = await startAdmin()
  for (const path of ['/', '/api/status', '/live']) {
    const answered = await ask(admin, path, { headers: { host: 'evil.example:9080' } })
    assert.equal(answered.status, 403)
    assert.match(answered.body, /evil\.example:9080.*expected an IP address, or localhost/)
  }
  for (const host of ['localhost', '[::1]:9080', '10.1.2.3']) assert.equal((await ask(admin, '/api/status', { headers: { host } })).status, 200)
})

test('with a token: all but /live and /ready ask for it', async () => {
  await using admin = await startAdmin(makeSubject(), { token: 'S3cret', address: local })
  for (const path of ['/live', '/ready']) assert.equal((await ask(admin, path)).status, 200)
  for (const path of ['/', '/metrics', '/api/status', '/nothing']) {
    const answered = await ask(admin, path)
    assert.equal(answered.status, 401)
    assert.equal(answered.headers['www-authenticate'], 'Bearer')
  }
  for (const authorization of ['Bearer S3cre', 'Bearer S3cret2', 'Bearer', 'Basic S3cret', 'S3cret', 'Bearer S3cret x']) {
    assert.equal((await ask(admin, '/api/status', { headers: { authorization } })).status, 401, authorization)
  }
  assert.equal((await ask(admin, '/api/status', { headers: { authorization: 'Bearer S3cret' } })).status, 200)
  assert.equal((await ask(admin, '/api/status', { headers: { authorization: 'bearer S3cret' } })).status, 200)
})

test('a token file is read again when it changes; without it nobody gets in', async () => {
  await using folder = await makeFolder()
  const tokenFile = await folder.write('token', 'first\n')
  await using admin = await startAdmin(makeSubject(), { tokenFile })
  const statusWith = async (token: string): Promise<number> => (await ask(admin, '/api/status', { headers: { authorization: `Bearer ${token}` } })).status
  assert.deepEqual([await statusWith('first'), await statusWith('second')], [200, 401])
  await folder.write('token', 'second\n')
  assert.deepEqual([await statusWith('first'), await statusWith('second')], [401, 200])
  await folder.write('token', '')
  assert.deepEqual([await statusWith('second'), await statusWith('')], [401, 401])
})

test('an address beyond loopback without a token is refused, and so is one that is taken', async () => {
  await assert.rejects(startAdmin(makeSubject(), { address: { host: '', port: 0 } }), /admin\.address: :0 can be reached from other machines; expected .*admin\.token/)
  await using admin = await startAdmin()
  const port = Number(admin.address.split(':')[1])
  await assert.rejects(startAdmin(makeSubject(), { address: { host: '127.0.0.1', port } }), new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: .*EADDRINUSE`))
})

test('an answer that cannot be made is a 500 without details, and is told', async () => {
  const told: unknown[] = []
  const broken = new Error('secret detail')
  await using admin = await startAdmin(makeSubject({ services: () => { throw broken } }), { onError: (error) => { told.push(error) } })
  const answered = await ask(admin, '/api/services')
  assert.equal(answered.status, 500)
  assert.doesNotMatch(answered.body, /secret/)
  assert.deepEqual(told, [broken])
  assert.equal((await ask(admin, '/api/status')).status, 200)
})

test('the health server has /live and /ready alone, for any Host', async () => {
  const subject = makeSubject({ readiness: () => ({ ready: false, reasons: ['draining'] }) })
  await using health = await startHealthServer({ address: local, subject, onError: fail })
  const headers = { host: 'whatever' }
  assert.equal((await ask(health, '/live', { headers })).status, 200)
  const ready = await ask(health, '/ready', { headers })
  assert.deepEqual([ready.status, jsonOf(ready)], [503, { ready: false, reasons: ['draining'] }])
  for (const path of ['/', '/metrics', '/api/status']) assert.equal((await ask(health, path, { headers })).status, 404)
  assert.equal((await ask(health, '/live', { method: 'POST', headers })).status, 405)
})

test('close() ends at once, half-sent requests and idle connections included', async () => {
  const admin = await startAdmin()
  const [host, port] = admin.address.split(':')
  const idle = connect(Number(port), host)
  const ended = new Promise((resolve) => idle.on('close', resolve).on('error', () => {}))
  await within(new Promise((resolve) => idle.write('GET / HTTP/1.1\r\nHost: loc', resolve)), DEADLINE_MS, () => 'half a request')
  await ask(admin, '/live')
  await within(admin.close(), 1000, () => 'the end')
  await within(ended, 1000, () => 'the end of the idle connection')
})

test('the first page shows state, problems, routes and endpoints, and nothing in it is markup of others', async () => {
  await using admin = await startAdmin()
  const { status, headers, body } = await ask(admin, '/')
  assert.equal(status, 200)
  assert.match(headers['content-type'] ?? '', /^text\/html; charset=utf-8/)
  for (const shown of ['ready', 'a.example.org', '/api', 'web@file/default', '127.0.0.1:9002', 'ejected', '5 connect errors in a row', 'unknown key auth.basci', 'services.yaml:9', 'stale', '503: problem', '2 in flight']) {
    assert.ok(body.includes(shown), shown)
  }
  assert.ok(body.indexOf('unknown key') < body.indexOf('127.0.0.1:9001'), 'problems come first')
  assert.ok(body.includes('=&lt;script&gt;alert(1)&lt;/script&gt;'))
  assert.doesNotMatch(body, /<script/)
})

test('the first page is bounded, and says how much it left out', async () => {
  const many = Array.from({ length: 700 }, (_, at) => route({ host: `h${at}.example.org`, endpoints: Array.from({ length: 60 }, (__, port) => `10.0.0.1:${port}`) }))
  await using admin = await startAdmin(makeSubject({ routes: () => many }))
  const { body } = await ask(admin, '/')
  assert.ok(body.includes('h499.example.org') && !body.includes('h500.example.org'))
  assert.ok(body.includes('and 200 more, in the JSON below') && body.includes('and 10 more'))
})

test('the first page explains an URL, without renewing itself meanwhile', async () => {
  await using admin = await startAdmin()
  const { body } = await ask(admin, `/?url=${encodeURIComponent('http://a.example.org/api"><b>')}`)
  assert.match(body, /goes to web@file\/default \(router default\), at 127\.0\.0\.1:9001/)
  assert.ok(body.includes('value="http://a.example.org/api&quot;&gt;&lt;b&gt;"'))
  assert.doesNotMatch(body, /http-equiv="refresh"/)
  assert.match((await ask(admin, '/?url=http://')).body, /not an URL; expected http:\/\/host\/path/)
  assert.match((await ask(admin, '/?url=')).body, /<form/)
})
