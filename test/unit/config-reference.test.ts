// The files that are made from the config's schema are current, and the example shows the defaults.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { loadConfig } from '#src/config/load.ts'
import { renderReference, renderSchema } from '#src/config/reference.ts'

const update = process.env['UPDATE'] === '1'
const howTo = 'is not what the schema makes of it; renew it with: UPDATE=1 node_modules/.bin/node --test test/unit/config-reference.test.ts'
const read = (path: string): string => readFileSync(path, 'utf8')

function holdCurrent(path: string, made: string): void {
  if (update) writeFileSync(path, made)
  assert.ok(read(path) === made, `${path} ${howTo}`)
}

test('config/serai.schema.json is current', () => {
  holdCurrent('config/serai.schema.json', renderSchema())
})

test('the table of keys in docs/config.md is current', () => {
  holdCurrent('docs/config.md', renderReference(read('docs/config.md')))
})

test('the example config has the defaults as its values', () => {
  const example = loadConfig({ file: 'config/serai.example.yaml', env: {} })
  const bare = loadConfig({ file: 'config/serai.example.yaml', text: '', env: {} })
  assert.ok(example.ok && bare.ok)
  assert.match(example.config.catalogs.file?.path ?? '', /config\/services\.example\.yaml$/)
  assert.deepEqual({ ...example.config, catalogs: {} }, { ...bare.config, catalogs: {} })
})

test('the example config names every key that has a default', () => {
  const written = read('config/serai.example.yaml')
  for (const [, path] of read('docs/config.md').matchAll(/^\| `([\w.]+)` \|/gm)) {
    const key = path!.split('.').at(-1)!
    assert.match(written, new RegExp(`\\b${key}:`), `${path} is not in config/serai.example.yaml`)
  }
})
