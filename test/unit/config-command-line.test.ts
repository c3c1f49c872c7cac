// The command line as a user has it: a real process, its output and its exit code.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { parseArguments, UsageError } from '#src/commands/command.ts'

const folder = mkdtempSync(join(tmpdir(), 'serai-cli-'))
after(() => rmSync(folder, { recursive: true }))

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function serai(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const { PATH, HOME } = process.env
  return new Promise((resolve) => {
    execFile('node_modules/.bin/node', ['src/main.ts', ...args], { env: { PATH, HOME, ...env }, timeout: 20_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

test('a config with five mistakes prints five, with positions, and exits with 2', async () => {
  const file = join(folder, 'five.yaml')
  writeFileSync(file, [
    'listeners:', '  http: { address: 8080 }', 'client:', '  head: 10 apples', '  keepalive: 75s', 'workers: 900', 'middlewares: {}', '',
  ].join('\n'))
  const { code, stdout, stderr } = await serai(['validate', file])
  assert.equal(code, 2)
  assert.equal(stdout, '')
  assert.deepEqual(stderr.split('\n'), [
    `${file}:2:20  listeners.http.address: 8080 is not an address to listen on (expected an address such as :80, 127.0.0.1:80, [::1]:80)`,
    `${file}:4:9  client.head: "10 apples" is not a duration (expected e.g. 10s, 250ms, 1m30s)`,
    `${file}:5:3  client.keepalive: is not a known key (did you mean keepAlive?)`,
    `${file}:6:10  workers: 900 is out of range (expected auto, or 1 to 64)`,
    `${file}:7:1  middlewares: is not built yet; leave it out`,
    '5 mistakes',
    '',
  ])
})

test('a good config prints where it would listen; variables and flags count', async () => {
  const file = join(folder, 'good.yaml')
  writeFileSync(file, 'health: { address: ":9081" }\n')
  const { code, stdout } = await serai(['validate', file, '--listeners.http.address', ':8080'], { SERAI_ADMIN_ADDRESS: '[::1]:9000' })
  assert.equal(code, 0)
  assert.equal(stdout, `${file} is good; it would listen on: http :8080, admin [::1]:9000, health :9081\n`)
})

for (const { args, code, stdout, stderr } of [
  { args: ['--version'], code: 0, stdout: /^serai \d+\.\d+\.\d+\n$/, stderr: /^$/ },
  { args: ['validate', '--help'], code: 0, stdout: /^serai validate: check a config[^]*serai validate FILE/, stderr: /^$/ },
  { args: ['validat'], code: 2, stdout: /^$/, stderr: /^serai: "validat" is not a command \(did you mean validate\?\); serai --help lists them\n$/ },
  { args: ['constructor'], code: 2, stdout: /^$/, stderr: /is not a command; serai --help/ },
  { args: ['validate'], code: 2, stdout: /^$/, stderr: /^serai validate: expected one FILE, found 0\n\nserai validate FILE/ },
  { args: ['validate', '--bogus', 'x'], code: 2, stdout: /^$/, stderr: /^serai validate: Unknown option '--bogus'/ },
]) {
  test(`serai ${args.join(' ')}: exit code ${code}`, async () => {
    const ended = await serai(args)
    assert.equal(ended.code, code)
    assert.match(ended.stdout, stdout)
    assert.match(ended.stderr, stderr)
  })
}

test('--help lists every command, and no command is worse: a usage error', async () => {
  const [asked, empty] = await Promise.all([serai(['--help']), serai([])])
  assert.equal(asked.code, 0)
  for (const name of ['run', 'demo', 'validate', 'routes', 'explain']) assert.match(asked.stdout, new RegExp(`^  ${name} +\\S`, 'm'))
  assert.equal(empty.code, 2)
  assert.equal(empty.stderr, asked.stdout)
})

test('arguments: own flags, config keys in both forms, positionals', () => {
  const own = { config: { type: 'string' }, json: { type: 'boolean' }, header: { type: 'string', multiple: true } } as const
  const parsed = parseArguments(['a', '--client.head', '5s', '--json', '--workers=2', '--header', 'A: b', '--header=C: d', '--config', 'x.yaml', 'b'], own, true)
  assert.deepEqual(parsed.config, { 'client.head': '5s', workers: '2' })
  assert.deepEqual({ ...parsed.values }, { json: true, header: ['A: b', 'C: d'], config: 'x.yaml' })
  assert.deepEqual(parsed.positionals, ['a', 'b'])
  assert.throws(() => parseArguments(['--client.head=5s'], own), UsageError)
  assert.throws(() => parseArguments(['--config'], own, true), UsageError)
})
