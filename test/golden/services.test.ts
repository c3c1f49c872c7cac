// Each pair of golden/services: a services file, and the instances and problems that it must be read as.
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { readServicesFile } from '#src/catalog/services-file.ts'

const folder = new URL('services/', import.meta.url)

for (const name of (await readdir(folder)).filter((each) => each.endsWith('.yaml')).sort()) {
  test(`services file: ${name.replace('.yaml', '')}`, async () => {
    const reading = readServicesFile(await readFile(new URL(name, folder)), 'services.yaml')
    const expect: unknown = JSON.parse(await readFile(new URL(name.replace('.yaml', '.json'), folder), 'utf8'))
    const { kind, problems } = reading
    assert.deepEqual({
      kind,
      instances: reading.kind === 'failed' ? [] : reading.instances.map(({ id, host, port, tags, health, where }) => [id, host, port, health, tags.join(' '), where].join(' | ')),
      problems: problems.map(({ service, reason, where }) => `${where} [${service}] ${reason}`),
    }, expect)
  })
}
