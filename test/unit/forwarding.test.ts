// What the upstream is told of the client: replaced for strangers, extended for trusted peers, and never forged.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nothingTold, type Peer } from '#src/downstream/stream.ts'
import { isFault, parseRequestHead } from '#src/http1/request-head.ts'
import { forwarding, trustedForwarding } from '#src/proxy/forwarding.ts'
import { blockList } from '#src/proxy/plane.ts'

const trusted = blockList(['10.0.0.0/8', '2001:db8:ffff::/48', '192.0.2.1'])
const peerAt = (address: string, isTrusted: boolean): Peer => ({ address, trusted: isTrusted, scheme: 'http', localPort: 8080, since: 0, tls: null, instead: '', redirectPort: 0, told: nothingTold() })

/** The fields that are added for a request with these lines; the client, and the request's id. */
function tell(address: string, isTrusted: boolean, ...lines: string[]): { readonly fields: Readonly<Record<string, string>>; readonly client: string; readonly requestId: string } {
  const head = parseRequestHead(['GET / HTTP/1.1', 'Host: a.test:81', ...lines, ''].join('\r\n'), { headers: 100, via: 'serai-x' })
  if (isFault(head)) throw new Error(head.reason)
  const peer = peerAt(address, isTrusted)
  const told = isTrusted ? trustedForwarding(head, peer, 'serai-x', 'id-1', trusted) : { fields: forwarding(head, peer, 'serai-x', 'id-1'), client: address, requestId: 'id-1' }
  const all = told.fields.split('\r\n').filter((line) => line !== '').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)] as const)
  assert.equal(new Set(all.map(([name]) => name)).size, all.length, 'a field was added twice')
  return { ...told, fields: Object.fromEntries(all) }
}

test('a stranger: everything is ours, whatever it claims', () => {
  const claims = ['X-Forwarded-For: 1.1.1.1', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: evil.test', 'Forwarded: for=1.1.1.1', 'X-Real-IP: 1.1.1.1', 'X-Request-Id: mine']
  const { fields, client, requestId } = tell('203.0.113.9', false, ...claims)
  assert.deepEqual(fields, {
    'X-Forwarded-For': '203.0.113.9', 'X-Forwarded-Host': 'a.test:81', 'X-Forwarded-Port': '8080', 'X-Forwarded-Proto': 'http', 'X-Real-IP': '203.0.113.9',
    'Forwarded': 'for=203.0.113.9;host="a.test:81";proto=http', 'Via': '1.1 serai-x', 'X-Request-Id': 'id-1',
  })
  assert.deepEqual([client, requestId], ['203.0.113.9', 'id-1'])
})

test('IPv6 is quoted in Forwarded and bare elsewhere', () => {
  const { fields } = tell('2001:db8::7', false)
  assert.equal(fields['X-Forwarded-For'], '2001:db8::7')
  assert.match(fields['Forwarded'] ?? '', /^for="\[2001:db8::7\]";/)
})

test('a trusted peer: the chain grows, and what it says of the first hop stays', () => {
  const { fields, client, requestId } = tell('10.0.0.1', true, 'X-Forwarded-For: 203.0.113.9, 10.9.9.9', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: shop.test', 'Forwarded: for=203.0.113.9', 'X-Request-Id: outer')
  assert.deepEqual([client, requestId], ['203.0.113.9', 'outer'])
  assert.equal(fields['X-Forwarded-For'], '203.0.113.9, 10.9.9.9, 10.0.0.1')
  assert.equal(fields['X-Real-IP'], '203.0.113.9')
  assert.equal(fields['X-Forwarded-Host'], 'shop.test')
  assert.deepEqual([fields['X-Forwarded-Proto'], fields['X-Forwarded-Port']], ['https', '443'])
  assert.equal(fields['Forwarded'], 'for=203.0.113.9, for=10.0.0.1;host="a.test:81";proto=http')
})

const clients: readonly { readonly name: string; readonly chain: string; readonly expect: string }[] = [
  { name: 'the rightmost that is not trusted, not the leftmost', chain: '1.1.1.1, 203.0.113.9, 10.2.2.2', expect: '203.0.113.9' },
  { name: 'all trusted: the leftmost', chain: '10.3.3.3, 10.2.2.2', expect: '10.3.3.3' },
  { name: 'nothing in the chain: the peer', chain: '', expect: '10.0.0.1' },
  { name: 'what is no address ends the search', chain: '1.1.1.1, unknown, 10.2.2.2', expect: '10.2.2.2' },
  { name: 'IPv6', chain: '2001:db8::1, 2001:db8:ffff::2', expect: '2001:db8::1' },
  { name: 'a single trusted address', chain: '198.51.100.1, 192.0.2.1', expect: '198.51.100.1' },
]
for (const { name, chain, expect } of clients) {
  test(`the client behind trusted peers: ${name}`, () => assert.equal(tell('10.0.0.1', true, ...(chain === '' ? [] : [`X-Forwarded-For: ${chain}`])).client, expect))
}

test('what a trusted peer says in a bad form is as if it had not said it', () => {
  const { fields, requestId } = tell('10.0.0.1', true, 'X-Forwarded-Proto: gopher', 'X-Forwarded-Host: a b', 'X-Forwarded-Port: many', 'X-Request-Id: with space', 'X-Forwarded-Prefix: no-slash')
  assert.deepEqual([fields['X-Forwarded-Proto'], fields['X-Forwarded-Host'], fields['X-Forwarded-Port'], requestId], ['http', 'a.test:81', '8080', 'id-1'])
  assert.equal(fields['X-Forwarded-Prefix'], undefined)
})
