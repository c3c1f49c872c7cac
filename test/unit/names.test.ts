// Names of endpoints: the hosts file first, then DNS over loopback, each answer for its TTL, the old one when DNS fails.
import assert from 'node:assert/strict'
import type { LookupAddress } from 'node:dns'
import { test } from 'node:test'
import { parseHosts } from '#src/upstream/hosts-file.ts'
import { Names } from '#src/upstream/names.ts'
import { startDnsServer, type DnsServer } from '#test/support/dns-server.ts'
import { makeFolder } from '#test/support/folder.ts'
import { until } from '#test/support/until.ts'

interface Clock { now: number }

function makeNames(dns: DnsServer, clock: Clock, hostsFile = '/nowhere/hosts'): Names {
  return new Names({ servers: [dns.address], hostsFile, now: () => clock.now, random: () => 0 })
}

/** The addresses, or the code of the error. */
function look(names: Names, name: string): Promise<string[] | string> {
  return new Promise((resolve) => {
    names.lookup(name, { all: true }, (error, addresses) => {
      resolve(error === null ? (addresses as LookupAddress[]).map(({ address }) => address) : (error.code ?? error.message))
    })
  })
}

test('an answer is used for its TTL, then asked for again', async () => {
  await using dns = await startDnsServer({ 'a.test': ['10.0.0.1', '2001:db8::1'] }, 30)
  const clock = { now: 0 }
  const names = makeNames(dns, clock)
  assert.deepEqual(await look(names, 'a.test'), ['10.0.0.1', '2001:db8::1'])
  dns.names.set('a.test', ['10.0.0.2'])
  clock.now = 29_999
  assert.deepEqual(await look(names, 'a.test'), ['10.0.0.1', '2001:db8::1'])
  assert.deepEqual(dns.questions.sort(), ['A a.test', 'AAAA a.test'])
  clock.now = 30_000
  assert.deepEqual(await look(names, 'a.test'), ['10.0.0.2'])
})

test('many at once are one question', async () => {
  await using dns = await startDnsServer({ 'a.test': ['10.0.0.1'] }, 30)
  const names = makeNames(dns, { now: 0 })
  await Promise.all(Array.from({ length: 50 }, () => look(names, 'a.test')))
  assert.equal(dns.questions.length, 2)
})

for (const mode of ['servfail', 'silent'] as const) {
  test(`DNS fails (${mode}): the old answer goes on, is not waited for long, and the new one is taken when DNS is back`, async (t) => {
    await using dns = await startDnsServer({ 'a.test': ['10.0.0.1'] }, 1)
    const clock = { now: 0 }
    const names = makeNames(dns, clock)
    await look(names, 'a.test')
    dns.mode = mode
    clock.now = 60_000
    const begun = performance.now()
    assert.deepEqual(await look(names, 'a.test'), ['10.0.0.1'])
    const waited = performance.now() - begun
    t.diagnostic(`the old answer came after ${waited.toFixed(0)} ms`)
    assert.ok(waited < 400)
    dns.mode = 'answer'
    dns.names.set('a.test', ['10.0.0.2'])
    await until(async () => {
      clock.now += 6000 // the failure is remembered for 5 s
      return String(await look(names, 'a.test')) === '10.0.0.2'
    }, { what: 'the new answer' })
  })
}

test('a name that DNS says does not exist is no failure of DNS: its old answer goes', async () => {
  await using dns = await startDnsServer({ 'a.test': ['10.0.0.1'] }, 1)
  const clock = { now: 0 }
  const names = makeNames(dns, clock)
  await look(names, 'a.test')
  dns.names.delete('a.test')
  clock.now = 2000
  assert.equal(await look(names, 'a.test'), 'ENOTFOUND')
  assert.equal(await look(names, 'b.test'), 'ENOTFOUND')
})

test('without an old answer a failing DNS is an error, remembered for a second only', async () => {
  await using dns = await startDnsServer({ 'a.test': ['10.0.0.1'] })
  dns.mode = 'servfail'
  const clock = { now: 0 }
  const names = makeNames(dns, clock)
  assert.equal(await look(names, 'a.test'), 'ESERVFAIL')
  dns.mode = 'answer'
  const asked = dns.questions.length
  assert.equal(await look(names, 'a.test'), 'ESERVFAIL')
  assert.equal(dns.questions.length, asked)
  clock.now = 1000
  assert.deepEqual(await look(names, 'a.test'), ['10.0.0.1'])
})

test('the hosts file goes before DNS, and is read again when it has changed', async () => {
  await using dns = await startDnsServer({ 'a.test': ['10.0.0.1'], 'b.test': ['10.0.0.3'] }, 1)
  await using folder = await makeFolder()
  const clock = { now: 0 }
  const names = makeNames(dns, clock, await folder.write('hosts', '# none\n10.9.9.9 A.test alias # mine\n::1 alias\n'))
  assert.deepEqual(await look(names, 'a.test'), ['10.9.9.9'])
  assert.deepEqual(await look(names, 'alias'), ['10.9.9.9', '::1'])
  assert.deepEqual(await look(names, 'b.test'), ['10.0.0.3'])
  assert.deepEqual(dns.questions.filter((question) => question.endsWith(' a.test')), [])
  await folder.write('hosts', '10.9.9.10 a.test\n')
  clock.now = 6000
  assert.deepEqual(await look(names, 'a.test'), ['10.9.9.10'])
  await folder.write('hosts', '\n')
  clock.now = 12_000
  assert.deepEqual(await look(names, 'a.test'), ['10.0.0.1'])
})

test('localhost is this machine, whatever DNS says', async () => {
  await using dns = await startDnsServer({ 'localhost': ['10.0.0.1'] })
  assert.deepEqual(await look(makeNames(dns, { now: 0 }), 'localhost'), ['127.0.0.1', '::1'])
})

test('connections to an address that the name no longer has are known for that', async () => {
  await using dns = await startDnsServer({ 'a.test': ['10.0.0.1'] }, 1)
  const clock = { now: 0 }
  const names = makeNames(dns, clock)
  await look(names, 'a.test')
  assert.equal(names.stillNames('a.test', '10.0.0.1'), true)
  assert.equal(names.stillNames('a.test', '10.0.0.2'), false)
  assert.equal(names.stillNames('unknown.test', '10.0.0.2'), true)
  dns.names.set('a.test', ['10.0.0.2'])
  clock.now = 2000
  await until(() => !names.stillNames('a.test', '10.0.0.1'), { what: 'the renewal in the background' })
})

test('lines of a hosts file', () => {
  const names = parseHosts('127.0.0.1\tlocalhost\r\n::1 localhost ip6-localhost\n\n#10.0.0.1 no\nfoo bar\n10.0.0.2 x # y\n10.0.0.2 X\n')
  assert.deepEqual([...names].map(([name, addresses]) => `${name}=${addresses.map(({ address }) => address).join()}`), ['localhost=127.0.0.1,::1', 'ip6-localhost=::1', 'x=10.0.0.2'])
})
