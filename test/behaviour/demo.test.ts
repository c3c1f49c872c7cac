// The demo: a newcomer starts it, tries what it says, kills an instance, adds a service, and ends it with Ctrl-C.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { dirname } from 'node:path'
import { test } from 'node:test'
import { connect, get } from '#test/support/client.ts'
import { runSerai } from '#test/support/serai.ts'
import { until, within } from '#test/support/until.ts'

const DEADLINE_MS = 20_000

interface Demo extends AsyncDisposable {
  readonly child: ChildProcess
  readonly said: () => string
  readonly http: number
  readonly admin: number
  /** Path of the services file that it names. */
  readonly services: string
  readonly pids: readonly number[]
  readonly ended: Promise<number | null>
}

const PROGRAM = [process.execPath, 'src/main.ts', 'demo']
const THROUGH_NPM = ['npm', 'run', 'demo', '--']

async function startDemo([file = '', ...args] = PROGRAM): Promise<Demo> {
  // A group of its own, as on a terminal: Ctrl-C is a signal to all of it.
  const child = spawn(file, [...args, '--http', '127.0.0.1:0', '--admin', '127.0.0.1:0'], { detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text })
  const ended = once(child, 'close').then(([code]) => code as number | null)
  await until(() => output.includes('Ctrl-C stops') || child.exitCode !== null, { deadline: DEADLINE_MS, what: `the demo's screen; it said: ${output}` })
  const [, http, admin] = /localhost:(\d+) .*localhost:(\d+)/.exec(output) ?? assert.fail(`no addresses in: ${output}`)
  const services = /edit (\S+)/.exec(output)?.[1] ?? ''
  return {
    child,
    said: () => output,
    http: Number(http),
    admin: Number(admin),
    services,
    pids: [...output.matchAll(/\(pid (\d+)\)/g)].map(([, pid]) => Number(pid)),
    ended: within(ended, DEADLINE_MS, () => `the demo ending; it said: ${output}`),
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null) child.kill('SIGKILL')
      await ended
      if (services !== '') rmSync(dirname(services), { recursive: true, force: true })
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

test('what the screen promises holds, and Ctrl-C leaves nothing behind', async () => {
  await using demo = await startDemo()
  assert.equal(demo.pids.length, 7)

  const seen = new Set<string | undefined>()
  for (let count = 0; count < 40; count++) seen.add((await get(demo.http, '/', 'a.example.org')).headers.get('sample-instance'))
  assert.deepEqual([...seen].sort(), ['web-1', 'web-2'])
  assert.match((await get(demo.http, '/api/x', 'a.localhost')).text, /^api: instance api-[12], pid \d+\n\nGET \/api\/x HTTP\/1\.1\n/)
  const page = await get(demo.http, '/<b>', `a.localhost:${demo.http}`, 'Accept: text/html')
  assert.match(page.text, /<h1>web<\/h1>/)
  assert.doesNotMatch(page.text, /GET \/<b>/)

  const shares = new Map<string, number>()
  for (let count = 0; count < 200; count++) {
    const instance = (await get(demo.http, '/', 'shop.localhost')).headers.get('sample-instance') ?? ''
    shares.set(instance, (shares.get(instance) ?? 0) + 1)
  }
  assert.deepEqual([...shares.keys()].sort(), ['canary', 'stable-1', 'stable-2'])
  assert.ok((shares.get('canary') ?? 0) < 40, `the canary is a small share: ${JSON.stringify([...shares])}`)

  process.kill(demo.pids[0] ?? assert.fail('no instance'), 'SIGTERM')
  await until(() => demo.said().includes('web-1 (pid') && demo.said().includes('has ended'), { what: 'a line on the instance that ended' })
  for (let count = 0; count < 40; count++) assert.equal((await get(demo.http, '/', 'a.example.org')).status, 200)

  const text = readFileSync(demo.services, 'utf8')
  writeFileSync(demo.services, text.replace(/^#(?= +(- name|tags|instances):)/gm, ''))
  await until(async () => (await get(demo.http, '/', 'new.localhost')).status === 200, { what: 'the service that was added to the file' })

  interrupt(demo)
  assert.equal(await demo.ended, 0, demo.said())
  assert.deepEqual(demo.pids.filter(lives), [])
  assert.equal(existsSync(demo.services), false)
  for (const port of [demo.http, demo.admin]) await assert.rejects(connect(port), /ECONNREFUSED/)
})

// A terminal sends SIGINT to npm and to the program, and npm then sends its own to the program, a millisecond later.
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
  const ports = [...readFileSync(demo.services, 'utf8').matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port))
  assert.equal(new Set(ports).size, 7)
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
    const http = await runSerai(['demo', '--http', `127.0.0.1:${port}`, '--admin', '127.0.0.1:0'])
    const line = (option: string): string => `127.0.0.1:${port} is in use by another program. Choose another port: npm run demo -- ${option} 127.0.0.1:${port + 1}\n`
    assert.deepEqual(http, { code: 1, stdout: '', stderr: line('--http') })
    const admin = await runSerai(['demo', '--http', '127.0.0.1:0', '--admin', `127.0.0.1:${port}`])
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
