// Recorded: the same questions by callers with every kind of right and wrong token, over TCP and the Task API's socket (fixtures 09-acl).
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import http from 'node:http'
import { after, before, suite, test } from 'node:test'
import type { Policy } from '#src/development/acl.ts'
import { startRegistry } from '#src/development/registry.ts'
import type { Registry } from '#src/development/registry.ts'
import { makeFolder } from '#test/support/folder.ts'
import type { Folder } from '#test/support/folder.ts'
import { NomadClient } from '#test/support/nomad-client.ts'
import { makeJob } from '#test/support/nomad-job.ts'
import { agrees, readRecording, readRecordings } from '#test/support/agreement.ts'
import type { Recording } from '#test/support/agreement.ts'
import { until } from '#test/support/until.ts'

const ingress: Policy = { namespaces: { '*': ['read-job'], 'default': ['read-job'] }, node: 'read' }
/** An exact block hides the pattern: read-job is lost in default. */
const wrong: Policy = { namespaces: { '*': ['read-job'], 'default': [] }, node: 'read' }
const UNKNOWN = '11111111-2222-3333-4444-555555555555'

suite('tokens', () => {
  let nomad: Registry
  let folder: Folder
  let socket: string
  let ours: Map<string, string>
  before(async () => {
    folder = await makeFolder()
    nomad = await startRegistry({ acl: true })
    socket = folder.file('api.sock')
    await nomad.listenAtSocket(socket)
    const { operations, store } = nomad.cluster
    operations.putNamespace('team-b', '')
    nomad.run(makeJob('web', { count: 2, tags: ['serai.host=web.example.org', 'v1'], checkMs: 50 }))
    nomad.run(makeJob('ns-web', { namespace: 'team-b', tags: ['serai.host=team-b.example.org'], service: { Name: 'web' }, group: { Name: 'g' } }))
    await until(() => store.all('deployments').filter(({ status }) => status === 'successful').length === 2, { what: 'both deployments' })
    ours = new Map([['53f282a6-09be-9c99-0a46-8acc1f92e439', nomad.allocations('web')[1]?.id ?? ''], ['b448cd10-e1c4-b955-c167-34f96f21dd6d', nomad.nodes[0]?.id ?? ''], ['127.0.0.1:4647', nomad.address]])
  })
  after(async () => {
    await nomad[Symbol.asyncDispose]()
    await folder[Symbol.asyncDispose]()
  })

  const identity = (policies: readonly Policy[]): string => nomad.addToken('workload', { secret: `header.${Math.random()}.signature`, policies }).secret
  const callers: readonly (readonly [string, () => string | undefined])[] = [
    ['10-anonymous', () => undefined],
    ['11-unknown-token', () => UNKNOWN],
    ['12-malformed-token', () => 'nonsense'],
    ['13-tampered-jwt', () => 'header.payload.signature'],
    ['20-identity-tcp', () => identity([])],
    ['21-identity-socket', () => identity([])],
    ['22-identity-bearer', () => identity([])],
    ['30-identity-with-wrong-policy', () => identity([wrong])],
    ['32-identity-with-policy', () => identity([ingress])],
  ]
  for (const [name, secret] of callers) {
    test(name, async () => {
      const token = secret()
      const files = readdirSync(new URL(`../../fixtures/nomad/09-acl/${name}/`, import.meta.url)).filter((file) => file !== 'streams.json')
      const recordings = files.flatMap((file) => (file === 'exchanges.json' ? readRecordings(`09-acl/${name}/${file}`) : [readRecording(`09-acl/${name}/${file}`)]))
      await haveNamespaces(recordings)
      for (const recording of recordings.filter(isServed)) await asRecorded(recording, token, name.includes('bearer'))
    })
  }

  test('what the Task API says to those whose token is none', async () => {
    for (const [file, token] of [['no-token', undefined], ['unknown-token', UNKNOWN], ['malformed-token', 'nonsense']] as const) await asRecorded(readRecording(`09-acl/23-socket-${file}.json`), token, false)
    const expired = nomad.addToken('workload', { secret: 'a.b.c', expiresAt: Date.now() - 61_000 }).secret
    await asRecorded(readRecording('09-acl/23-socket-malformed-token.json'), expired, false)
  })

  test('with nothing readable a wildcard list has index 0, and still waits', async () => {
    const begun = performance.now()
    const answer = await new NomadClient(nomad.address, identity([])).ask('/v1/services?namespace=*&index=1&wait=200ms')
    assert.deepEqual([answer.status, answer.index, answer.body], [200, 0, []])
    assert.ok(performance.now() - begun >= 199)
  })

  test('a refused event stream is 200, headers and silence; a granted one begins with a heartbeat', async () => {
    for (const [query, policies, granted] of [
      ['topic=Service', [], false], ['topic=Service', [ingress], true], ['topic=Service&namespace=*', [ingress], true], ['topic=Service&namespace=team-b', [wrong], true],
      ['topic=Service&namespace=*', [wrong], false], ['topic=Node', [ingress], true], ['topic=Node', [], false], ['', [ingress], false], ['topic=*', [ingress], false],
    ] as const) {
      await using stream = await new NomadClient(nomad.address, identity(policies)).follow(query)
      assert.equal(stream.status, 200)
      assert.equal(stream.headers.get('content-type'), 'application/json')
      assert.equal(stream.headers.get('connection'), 'close')
      // What a granted stream says comes before the answer to a request that is made after it.
      await new NomadClient(nomad.address).ask('/v1/status/leader')
      if (granted) await until(() => stream.heartbeats === 1, { what: `a heartbeat of ${query}` })
      else assert.equal(stream.heartbeats, 0, `${query} is refused`)
    }
  })

  test('a stream whose policy is deleted goes on with heartbeats, and says nothing more', async () => {
    const token = nomad.addToken('workload', { secret: 'x.y.z', policies: [ingress] })
    await using stream = await new NomadClient(nomad.address, token.secret).follow('topic=Service&index=999999')
    await until(() => stream.heartbeats === 1, { what: 'the first heartbeat' })
    token.policies = []
    nomad.run(makeJob('more', { mock: true }))
    await until(() => nomad.cluster.store.services.has('default', 'more'), { what: 'a registration' })
    await new NomadClient(nomad.address).ask('/v1/status/leader')
    assert.deepEqual(stream.events, [])
    nomad.stop('more', { purge: true })
    await until(() => !nomad.cluster.store.services.has('default', 'more'), { what: 'its end' })
  })

  /** More namespaces, and services in them, had been made when the later ones were recorded. */
  async function haveNamespaces(recordings: readonly Recording[]): Promise<void> {
    const { operations, store } = nomad.cluster
    const named = recordings.flatMap(({ request, response: { body } }) => (['/v1/namespaces', '/v1/services?namespace=*'].includes(request.path) && Array.isArray(body) ? body as readonly { readonly Name?: string; readonly Namespace?: string }[] : []))
    for (const { Name = '' } of named) if (Name !== '' && store.get('namespaces', Name) === undefined) operations.putNamespace(Name, '')
    const served = named.flatMap(({ Namespace = '' }) => (Namespace !== '' && !store.services.namespaces().includes(Namespace) ? [Namespace] : []))
    for (const namespace of served) nomad.run(makeJob('late', { namespace, mock: true, tags: [`serai.host=${namespace}.example.org`], service: { Name: 'web' } }))
    await until(() => served.every((namespace) => store.services.namespaces().includes(namespace)), { what: 'services in all of them' })
  }

  /** Variables and policies are not served. */
  function isServed({ request }: Recording): boolean {
    return !request.path.startsWith('/v1/var') && request.path !== '/v1/acl/policies'
  }

  async function asRecorded(recording: Recording, token: string | undefined, bearer: boolean): Promise<void> {
    let { path } = recording.request
    for (const [recorded, own] of ours) path = path.replaceAll(recorded, own)
    const headers: Record<string, string> = token === undefined ? {} : bearer ? { Authorization: `Bearer ${token}` } : { 'X-Nomad-Token': token }
    const [host, port] = nomad.address.split(':')
    const where = recording.request.socket === undefined ? { host, port } : { socketPath: socket }
    const answer = await new Promise<{ readonly status: number; readonly headers: Headers; readonly text: string }>((resolve, reject) => {
      http.get({ ...where, path, headers, agent: false }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => { text += chunk })
        response.once('end', () => { resolve({ status: response.statusCode ?? 0, headers: new Headers(response.headers as Record<string, string>), text }) })
      }).once('error', reject)
    })
    const body: unknown = answer.headers.get('content-type') === 'application/json' ? JSON.parse(answer.text) : answer.text
    try {
      agrees({ status: answer.status, headers: answer.headers, index: undefined, body }, recording, ours)
    } catch (error) {
      throw new Error(`${recording.request.path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
  }
})
