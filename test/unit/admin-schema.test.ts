// docs/admin.schema.json is what src/admin/schema.ts makes.
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { adminSchema } from '#src/admin/schema.ts'

const file = new URL('../../docs/admin.schema.json', import.meta.url)

test('the published schema is the current one', async () => {
  if (process.env['UPDATE'] === '1') await writeFile(file, adminSchema())
  assert.equal(await readFile(file, 'utf8'), adminSchema(), 'docs/admin.schema.json is old; renew it with: UPDATE=1 node_modules/.bin/node --test test/unit/admin-schema.test.ts')
})
