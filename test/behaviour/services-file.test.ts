// The services file edited, cut short, replaced, replaced by a directory or a dangling link while requests run: no request fails, and the problem is told.
import assert from 'node:assert/strict'
import { mkdir, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect } from '#test/support/client.ts'
import { startHttpBackend } from '#test/support/http-backend.ts'
import { startSerai, type Serai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'

interface Change {
  readonly name: string
  /** Done to the path of the services file. */
  readonly make: (path: string) => Promise<void>
  /** What /api/problems then says; undefined: nothing. */
  readonly problem: RegExp | undefined
}

const good = (port: number, host: string): string => JSON.stringify({ services: [{ name: 'web', tags: [`serai.host=${host}`], instances: [`127.0.0.1:${port}`] }] })

const changes = (port: number): readonly Change[] => [
  { name: 'edited in place', make: (path) => writeFile(path, `${good(port, 'a.example.org')}\n# a comment\n`), problem: undefined },
  { name: 'cut to nothing', make: (path) => truncate(path, 0), problem: /empty/ },
  { name: 'cut in the middle', make: (path) => writeFile(path, good(port, 'a.example.org').slice(0, 40)), problem: /services\.yaml/ },
  { name: 'not UTF-8', make: (path) => writeFile(path, Buffer.from([0xff, 0xfe, 0x00])), problem: /UTF-8/ },
  {
    name: 'replaced by a directory',
    make: async (path) => {
      await rm(path, { force: true })
      await mkdir(path)
    },
    problem: /directory/,
  },
  {
    name: 'replaced by a dangling link',
    make: async (path) => {
      await rm(path, { force: true, recursive: true })
      await symlink('nowhere.yaml', path)
    },
    problem: /nowhere\.yaml/,
  },
  { name: 'removed', make: (path) => rm(path, { force: true, recursive: true }), problem: /no such file/ },
]

test('whatever happens to the services file, running requests go on, the problem is told, and the next good file counts', async (t) => {
  await using backend = await startHttpBackend('hello')
  await using serai = await startSerai({ services: good(backend.port, 'a.example.org') })
  const path = join(serai.folder, 'services.yaml')
  const load = startLoad(serai.port)
  for (const { name, make, problem } of changes(backend.port)) {
    await make(path)
    await until(async () => (problem === undefined ? (await problems(serai)).length === 0 : problem.test(await problems(serai))), { what: `the problem of a file ${name}` })
    assert.equal(((await serai.ask('/ready')).body as { ready: boolean }).ready, true, name)
    await writeFile(`${path}.new`, good(backend.port, 'a.example.org'))
    await rm(path, { force: true, recursive: true })
    await rename(`${path}.new`, path)
    await until(async () => (await problems(serai)).length === 0, { what: `no problem after a file ${name} was replaced by a good one` })
  }
  const { requests, failed } = await load.stop()
  t.diagnostic(`${requests} requests while the file changed ${2 * changes(0).length} times, ${failed.length} failed`)
  assert.deepEqual(failed, [])
  assert.ok(requests > 50)
})

async function problems(serai: Serai): Promise<string> {
  const { problems } = (await serai.ask('/api/problems')).body as { problems: unknown[] }
  return problems.length === 0 ? '' : JSON.stringify(problems)
}

function startLoad(port: number): { stop(): Promise<{ requests: number; failed: string[] }> } {
  let running = true
  let requests = 0
  const failed: string[] = []
  const client = async (): Promise<void> => {
    await using connection = await connect(port)
    while (running) {
      connection.send('GET / HTTP/1.1\r\nHost: a.example.org\r\n\r\n')
      const response = await connection.receiveResponse()
      requests++
      if (response.status !== 200) failed.push(String(response.status))
    }
  }
  const clients = Promise.all(Array.from({ length: 4 }, client))
  return {
    async stop() {
      running = false
      await clients
      return { requests, failed }
    },
  }
}
