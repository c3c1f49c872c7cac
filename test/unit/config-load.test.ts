// Where the config comes from: files good and bad, variables, flags, and which goes before which.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { after, test } from 'node:test'
import { loadConfig, type LoadInput } from '#src/config/load.ts'
import { formatMistakes } from '#src/config/mistake.ts'
import type { Config } from '#src/config/schema.ts'

const folder = mkdtempSync(join(tmpdir(), 'serai-config-'))
after(() => rmSync(folder, { recursive: true }))

function write(name: string, content: string | Uint8Array): string {
  writeFileSync(join(folder, name), content)
  return join(folder, name)
}

function load(input: Partial<LoadInput>): Config {
  const loaded = loadConfig({ env: {}, ...input })
  assert.ok(loaded.ok, loaded.ok ? '' : formatMistakes(loaded.mistakes))
  return loaded.config
}

function printed(input: Partial<LoadInput>): string {
  const loaded = loadConfig({ env: {}, ...input })
  assert.ok(!loaded.ok, 'it was taken')
  return formatMistakes(loaded.mistakes)
}

test('a flag goes before a variable, that before the file, that before the defaults of a command, those before ours', () => {
  const text = 'client: { head: 2s, body: 2s, keepAlive: 2s }'
  const env = { SERAI_CLIENT_HEAD: '3s', SERAI_CLIENT_BODY: '3s' }
  const defaults = { 'client.keepAlive': '5s', 'stop.lameDuck': '0' }
  const config = load({ text, env, flags: { 'client.head': '4s' }, defaults })
  assert.deepEqual(config.client, { headMs: 4000, bodyMs: 3000, keepAliveMs: 2000, handshakeMs: 10_000 })
  assert.deepEqual(config.stop, { lameDuckMs: 0, drainMs: 15_000 })
})

test('paths are relative to the config file; those of variables and flags to the working directory', () => {
  const file = write('paths.yaml', 'catalogs: { file: { path: services.yaml } }\nlog: { access: { target: logs/access.log } }\nadmin: { tokenFile: token }')
  const config = load({ file, env: { SERAI_STATE_PATH: 'state' } })
  assert.equal(config.catalogs.file?.path, join(folder, 'services.yaml'))
  assert.equal(config.log.access.target, join(folder, 'logs/access.log'))
  assert.equal(config.admin.tokenFile, join(folder, 'token'))
  assert.equal(config.state.path, join(process.cwd(), 'state'))
  assert.equal(load({ file }).state.path, join(folder, 'state'))
  for (const word of ['off', 'stdout']) assert.equal(load({ file, env: { SERAI_LOG_ACCESS_TARGET: word } }).log.access.target, word)
})

test('without a file there are the defaults: one listener on :80, an admin API on loopback, nobody trusted, no catalog', () => {
  const loaded = loadConfig({ env: { SERAI_CONFIG: '' }, text: '' })
  assert.ok(loaded.ok)
  assert.equal(loaded.source, undefined)
  const { listeners, admin, health, trust, catalogs, tags } = loaded.config
  assert.deepEqual({ listeners, admin, health, trust, catalogs, tags }, {
    listeners: { http: { address: { host: '', port: 80 }, tls: false, proxyProtocol: [], h2c: false } },
    admin: { address: { host: '127.0.0.1', port: 9080 } },
    health: undefined, trust: { forwarded: [] }, catalogs: {}, tags: { serai: 'serai' },
  })
})

test('with certificates and no word of listeners, both usual ports', () => {
  const { listeners, tls } = load({ text: 'tls: { certificates: [{ cert: a.pem }] }', file: '/etc/serai/serai.yaml', env: {} })
  assert.deepEqual(Object.entries(listeners).map(([name, { address, tls: speaks }]) => [name, address.port, speaks]), [['http', 80, false], ['https', 443, true]])
  assert.deepEqual(tls.certificates, [{ cert: '/etc/serai/a.pem', default: false }], 'paths start where the config lies')
})

test('SERAI_CONFIG names the file, a given file goes before it, and the result says which it was', () => {
  const [one, two] = [write('one.yaml', 'workers: 1'), write('two.yaml', 'workers: 2')]
  const loaded = loadConfig({ env: { SERAI_CONFIG: relative(process.cwd(), one) } })
  assert.ok(loaded.ok)
  assert.equal(loaded.config.workers, 1)
  assert.equal(loaded.source, one)
  assert.equal(load({ file: two, env: { SERAI_CONFIG: one } }).workers, 2)
})

test('a block of one address is written as one, and text from outside becomes what its key holds', () => {
  const env = { SERAI_TRUST_FORWARDED: '10.0.0.0/8, 2001:db8::1', SERAI_DEFAULTS_EJECT_STATUS: '500,503', SERAI_DEFAULTS_EJECT_PANIC: 'false', SERAI_ADMIN_TOKEN: '12345' }
  const config = load({ text: '', env, flags: { 'listeners.my-web.address': '[::1]:0', 'limits.headBytes': '65536' } })
  assert.deepEqual(config.trust.forwarded, ['10.0.0.0/8', '2001:db8::1/128'])
  assert.deepEqual(config.defaults.eject.status, [500, 503])
  assert.equal(config.defaults.eject.panic, false)
  assert.equal(config.admin.token, '12345')
  assert.deepEqual(config.listeners, { 'my-web': { address: { host: '::1', port: 0 }, tls: false, proxyProtocol: [], h2c: false } })
  assert.equal(config.limits.headBytes, 65536)
})

for (const { name, content, expect } of [
  { name: 'not-utf8.yaml', content: Uint8Array.of(0x61, 0x3a, 0x20, 0xff), expect: /not-utf8\.yaml {2}is not UTF-8 text\n1 mistake$/ },
  { name: 'large.yaml', content: `#${' '.repeat(1024 * 1024)}`, expect: /large\.yaml {2}is too large \(expected at most 1 MiB\)\n1 mistake$/ },
  { name: 'garbage.yaml', content: '{[}"\n'.repeat(50_000), expect: /… and \d+ more\n\d+ mistakes$/ },
]) {
  test(`refused as a whole, in few words: ${name}`, () => {
    const text = printed({ file: write(name, content) })
    assert.match(text, expect)
    assert.ok(text.split('\n').length <= 102)
  })
}

test('a directory and a missing file are named', () => {
  assert.equal(printed({ file: folder }), `${folder}  is a directory (expected a YAML file)\n1 mistake`)
  assert.equal(printed({ file: `${folder}/none.yaml` }), `${folder}/none.yaml  does not exist\n1 mistake`)
})

test('a byte order mark and CRLF do not move positions', () => {
  assert.match(printed({ file: write('crlf.yaml', '\ufeffworkers: 2\r\nclient:\r\n  head: x\r\n') }), /crlf\.yaml:3:9 {2}client\.head: "x" is not a duration/)
})

test('a pipe can be the config, as a shell makes one', { skip: process.platform === 'win32' && 'no named pipes here' }, () => {
  const node = 'node_modules/.bin/node'
  const output = execFileSync('bash', ['-c', `${node} src/main.ts validate <(echo 'workers: 3')`], { encoding: 'utf8', timeout: 20_000 })
  assert.match(output, /is good; it would listen on: http :80, admin 127\.0\.0\.1:9080/)
})
