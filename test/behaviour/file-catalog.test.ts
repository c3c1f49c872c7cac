// The file catalog on a real file system: every way in which a file is changed, replaced, broken and repaired.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { watch } from 'node:fs'
import { appendFile, chmod, mkdir, open, rename, rm, rmdir, symlink, truncate, unlink, utimes, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import type { Reading } from '#src/catalog/catalog.ts'
import { createFileCatalog } from '#src/catalog/file.ts'
import type { FileCatalogOptions } from '#src/catalog/file.ts'
import { makeFolder } from '#test/support/folder.ts'
import type { Folder } from '#test/support/folder.ts'
import { until } from '#test/support/until.ts'

/** Polls so seldom that what is seen was noticed. */
const NEVER_MS = 3_600_000

const services = (...ports: readonly number[]): string => `services:\n  - name: web\n    instances: [${ports.map((port) => `127.0.0.1:${port}`).join(', ')}]\n`

interface Followed extends AsyncDisposable {
  /** As `read 1 2` or `failed: reason`. */
  readonly seen: string[]
  /** Waits for the newest reading to match. */
  shows(expect: string | RegExp): Promise<void>
}

function follow(options: FileCatalogOptions): Followed {
  const abort = new AbortController()
  const seen: string[] = []
  const done = (async () => {
    for await (const reading of createFileCatalog(options).readings(abort.signal)) seen.push(brief(reading))
  })()
  return {
    seen,
    async shows(expect) {
      const matches = (text: string): boolean => (typeof expect === 'string' ? text === expect : expect.test(text))
      await until(() => matches(seen.at(-1) ?? ''), { what: `a reading like ${String(expect)}; seen: ${seen.join(' · ')}` })
    },
    async [Symbol.asyncDispose]() {
      abort.abort()
      await done
    },
  }
}

const brief = (reading: Reading): string => reading.kind === 'read'
  ? ['read', ...reading.instances.map(({ port }) => port)].join(' ')
  : `failed: ${reading.problems.map(({ reason, where }) => `${where.replace(/.*\//, '')} ${reason}`).join('; ')}`

async function folderWith(content: string): Promise<Folder & { readonly services: string }> {
  const folder = await makeFolder()
  return { ...folder, services: await folder.write('services.yaml', content), [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() }
}

test('an edit in place, a replacement, a removal and a return are noticed, again and again', async () => {
  await using folder = await folderWith(services(1))
  await using catalog = follow({ path: folder.services, pollMs: NEVER_MS })
  await catalog.shows('read 1')
  for (const round of [10, 20, 30]) {
    await writeFile(folder.services, services(round))
    await catalog.shows(`read ${round}`)
    await folder.write('services.yaml', services(round, round + 1))
    await catalog.shows(`read ${round} ${round + 1}`)
    await unlink(folder.services)
    await catalog.shows('failed: services.yaml there is no such file')
    await folder.write('services.yaml', services(round, round + 1))
    await catalog.shows(`read ${round} ${round + 1}`)
  }
})

test('a file that is truncated and written anew in pieces is not read in between, if the writer does not rest', async () => {
  await using folder = await folderWith(services(1))
  await using catalog = follow({ path: folder.services, pollMs: NEVER_MS, debounceMs: 200 })
  await catalog.shows('read 1')
  await truncate(folder.services)
  const list = Array.from({ length: 50 }, (_, at) => at + 1)
  await appendFile(folder.services, 'services:\n  - name: web\n    instances:\n')
  for (const port of list) await appendFile(folder.services, `      - 127.0.0.1:${port}\n`)
  await catalog.shows(`read ${list.join(' ')}`)
  assert.equal(catalog.seen.length, 2, catalog.seen.join(' · '))
})

test('a file that stays half-written is a failure with its line, until it is whole', async () => {
  await using folder = await folderWith(services(1))
  await using catalog = follow({ path: folder.services, pollMs: NEVER_MS })
  await catalog.shows('read 1')
  await writeFile(folder.services, services(1, 2).slice(0, -10))
  await catalog.shows(/^failed: services\.yaml:3:\d+ .*must be sufficiently indented and end with a \]/)
  await truncate(folder.services)
  await catalog.shows(/^failed: services\.yaml the file is empty/)
  await writeFile(folder.services, 'services: []\n')
  await catalog.shows('read')
})

test('a directory, a dangling link, a circle of links and a pipe in its place are failures that name it, and none stops it', async () => {
  await using folder = await folderWith(services(1))
  await using catalog = follow({ path: folder.services, pollMs: NEVER_MS })
  await catalog.shows('read 1')
  await unlink(folder.services)
  await mkdir(folder.services)
  await catalog.shows('failed: services.yaml expected a file, found a directory')
  await rmdir(folder.services)
  await symlink('gone.yaml', folder.services)
  await catalog.shows('failed: services.yaml it is a link to gone.yaml, which does not exist')
  await unlink(folder.services)
  await symlink('services.yaml', folder.services)
  await catalog.shows('failed: services.yaml its links lead round in a circle')
  await unlink(folder.services)
  execFileSync('mkfifo', [folder.services])
  await catalog.shows('failed: services.yaml expected a file, found something else')
  await folder.write('services.yaml', services(2))
  await catalog.shows('read 2')
})

test('a link whose target is replaced, as in a mounted volume, is followed', async () => {
  await using folder = await makeFolder()
  for (const version of [1, 2]) {
    await mkdir(folder.file(`..v${version}`))
    await writeFile(folder.file(`..v${version}/services.yaml`), services(version))
  }
  await symlink('..v1', folder.file('..data'))
  await symlink('..data/services.yaml', folder.file('services.yaml'))
  await using catalog = follow({ path: folder.file('services.yaml'), pollMs: NEVER_MS })
  await catalog.shows('read 1')
  await symlink('..v2', folder.file('..data_tmp'))
  await rename(folder.file('..data_tmp'), folder.file('..data'))
  await catalog.shows('read 2')
})

test('a change behind a link to another directory is found by polling', async () => {
  await using folder = await folderWith(services(1))
  await using elsewhere = await makeFolder()
  await symlink(folder.services, elsewhere.file('services.yaml'))
  await using catalog = follow({ path: elsewhere.file('services.yaml'), pollMs: 20 })
  await catalog.shows('read 1')
  await folder.write('services.yaml', services(2))
  await catalog.shows('read 2')
})

test('its directory may be missing at first, be moved away and be made anew', async () => {
  await using folder = await makeFolder()
  const path = folder.file('sub/services.yaml')
  await using catalog = follow({ path, pollMs: 20 })
  await catalog.shows('failed: services.yaml there is no such file')
  await mkdir(folder.file('sub'))
  await writeFile(path, services(1))
  await catalog.shows('read 1')
  await rename(folder.file('sub'), folder.file('old'))
  await catalog.shows('failed: services.yaml there is no such file')
  await mkdir(folder.file('sub'))
  await writeFile(path, services(2))
  await catalog.shows('read 2')
  await rm(folder.file('sub'), { recursive: true })
  await writeFile(folder.file('sub'), '')
  await catalog.shows('failed: services.yaml a part of its path is not a directory')
})

test('a new edit is noticed after its directory was replaced, without waiting for the next poll', async () => {
  await using folder = await makeFolder()
  await mkdir(folder.file('sub'))
  const path = folder.file('sub/services.yaml')
  await writeFile(path, services(1))
  let watches = 0
  const counting: FileCatalogOptions['watch'] = (...args) => {
    watches++
    return watch(...args)
  }
  await using catalog = follow({ path, pollMs: 300, watch: counting })
  await catalog.shows('read 1')
  await rename(folder.file('sub'), folder.file('old'))
  await mkdir(folder.file('sub'))
  await writeFile(path, services(2))
  await catalog.shows('read 2')
  await until(() => watches >= 2, { what: 'a watch on the new directory' })
})

test('an edit that keeps size and time is found, if it is made where it is noticed', async () => {
  await using folder = await folderWith(services(1))
  const long = new Date(Date.now() - 60_000)
  await utimes(folder.services, long, long)
  await using catalog = follow({ path: folder.services, pollMs: NEVER_MS })
  await catalog.shows('read 1')
  await writeFile(folder.services, services(2))
  await utimes(folder.services, long, long)
  await catalog.shows('read 2')
})

test('a file without permission is a failure', { skip: process.getuid?.() === 0 ? 'the superuser may read everything' : false }, async () => {
  await using folder = await folderWith(services(1))
  await chmod(folder.services, 0)
  await using catalog = follow({ path: folder.services })
  await catalog.shows('failed: services.yaml no permission to read it')
})

test('a file of more than 4 MiB is not read', async () => {
  await using folder = await folderWith(services(1))
  await using file = await open(folder.services, 'w')
  await file.truncate(4 * 1_048_576 + 1)
  await using catalog = follow({ path: folder.services })
  await catalog.shows('failed: services.yaml larger than 4 MiB')
})

test('where the system refuses to watch, polling finds the change, and it is said once', async () => {
  await using folder = await folderWith(services(1))
  const said: string[] = []
  const refuse = (): never => {
    throw Object.assign(new Error('ENOSPC: System limit for number of file watchers reached'), { code: 'ENOSPC' })
  }
  await using catalog = follow({ path: folder.services, pollMs: 20, log: { warn: (message) => { said.push(message) } }, watch: refuse })
  await catalog.shows('read 1')
  for (const port of [2, 3, 4]) {
    await folder.write('services.yaml', services(port))
    await catalog.shows(`read ${port}`)
  }
  assert.equal(said.length, 1)
  assert.match(said[0] ?? '', /services\.yaml: changes are noticed only every 20 ms, because its directory cannot be watched: ENOSPC/)
})

test('a watch that breaks is renewed by the next poll', async () => {
  await using folder = await folderWith(services(1))
  const watchers: ReturnType<typeof watch>[] = []
  await using catalog = follow({ path: folder.services, pollMs: 50, watch: (...args) => {
    const watcher = watch(...args)
    watchers.push(watcher)
    return watcher
  } })
  await catalog.shows('read 1')
  watchers[0]?.emit('error', Object.assign(new Error('EMFILE'), { code: 'EMFILE' }))
  await until(() => watchers.length >= 2, { what: 'another watch' })
  await folder.write('services.yaml', services(2))
  await catalog.shows('read 2')
})

test('nothing is left open at the end', async () => {
  await using folder = await folderWith(services(1))
  const watching = (): number => process.getActiveResourcesInfo().filter((name) => name.startsWith('FSEvent')).length
  const before = watching()
  {
    await using catalog = follow({ path: folder.services })
    await catalog.shows('read 1')
    assert.equal(watching(), before + 1)
  }
  await until(() => watching() === before, { what: 'the end of the watch' })
})
