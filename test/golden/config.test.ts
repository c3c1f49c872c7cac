// Every file in test/golden/config is a case: a config with variables and flags, and what is printed of its mistakes.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseArguments } from '#src/commands/command.ts'
import { loadConfig } from '#src/config/load.ts'
import { formatMistakes } from '#src/config/mistake.ts'

// A case: lines `NAME=value` and `--flag=value`, then MARK, the config, MARK, and what is printed ("good" when nothing is wrong).
const MARK = '\n=====\n'
const folder = new URL('config/', import.meta.url)

for (const name of readdirSync(folder)) {
  test(`config: ${name}`, () => {
    const path = new URL(name, folder)
    const [given, text, printed] = `\n${readFileSync(path, 'utf8')}`.split(MARK)
    assert.ok(given !== undefined && text !== undefined, `${name} has no two lines "====="`)
    const lines = given.split('\n').filter((line) => line !== '')
    const env: Record<string, string> = {}
    for (const line of lines.filter((each) => !each.startsWith('-'))) env[line.slice(0, line.indexOf('='))] = line.slice(line.indexOf('=') + 1)
    const { config: flags } = parseArguments(lines.filter((line) => line.startsWith('-')), {}, true)
    const loaded = loadConfig({ file: 'serai.yaml', text, env, flags })
    const output = loaded.ok ? 'good' : formatMistakes(loaded.mistakes)
    if (process.env['UPDATE'] === '1') writeFileSync(path, [['', ...lines].join('\n'), text, `${output}\n`].join(MARK).slice(1))
    else assert.equal(`${output}\n`, printed, 'renew after looking at it: UPDATE=1 node_modules/.bin/node --test test/golden/config.test.ts')
  })
}
