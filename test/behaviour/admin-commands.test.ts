// `serai routes` and `serai explain` against a real admin server: tables, JSON, and errors of one line.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { answers } from '#src/admin/schema.ts'
import { startAdminServer } from '#src/admin/server.ts'
import type { AdminServer } from '#src/admin/server.ts'
import type { TokenSource } from '#src/admin/token.ts'
import type { Command } from '#src/commands/command.ts'
import { UsageError } from '#src/commands/command.ts'
import { command as explain } from '#src/commands/explain.ts'
import { command as routes } from '#src/commands/routes.ts'
import { makeSubject, problems } from '#test/support/admin-subject.ts'
import { makeFolder } from '#test/support/folder.ts'

const startAdmin = (token: TokenSource = {}, subject = makeSubject()): Promise<AdminServer> =>
  startAdminServer({ address: { host: '127.0.0.1', port: 0 }, subject, onError(error) { throw error }, ...token })

async function run(command: Command, argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<{ code: number; out: string; err: string }> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const code = await command.run(argv, { stdout, stderr, env })
  const said = (stream: PassThrough): string => (stream.read() as Buffer | null)?.toString() ?? ''
  return { code, out: said(stdout), err: said(stderr) }
}

test('serai routes: a table that lines up, and the problems below it', async () => {
  await using admin = await startAdmin()
  const { code, out, err } = await run(routes, ['--admin', admin.address])
  assert.deepEqual([code, err], [0, ''])
  assert.equal(out, [
    'HOST           PATH    SERVICE                  ENDPOINTS',
    '*.example.org  =/down  api@file/default (wide)  answers 503: problem',
    'a.example.org  /       web@file/default         127.0.0.1:9001 127.0.0.1:9002',
    'a.example.org  /api    api@file/default         127.0.0.1:9003',
    '',
    'PROBLEM                  TAG                                                     REASON                  WHERE',
    'api@file/default (wide)  serai.router.wide.auth.basci=<script>alert(1)</script>  unknown key auth.basci  services.yaml:9',
    '',
  ].join('\n'))
})

test('serai routes --json: the answer of the API', async () => {
  await using admin = await startAdmin()
  const { out } = await run(routes, ['--json'], { SERAI_ADMIN_ADDRESS: admin.address })
  assert.equal(answers['/api/routes'].parse(JSON.parse(out)).routes.length, 3)
})

test('serai routes: nothing there, and nothing wrong', async () => {
  await using admin = await startAdmin({}, makeSubject({ routes: () => [], problems: () => [] }))
  assert.equal((await run(routes, ['--admin', `http://${admin.address}/`])).out, 'no routes\n')
})

test('serai explain: the summary, each step with its reason, the problems', async () => {
  await using admin = await startAdmin()
  const { code, out, err } = await run(explain, ['http://a.example.org/x', '--admin', admin.address])
  assert.deepEqual([code, err], [0, ''])
  const lines = out.split('\n')
  assert.equal(lines[0], 'GET a.example.org/x: goes to web@file/default (router default), at 127.0.0.1:9001')
  assert.match(out, /^ {2}host {6}yes {2}a\.example\.org +2 routes, one takes the path$/m)
  assert.match(out, /^ {2}endpoint {2}no {3}127\.0\.0\.1:9002 +ejected: 5 connect errors in a row$/m)
  assert.match(out, /^api@file\/default \(wide\) .*unknown key/m)
})

test('serai explain: method and header fields are passed on', async () => {
  await using admin = await startAdmin()
  const { out } = await run(explain, ['127.0.0.1:8080/api', '--method', 'POST', '--header', 'X-A: 1', '--header', 'Host: a.example.org', '--json', '--admin', admin.address])
  const { question, outcome } = answers['/api/explain'].parse(JSON.parse(out))
  assert.deepEqual([question.method, question.host, question.path, outcome], ['POST', 'a.example.org', '/api', 'forwarded'])
})

test('control characters of tags do not reach the terminal', async () => {
  await using admin = await startAdmin({}, makeSubject({ problems: () => [{ ...problems[0]!, tag: 'serai.x=\x1b[2J\u009b', where: 'a\nb' }] }))
  const { out } = await run(routes, ['--admin', admin.address])
  assert.match(out, /serai\.x=\\u001b\[2J\\u009b .* a\\u000ab\n/)
})

test('the token comes from a file or the environment', async () => {
  await using folder = await makeFolder()
  await using admin = await startAdmin({ token: 'S3cret' })
  const file = await folder.write('token', 'S3cret\n')
  assert.equal((await run(routes, ['--admin', admin.address, '--token-file', file])).code, 0)
  assert.equal((await run(routes, ['--admin', admin.address], { SERAI_ADMIN_TOKEN: 'S3cret' })).code, 0)
  assert.deepEqual(await run(routes, ['--admin', admin.address], { SERAI_ADMIN_TOKEN: 'wrong' }), {
    code: 1, out: '', err: `serai routes: ${admin.address} did not accept the token; expected --token-file FILE, or SERAI_ADMIN_TOKEN, with the one of its config\n`,
  })
  assert.match((await run(routes, ['--admin', admin.address, '--token-file', folder.file('none')])).err, /^serai routes: cannot read the token: ENOENT.*\n$/)
})

test('errors are one line and exit code 1', async () => {
  const nobody = createServer()
  nobody.listen(0, '127.0.0.1')
  await once(nobody, 'listening')
  const address = `127.0.0.1:${(nobody.address() as AddressInfo).port}`
  nobody.on('request', (_, response) => { response.end('hello') })
  assert.deepEqual(await run(routes, ['--admin', address]), { code: 1, out: '', err: `serai routes: what answers at ${address} is not the admin API of this version of Serai (status 200)\n` })
  nobody.close()
  nobody.closeAllConnections()
  await once(nobody, 'close')
  assert.deepEqual(await run(routes, ['--admin', address]), { code: 1, out: '', err: `serai routes: nothing listens at ${address}; expected the admin address of a running Serai (--admin ADDRESS)\n` })
  assert.match((await run(routes, ['--admin', 'a b'])).err, /^serai routes: "a b" is not an address; expected host:port.*\n$/)

  await using admin = await startAdmin()
  assert.deepEqual(await run(explain, ['http://', '--admin', admin.address]), { code: 1, out: '', err: 'serai explain: "http://" is not an URL; expected http://host/path\n' })
})

test('wrong usage is told as such', async () => {
  for (const argv of [[], ['a', 'b'], ['a', '--what']]) await assert.rejects(run(explain, argv), UsageError)
  await assert.rejects(run(routes, ['extra']), UsageError)
})
