// docs/operations.md lists every line of the program's log, and none that it no longer says.
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

const levels = ['debug', 'info', 'warn', 'error', 'fatal']

test('every line of the log is in docs/operations.md with its level, and no other', () => {
  const said = globSync('src/{control,commands,catalog}/**/*.ts').flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/\blog\.(\w+)\(\{[^]*?\}, '([^']+)'\)/g)].filter(([, level]) => levels.includes(level!)).map(([, level, message]) => `${message} | ${level}`))
  const listed = [...readFileSync('docs/operations.md', 'utf8').matchAll(/^\| `([^`]+)` \| (\w+) \|/gm)].filter(([, , level]) => levels.includes(level!)).map(([, message, level]) => `${message} | ${level}`)
  assert.deepEqual([...new Set(said)].sort(), listed.toSorted())
})
