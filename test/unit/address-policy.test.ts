// Which addresses a job may name.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAddressPolicy, plainAddress } from '#src/upstream/address-policy.ts'

const policy = createAddressPolicy({ allow: ['169.254.7.0/24'], registry: ['10.0.0.9:4646'] })
const refused = (host: string, node = ''): boolean => policy.refusal(host, 80, node) !== undefined

test('loopback, link-local, unspecified and multicast addresses are refused, in every dress', () => {
  const bad = ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1', '::7f00:1', '169.254.169.254', 'fe80::1', '0.0.0.0', '::', '0.1.2.3', '224.0.0.1', 'ff02::1', '255.255.255.255',
    'localhost', 'a.localhost', '::ffff:169.254.169.254']
  for (const host of bad) assert.ok(refused(host), host)
  for (const host of ['10.0.0.1', '192.168.1.1', '8.8.8.8', 'fd00::1', '2001:db8::1', 'backend.example.org', '126.255.255.255', '128.0.0.1']) assert.ok(!refused(host), host)
})

test('the operator allows exceptions', () => {
  assert.ok(!refused('169.254.7.8'))
  assert.ok(refused('169.254.8.8'))
})

test('loopback is a node’s own business where its own address is loopback, as in a development agent', () => {
  assert.ok(!refused('127.0.0.1', '127.0.0.1'))
  assert.ok(refused('127.0.0.1', '10.0.0.1'))
  assert.ok(refused('169.254.169.254', '127.0.0.1'))
  assert.deepEqual(['127.0.0.1', '::1', '10.0.0.1'].map((host) => policy.dependsOnNode(host)), [true, true, false])
})

test('the registry’s own address is refused, whatever the node', () => {
  assert.match(policy.refusal('10.0.0.9', 4646, '10.0.0.9') ?? '', /the registry's own address/)
  assert.match(policy.refusal('::ffff:10.0.0.9', 4646, '') ?? '', /own address/)
  assert.equal(policy.refusal('10.0.0.9', 4647, ''), undefined)
})

test('IPv4 in IPv6 dress is the address that it leads to', () => {
  assert.deepEqual(['::ffff:10.1.2.3', '::FFFF:a01:203', '2001:DB8:0::1', 'fe80::1%eth0', '10.1.2.3'].map(plainAddress), ['10.1.2.3', '10.1.2.3', '2001:db8::1', 'fe80::1', '10.1.2.3'])
})
