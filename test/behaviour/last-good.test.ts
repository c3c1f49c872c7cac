// What a node serves when it starts while its registry is down: the last good readings from disk, as far as they can still be believed.
import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Catalog, Instance, Reading } from '#src/catalog/catalog.ts'
import { LastGood } from '#src/catalog/last-good.ts'
import { createClaims } from '#src/control/claims.ts'
import { systemClock } from '#src/registry/clock.ts'
import { TableSource } from '#src/control/table-source.ts'
import { startBackend } from '#test/support/backend.ts'
import { makeFolder, type Folder } from '#test/support/folder.ts'
import { until } from '#test/support/until.ts'

const policy = { retryAttempts: 2, retryTimeoutMs: 1, headTimeoutMs: 1, bodyTimeoutMs: 1, totalTimeoutMs: 0, upgrades: [], ejectStatuses: [] }
const instance = (address: string, given: Partial<Instance> = {}): Instance => {
  const [host = '', port] = address.split(':')
  return { id: address, service: 'web', namespace: 'default', host, port: Number(port), tags: ['serai.host=a.example.org'], health: 'passing', where: 'here', ...given }
}

/** A catalog that says what the test tells it to. */
class Script implements Catalog {
  readonly name = 'script'
  readonly reusesAddresses: boolean
  readonly #said: Reading[] = []
  #wake = Promise.withResolvers<void>()

  constructor(reusesAddresses: boolean) {
    this.reusesAddresses = reusesAddresses
  }

  read(...instances: Instance[]): void {
    this.#say({ kind: 'read', instances, problems: [] })
  }

  fail(): void {
    this.#say({ kind: 'failed', problems: [{ service: '@script', router: '', tag: '', reason: 'nobody answers', where: 'script' }] })
  }

  #say(reading: Reading): void {
    this.#said.push(reading)
    this.#wake.resolve()
  }

  async *readings(signal: AbortSignal): AsyncGenerator<Reading, void, undefined> {
    signal.addEventListener('abort', () => this.#wake.resolve())
    while (!signal.aborted) {
      const next = this.#said.shift()
      if (next !== undefined) yield next
      else {
        await this.#wake.promise
        this.#wake = Promise.withResolvers()
      }
    }
  }
}

interface Control extends AsyncDisposable {
  readonly source: TableSource
  readonly catalog: Script
  readonly logs: readonly string[]
  readonly addresses: () => string[]
  readonly complete: () => boolean
}

function startControl(path: string, { reuses = true, here = [], maxAgeMs = 3_600_000 }: { reuses?: boolean; here?: string[]; maxAgeMs?: number } = {}): Control {
  const logs: string[] = []
  const say = (fields: object, message: string): void => void logs.push(`${message} ${JSON.stringify(fields)}`)
  const log = { info: say, warn: say, error: say }
  const lastGood = new LastGood({ path, maxAgeMs, log })
  const catalog = new Script(reuses)
  const abort = new AbortController()
  const source = new TableSource({
    catalogs: [catalog], lastGood, nodeAddresses: here, clock: systemClock, log,
    assembly: { prefix: 'serai', defaultHost: '', defaultPolicy: policy, defaultBalance: 'p2c', ownAddresses: [], claims: createClaims({ claims: undefined, shared: [], operators: [] }) },
    publish: () => undefined, serviceAdded: () => undefined, serviceRemoved: () => undefined,
  })
  const following = source.follow(abort.signal)
  return {
    source, catalog, logs,
    addresses: () => [...source.publisher.snapshot.services.values()].flatMap(({ endpoints }) => endpoints.map(({ address }) => address)),
    complete: () => source.publisher.snapshot.complete,
    async [Symbol.asyncDispose]() {
      abort.abort()
      await following
      await lastGood.close()
    },
  }
}

/** A state directory whose last good reading has these instances. */
async function remember(folder: Folder, ...instances: Instance[]): Promise<string> {
  const path = folder.file('state')
  await using control = startControl(path)
  control.catalog.read(...instances)
  await until(() => control.complete(), { what: 'the reading' })
  return path
}

test('it is written for the owner alone, versioned, and replaced whole', async () => {
  await using folder = await makeFolder()
  const path = await remember(folder, instance('10.0.0.1:80'))
  const file = join(path, 'last-good.json')
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.equal(statSync(path).mode & 0o777, 0o700)
  const kept = JSON.parse(readFileSync(file, 'utf8')) as { version: number; catalogs: Record<string, { instances: Instance[] }> }
  assert.equal(kept.version, 1)
  assert.deepEqual(kept.catalogs['script']?.instances, [instance('10.0.0.1:80')])
})

test('a start while the catalog fails serves what still listens, and is complete', async () => {
  await using folder = await makeFolder()
  await using alive = await startBackend()
  await using dead = await startBackend()
  await dead.kill()
  const path = await remember(folder, instance(alive.address), instance(dead.address))
  await using control = startControl(path)
  control.catalog.fail()
  await until(() => control.complete(), { what: 'the restored table' })
  assert.deepEqual(control.addresses(), [alive.address])
  assert.equal(control.source.catalogs[0]?.state, 'restored')
  assert.ok(control.logs.some((line) => /serving what was known before the restart.*"leftOut":1/.test(line)), control.logs.join('\n'))
})

test('a catalog that only keeps silent is waited for, then the same', async () => {
  await using folder = await makeFolder()
  await using alive = await startBackend()
  const path = await remember(folder, instance(alive.address))
  await using control = startControl(path)
  assert.equal(control.complete(), false)
  await until(() => control.complete(), { what: 'the restored table' })
  assert.deepEqual(control.addresses(), [alive.address])
})

test('a good reading goes before the disk, also one that comes while the disk is being tried; an empty one is an answer', async () => {
  await using folder = await makeFolder()
  await using alive = await startBackend()
  const path = await remember(folder, instance(alive.address))
  await using control = startControl(path)
  control.catalog.fail()
  control.catalog.read()
  await until(() => control.complete(), { what: 'the reading' })
  await until(() => control.addresses().length === 0, { what: 'the empty table' })
  assert.equal(control.source.catalogs[0]?.state, 'current')
})

test("this node's own addresses are left out where addresses are handed out anew, kept where an operator wrote them", async () => {
  await using folder = await makeFolder()
  await using alive = await startBackend()
  const path = await remember(folder, instance(alive.address))
  await using reused = startControl(path, { here: ['127.0.0.1'] })
  reused.catalog.fail()
  await until(() => reused.complete(), { what: 'the restored table' })
  assert.deepEqual(reused.addresses(), [])
  await using written = startControl(path, { here: ['127.0.0.1'], reuses: false })
  written.catalog.fail()
  await until(() => written.complete(), { what: 'the restored table' })
  assert.deepEqual(written.addresses(), [alive.address])
})

test('what is older than state.maxAge is not used', async () => {
  await using folder = await makeFolder()
  await using alive = await startBackend()
  const path = await remember(folder, instance(alive.address))
  const file = join(path, 'last-good.json')
  writeFileSync(file, readFileSync(file, 'utf8').replace(/"readAt":\d+/, `"readAt":${Date.now() - 61_000}`))
  await using control = startControl(path, { maxAgeMs: 60_000 })
  control.catalog.fail()
  await until(() => control.source.catalogs[0]?.errors === 1, { what: 'the failed reading' })
  assert.equal(control.complete(), false)
  assert.deepEqual(control.addresses(), [])
})

const unusable: Readonly<Record<string, string>> = {
  'not JSON': '{"version":1,"catalogs":',
  'another version': '{"version":2,"catalogs":{}}',
  'a port that is none': '{"version":1,"catalogs":{"script":{"readAt":1,"instances":[{"id":"a","service":"web","namespace":"default","host":"10.0.0.1","port":99999,"tags":[],"health":"passing","where":"x"}]}}}',
  'no host': '{"version":1,"catalogs":{"script":{"readAt":1,"instances":[{"id":"a","service":"web","namespace":"default","host":"","port":80,"tags":[],"health":"passing","where":"x"}]}}}',
  'a list': '[]',
}
for (const [what, text] of Object.entries(unusable)) {
  test(`a file that holds ${what} is set aside, said, and replaced by the next good reading`, async () => {
    await using folder = await makeFolder()
    const path = folder.file('state')
    mkdirSync(path)
    writeFileSync(join(path, 'last-good.json'), text)
    {
      await using control = startControl(path)
      control.catalog.fail()
      await until(() => control.source.catalogs[0]?.errors === 1, { what: 'the failed reading' })
      assert.equal(control.complete(), false)
      assert.equal(readFileSync(join(path, 'last-good.json.unreadable'), 'utf8'), text)
      assert.equal(control.logs.filter((line) => /last good snapshot on disk cannot be used/.test(line)).length, 1)
      control.catalog.read(instance('10.0.0.1:80'))
      await until(() => control.complete(), { what: 'the good reading' })
    }
    assert.match(readFileSync(join(path, 'last-good.json'), 'utf8'), /10\.0\.0\.1/)
  })
}

test('while the catalog is stale one refused connection removes an endpoint; the next good reading brings it back', async () => {
  await using folder = await makeFolder()
  await using control = startControl(folder.file('state'))
  const [one, two] = [instance('10.0.0.1:80'), instance('10.0.0.2:80')]
  control.catalog.read(one, two)
  await until(() => control.addresses().length === 2, { what: 'both' })
  control.source.refused('10.0.0.1:80')
  assert.equal(control.addresses().length, 2, 'a current catalog is believed')
  control.catalog.fail()
  await until(() => control.source.catalogs[0]?.state === 'stale', { what: 'the failed reading' })
  control.source.refused('10.0.0.1:80')
  await until(() => control.addresses().length === 1, { what: 'the removal' })
  assert.deepEqual(control.addresses(), ['10.0.0.2:80'])
  control.catalog.read(one, two)
  await until(() => control.addresses().length === 2, { what: 'its return' })
})

test('what an operator wrote down is not removed for a refused connection', async () => {
  await using folder = await makeFolder()
  await using control = startControl(folder.file('state'), { reuses: false })
  control.catalog.read(instance('10.0.0.1:80'))
  await until(() => control.complete(), { what: 'the reading' })
  control.catalog.fail()
  await until(() => control.source.catalogs[0]?.state === 'stale', { what: 'the failed reading' })
  control.source.refused('10.0.0.1:80')
  control.catalog.fail()
  await until(() => control.source.catalogs[0]?.errors === 2, { what: 'one more' })
  assert.deepEqual(control.addresses(), ['10.0.0.1:80'])
})

test('a state directory that cannot be written is said once and harms nothing', async () => {
  await using folder = await makeFolder()
  // A file where the directory should be: not even the superuser can write into it.
  const path = await folder.write('state', 'in the way')
  const control = startControl(path)
  const lastGood = (line: string): boolean => /cannot be kept on disk/.test(line)
  control.catalog.read(instance('10.0.0.1:80'))
  await until(() => control.logs.some(lastGood), { what: 'the complaint' })
  control.catalog.read(instance('10.0.0.2:80'))
  await until(() => control.addresses()[0] === '10.0.0.2:80', { what: 'the next reading' })
  await control[Symbol.asyncDispose]()
  assert.equal(control.logs.filter(lastGood).length, 1)
  assert.equal(readFileSync(path, 'utf8'), 'in the way')
  assert.equal(existsSync(`${path}.unreadable`), false)
})

test('a file that may not be read is no crash', { skip: process.getuid?.() === 0 ? 'the superuser may read everything' : false }, async () => {
  await using folder = await makeFolder()
  const path = await remember(folder, instance('10.0.0.1:80'))
  chmodSync(join(path, 'last-good.json'), 0)
  await using control = startControl(path)
  control.catalog.read(instance('10.0.0.2:80'))
  await until(() => control.complete(), { what: 'the reading' })
})
