// What every catalog must do, whatever it reads: one suite, run against each implementation.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import type { Catalog, Instance, Reading } from '#src/catalog/catalog.ts'
import { createFileCatalog } from '#src/catalog/file.ts'
import { makeFolder } from '#test/support/folder.ts'
import { makeJob } from '#test/support/nomad-job.ts'
import { startNomad } from '#test/support/nomad-catalog.ts'
import { DEADLINE_MS, until, within } from '#test/support/until.ts'

/** A service as every registry can hold it. */
interface Registered {
  readonly name: string
  readonly port: number
  readonly tags: readonly string[]
}

/** A registry on loopback, and the catalog that reads it. */
interface Registry extends AsyncDisposable {
  readonly catalog: Catalog
  /** Makes these the registered services, in this order. */
  register(services: readonly Registered[]): Promise<void>
  /** From now on it cannot be read, or not be understood. */
  fail(): Promise<void>
}

const registries: Readonly<Record<string, () => Promise<Registry>>> = {
  async file() {
    const folder = await makeFolder()
    const path = folder.file('services.yaml')
    return {
      catalog: createFileCatalog({ path, pollMs: 100 }),
      async register(services) {
        const list = services.map(({ name, port, tags }) => ({ name, tags, instances: [`127.0.0.1:${port}`] }))
        await folder.write('services.yaml', JSON.stringify({ services: list }, null, 1))
      },
      async fail() { await folder.write('services.yaml', '{') },
      [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
    }
  },

  async nomad() {
    const subject = await startNomad({ wants: () => true, connect: async () => Promise.resolve('') })
    const running = new Set<string>()
    return {
      catalog: subject.catalog,
      async register(services) {
        if (subject.gateway.mode !== 'pass') subject.gateway.mode = 'pass'
        for (const { name, port, tags } of services) {
          subject.nomad.run(makeJob(name, { mock: true, tags, service: { PortLabel: String(port) } }))
          running.add(name)
        }
        for (const name of [...running].filter((each) => !services.some((service) => service.name === each))) {
          subject.nomad.stop(name, { purge: true })
          running.delete(name)
        }
        await until(() => isDeepStrictEqual(subject.nomad.cluster.store.services.filter(() => true).map(({ ServiceName, Port }) => `${ServiceName}:${Port}`).sort(),
          services.map(({ name, port }) => `${name}:${port}`).sort()), { what: 'the registry to show it' })
      },
      async fail() { subject.gateway.mode = 'refuse' },
      [Symbol.asyncDispose]: () => subject[Symbol.asyncDispose](),
    }
  },
}

const web: Registered = { name: 'web', port: 9001, tags: ['serai.host=a.example.org', 'other'] }
const api: Registered = { name: 'api', port: 9002, tags: ['serai.host=b.example.org'] }

/** Reads a catalog step by step; everything it waits for has a deadline. */
function follow(catalog: Catalog): { next(what: string): Promise<Reading>; stop(): Promise<void>; [Symbol.asyncDispose](): Promise<void> } {
  const abort = new AbortController()
  const readings = catalog.readings(abort.signal)[Symbol.asyncIterator]()
  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> => stopped ??= (async () => {
    const waiting = readings.next()
    abort.abort()
    assert.equal((await within(waiting, DEADLINE_MS, () => 'the end of the readings')).done, true)
  })()
  return {
    async next(what) {
      const { done, value } = await within(readings.next(), DEADLINE_MS, () => what) as IteratorResult<Reading, undefined>
      assert.ok(done !== true, `the readings ended instead of: ${what}`)
      return value
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

function instancesOf(reading: Reading): readonly Instance[] {
  assert.equal(reading.kind, 'read', JSON.stringify(reading.problems))
  return reading.kind === 'read' ? reading.instances.filter(({ health }) => health !== 'leaving') : []
}
const brief = (reading: Reading): string[] => instancesOf(reading).map(({ service, host, port, tags }) => `${service} ${host}:${port} ${tags.join(' ')}`).sort()

/** Reads until a reading says this: registries change one service after the other, and learn of health in between. Returns all of them. */
async function saying(readings: ReturnType<typeof follow>, expected: readonly string[]): Promise<Reading[]> {
  const all: Reading[] = []
  do all.push(await readings.next(`a reading with ${expected.join(', ')}; the last had ${all.length === 0 ? 'nothing' : brief(all.at(-1)!).join(', ')}`))
  while (!isDeepStrictEqual(brief(all.at(-1)!), expected))
  return all
}

for (const [name, start] of Object.entries(registries)) {
  describe(`the ${name} catalog`, () => {
    test('has the name that service keys end with', async () => {
      await using registry = await start()
      assert.equal(registry.catalog.name, name)
    })

    test('reads what is registered', async () => {
      await using registry = await start()
      await registry.register([web, api])
      await using readings = follow(registry.catalog)
      assert.deepEqual(brief(await readings.next('the first reading')), ['api 127.0.0.1:9002 serai.host=b.example.org', 'web 127.0.0.1:9001 serai.host=a.example.org other'])
    })

    test('tells nothing registered from nothing read', async () => {
      await using registry = await start()
      await registry.register([])
      await using readings = follow(registry.catalog)
      assert.deepEqual(await readings.next('the first reading'), { kind: 'read', instances: [], problems: [] })
      await registry.fail()
      const failure = await readings.next('the failure')
      assert.equal(failure.kind, 'failed')
      assert.ok(failure.problems.length > 0)
      for (const { service, reason, where } of failure.problems) {
        assert.equal(service, `@${name}`)
        assert.ok(reason !== '' && where !== '')
      }
    })

    test('is read anew for each change, also after a failure, and by all who follow it', async () => {
      await using registry = await start()
      await registry.fail()
      await using one = follow(registry.catalog)
      await using two = follow(registry.catalog)
      for (const readings of [one, two]) assert.equal((await readings.next('the failure')).kind, 'failed')
      for (const services of [[web], [web, api], [{ ...web, port: 9003 }], []]) {
        await registry.register(services)
        for (const readings of [one, two]) {
          await saying(readings, services.map(({ name: service, port, tags }) => `${service} 127.0.0.1:${port} ${tags.join(' ')}`).sort())
        }
      }
    })

    test('gives ids that are unique, and stay with their instances', async () => {
      await using registry = await start()
      await registry.register([web, api])
      await using readings = follow(registry.catalog)
      const before = new Map(instancesOf(await readings.next('the first reading')).map(({ id, service }) => [service, id]))
      assert.equal(new Set(before.values()).size, 2)
      await registry.register([{ name: 'more', port: 9004, tags: [] }, api, { ...web, tags: ['serai.host=c.example.org'] }])
      const changed = await saying(readings, ['api 127.0.0.1:9002 serai.host=b.example.org', 'more 127.0.0.1:9004 ', 'web 127.0.0.1:9001 serai.host=c.example.org'])
      const after = new Map(instancesOf(changed.at(-1)!).map(({ id, service }) => [service, id]))
      assert.deepEqual([after.get('web'), after.get('api')], [before.get('web'), before.get('api')])
    })

    test('says nothing while nothing changes', async () => {
      await using registry = await start()
      await registry.register([web])
      await using readings = follow(registry.catalog)
      const first = await readings.next('the first reading')
      await registry.register([web])
      await registry.register([web])
      await registry.register([api])
      const all = [first, ...await saying(readings, ['api 127.0.0.1:9002 serai.host=b.example.org'])]
      for (const [at, reading] of all.entries()) assert.notDeepStrictEqual(all[at + 1], reading, 'a reading that says what the one before it said')
    })

    test('ends when it is told to, before and after its first reading', async () => {
      await using registry = await start()
      await registry.register([web])
      const readings = follow(registry.catalog)
      await readings.next('the first reading')
      await readings.stop()
      for await (const reading of registry.catalog.readings(AbortSignal.abort())) assert.fail(JSON.stringify(reading))
    })
  })
}
