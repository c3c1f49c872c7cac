// Where the admin API may listen without a token, and which Host it answers to.
import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import { test } from 'node:test'
import { checkAdminExposure, isOwnHost } from '#src/admin/exposure.ts'

const exposure: readonly [host: string, isExposed: boolean][] = [
  ['127.0.0.1', false], ['127.8.9.1', false], ['::1', false], ['localhost', false],
  ['', true], ['0.0.0.0', true], ['::', true], ['10.0.0.1', true], ['a.example.org', true], ['::ffff:127.0.0.1', false],
]
for (const [host, isExposed] of exposure) {
  test(`${host || 'every address'} ${isExposed ? 'needs a token' : 'needs none'}`, () => {
    assert.equal(checkAdminExposure({ host, port: 9080 }, false) !== undefined, isExposed)
    assert.equal(checkAdminExposure({ host, port: 9080 }, true), undefined)
  })
}

test('the refusal names the address and what was expected', () => {
  assert.match(checkAdminExposure({ host: '::', port: 1 }, false) ?? '', /^admin\.address: \[::\]:1 can be reached .* 127\.0\.0\.1:1.*admin\.tokenFile/)
})

const hosts: readonly [host: string | undefined, isOwn: boolean][] = [
  ['localhost:9080', true], ['LOCALHOST', true], ['127.0.0.1:1', true], ['[::1]:9080', true], ['10.1.2.3', true], [hostname(), true], ['admin.test:9080', true],
  ['evil.example', false], ['localhost.evil.example', false], ['127.0.0.1.evil.example', false], ['', false], [undefined, false], ['a@localhost', false],
]
for (const [host, isOwn] of hosts) {
  test(`Host ${String(host)} is ${isOwn ? 'ours' : 'refused'}`, () => {
    assert.equal(isOwnHost(host, { host: 'admin.test', port: 9080 }), isOwn)
  })
}
