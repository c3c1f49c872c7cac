// The demo: a newcomer starts it, tries what it says, deploys, scales, kills and stops with keys, and ends it with Ctrl-C.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { connect, get } from '#test/support/client.ts'
import { needs } from '#test/support/real-servers.ts'
import { run } from '#test/support/run.ts'
import { runSerai } from '#test/support/serai.ts'
import { until, within } from '#test/support/until.ts'

const DEADLINE_MS = 40_000

interface Demo extends AsyncDisposable {
  readonly child: ChildProcess
  readonly said: () => string
  readonly http: number
  readonly admin: number
  /** `host:port` of its Nomad. */
  readonly nomad: string
  readonly pids: readonly number[]
  readonly ended: Promise<number | null>
  /** Presses a key and waits for the line that says what it did. */
  press(key: string): Promise<string>
}

const PROGRAM = [process.execPath, 'src/main.ts', 'demo']
const THROUGH_NPM = ['npm', 'run', 'demo', '--']

async function startDemo([file = '', ...args] = PROGRAM): Promise<Demo> {
  // A group of its own, as on a terminal: Ctrl-C is a signal to all of it.
  const child = spawn(file, [...args, '--http', '127.0.0.1:0', '--https', '127.0.0.1:0', '--admin', '127.0.0.1:0'], { detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text })
  const ended = once(child, 'close').then(([code]) => code as number | null)
  await until(() => output.includes('Ctrl-C stops') || child.exitCode !== null, { deadline: DEADLINE_MS, what: `the demo's screen; it said: ${output}` })
  const [, http, admin] = /localhost:(\d+) .*localhost:(\d+)/.exec(output) ?? assert.fail(`no addresses in: ${output}`)
  return {
    child,
    said: () => output,
    http: Number(http),
    admin: Number(admin),
    nomad: /at http:\/\/(127\.0\.0\.1:\d+)\/v1/.exec(output)?.[1] ?? '',
    pids: [...output.matchAll(/\(pid (\d+)\)/g)].map(([, pid]) => Number(pid)),
    ended: within(ended, DEADLINE_MS, () => `the demo ending; it said: ${output}`),
    async press(key) {
      const before = output.length
      child.stdin.write(key)
      return until(() => output.slice(before).split('\n').slice(0, -1).find((line) => line.startsWith(`${key}  `))?.slice(3), { what: `a line about the key ${key}` })
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null) child.kill('SIGKILL')
      await ended
    },
  }
}

const interrupt = (demo: Demo): boolean => process.kill(-(demo.child.pid ?? assert.fail('no pid')), 'SIGINT')

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Asks again and again until it is disposed; every answer's status and instance. */
function watch(demo: Demo, host: string): Disposable & { readonly seen: Map<string, number> } {
  const seen = new Map<string, number>()
  let on = true
  void (async () => {
    while (on) {
      const key = await get(demo.http, '/', host).then(({ status, text }) => (status === 200 ? /instance (\S+), version (\S+),/.exec(text)?.slice(1).join(' ') ?? '200' : `${status} ${text} after ${demo.said().slice(-200)}`), (error: unknown) => String(error))
      seen.set(key, (seen.get(key) ?? 0) + 1)
    }
  })()
  return { seen, [Symbol.dispose]() { on = false } }
}

const failures = (seen: ReadonlyMap<string, number>): string[] => [...seen.keys()].filter((key) => !/^(web|shop|api)\[/.test(key))

test('what the screen promises holds, and Ctrl-C leaves nothing behind', async () => {
  await using demo = await startDemo()
  assert.equal(demo.pids.length, 6)
  const seen = new Set<string | undefined>()
  await until(async () => seen.add((await get(demo.http, '/', 'a.example.org')).headers.get('sample-instance')).size === 2, { deadline: DEADLINE_MS, what: 'both instances of web' })
  assert.deepEqual([...seen].sort(), ['web[0]', 'web[1]'])
  assert.match((await get(demo.http, '/api/x', 'a.localhost')).text, /^api: instance api\[[01]\], version v1, pid \d+\n\nGET \/api\/x HTTP\/1\.1\n/)
  const page = await get(demo.http, '/<b>', `a.localhost:${demo.http}`, 'Accept: text/html')
  assert.match(page.text, /<h1>web<\/h1>/)
  assert.doesNotMatch(page.text, /GET \/<b>/)
  const services = await (await fetch(`http://${demo.nomad}/v1/services`)).json() as readonly { readonly Services: readonly object[] }[]
  assert.equal(services[0]?.Services.length, 3)

  assert.match(await demo.press('n'), /^new is being started/)
  await until(async () => (await get(demo.http, '/', 'new.localhost')).status === 200, { deadline: DEADLINE_MS, what: 'the new service' })
  assert.match(await demo.press('s'), /^api is being stopped/)
  await until(async () => /^web/.test((await get(demo.http, '/api', 'a.localhost')).text) || (await get(demo.http, '/api', 'a.localhost')).status === 503, { deadline: DEADLINE_MS, what: 'api to be gone' })

  demo.child.stdin?.end()
  interrupt(demo)
  assert.equal(await demo.ended, 0, demo.said())
  assert.deepEqual(demo.pids.filter(lives), [])
  for (const port of [demo.http, demo.admin, Number(demo.nomad.split(':')[1])]) await assert.rejects(connect(port), /ECONNREFUSED/)
})

test('deploying, scaling and killing with keys loses no request', async () => {
  await using demo = await startDemo()
  using client = watch(demo, 'a.localhost')
  assert.match(await demo.press('d'), /^version 2 of web is being deployed/)
  await until(() => client.seen.has('web[0] v2') && client.seen.has('web[1] v2'), { deadline: DEADLINE_MS, what: `the new version; seen: ${JSON.stringify([...client.seen])}` })
  await until(async () => /scaled to 3/.test(await demo.press('+')), { deadline: DEADLINE_MS, what: 'the deployment to be over' })
  await until(() => client.seen.has('web[2] v2'), { deadline: DEADLINE_MS, what: 'a third instance' })
  assert.match(await demo.press('k'), /was killed/)
  const killed = client.seen.get('web[1] v2') ?? 0
  await until(() => (client.seen.get('web[1] v2') ?? 0) > killed + 50, { what: 'the others to serve' })
  assert.deepEqual(failures(client.seen), [])
})

test('a canary gets a small share, and its promotion loses no request', async () => {
  await using demo = await startDemo()
  using client = watch(demo, 'shop.localhost')
  assert.match(await demo.press('p'), /^not now: no canaries to promote$/)
  await demo.press('c')
  await until(() => client.seen.has('shop[0] v2'), { deadline: DEADLINE_MS, what: 'the canary' })
  const before = new Map(client.seen)
  const since = (key: string): number => (client.seen.get(key) ?? 0) - (before.get(key) ?? 0)
  await until(() => [...client.seen.keys()].reduce((sum, key) => sum + since(key), 0) > 300, { deadline: DEADLINE_MS, what: 'three hundred requests' })
  const share = since('shop[0] v2') / [...client.seen.keys()].reduce((sum, key) => sum + since(key), 0)
  assert.ok(share < 0.2, `the canary is a small share: ${share}`)
  await until(async () => /^the canary of shop is promoted/.test(await demo.press('p')), { deadline: DEADLINE_MS, what: 'the canary to be healthy' })
  await until(() => client.seen.has('shop[1] v2'), { deadline: DEADLINE_MS, what: 'the second instance of the new version' })
  assert.deepEqual(failures(client.seen), [])
})

// A terminal sends SIGINT to npm and to the program, and npm then sends its own to the program, a millisecond later.
test('TLS as the screen says: curl verifies the certificate by the authority that it names', async (t) => {
  const curl = needs(t, 'curl')
  if (curl === undefined) return
  await using demo = await startDemo()
  const [, ca, url] = /curl --cacert (\S+) (https:\S+)/.exec(demo.said()) ?? assert.fail(`no such line in: ${demo.said()}`)
  for (const host of ['a.localhost', 'shop.localhost', 'shop.example.org']) {
    const { hostname, port } = new URL(url!)
    const { code, stdout, stderr } = await run(curl, ['--silent', '--show-error', '--cacert', ca!, '--resolve', `${host}:${port}:127.0.0.1`, url!.replace(hostname, host)])
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, host.startsWith('a') ? /web/ : /shop/)
  }
})

test('Ctrl-C under npm, which passes the signal on a second time, lets a running request finish', async () => {
  await using demo = await startDemo(THROUGH_NPM)
  await using client = await connect(demo.http)
  client.get('/slow', 'a.localhost')
  assert.equal((await client.receiveHead()).status, 200)
  interrupt(demo)
  assert.match((await client.receiveUntilClose()).toString(), /5 of 5/)
  assert.equal(await demo.ended, 0, demo.said())
  assert.deepEqual(demo.pids.filter(lives), [])
})

test('instances end when the demo is killed', async () => {
  await using demo = await startDemo()
  const lists = await Promise.all(['web', 'api', 'shop'].map(async (name) => (await fetch(`http://${demo.nomad}/v1/service/${name}`)).json() as Promise<readonly { readonly Port: number }[]>))
  const ports = lists.flat().map(({ Port }) => Port)
  assert.equal(new Set(ports).size, 6)
  demo.child.kill('SIGKILL')
  await demo.ended
  // Not by pid: who inherits a dead process's children may take its time to collect them.
  for (const port of ports) await until(() => assert.rejects(connect(port), /ECONNREFUSED/).then(() => true), { what: `the instance on port ${port} ending` })
})

test('a port in use is named in one line with what to do', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  try {
    const http = await runSerai(['demo', '--http', `127.0.0.1:${port}`, '--https', '127.0.0.1:0', '--admin', '127.0.0.1:0'])
    const line = (option: string): string => `127.0.0.1:${port} is in use by another program. Choose another port: npm run demo -- ${option} 127.0.0.1:${port + 1}\n`
    assert.deepEqual(http, { code: 1, stdout: '', stderr: line('--http') })
    const admin = await runSerai(['demo', '--http', '127.0.0.1:0', '--https', '127.0.0.1:0', '--admin', `127.0.0.1:${port}`])
    assert.deepEqual(admin, { code: 1, stdout: '', stderr: line('--admin') })
  } finally {
    server.close()
  }
})

test('options that cannot be read are usage errors', async () => {
  for (const [args, message] of [[['--http', 'x'], /^serai demo: --http "x" is not an address/], [['--nonsense'], /^serai demo: Unknown option '--nonsense'/], [['more'], /takes no argument: "more"/]] as const) {
    const { code, stderr } = await runSerai(['demo', ...args])
    assert.equal(code, 2)
    assert.match(stderr, message)
    assert.match(stderr, /\n {2}--http {4}where/)
  }
})
