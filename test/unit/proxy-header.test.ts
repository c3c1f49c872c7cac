// The PROXY protocol, versions 1 and 2: whole or in pieces, and nothing that is not exactly it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readProxyHeader, type ProxyHeader } from '#src/downstream/proxy-header.ts'

const read = (bytes: Buffer): ProxyHeader | 'bad' | undefined => readProxyHeader(bytes, 0, bytes.length)
const SIGNATURE = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10]
const v2 = (command: number, family: number, ...payload: number[]): Buffer => Buffer.from([...SIGNATURE, command, family, payload.length >> 8, payload.length & 255, ...payload])
const ports = [0xc3, 0x50, 0x01, 0xbb] // 50000, 443
const six = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]

for (const [name, bytes, address, port] of [
  ['version 1, IPv4', Buffer.from('PROXY TCP4 203.0.113.7 192.0.2.1 50000 443\r\n'), '203.0.113.7', 443],
  ['version 1, IPv6', Buffer.from('PROXY TCP6 2001:DB8:0::1 2001:db8::2 50000 443\r\n'), '2001:db8::1', 443],
  ['version 1, an IPv4 address in IPv6', Buffer.from('PROXY TCP6 ::ffff:203.0.113.7 ::1 50000 443\r\n'), '203.0.113.7', 443],
  ['version 1, unknown', Buffer.from('PROXY UNKNOWN\r\n'), '', 0],
  ['version 1, unknown with addresses', Buffer.from('PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n'), '', 0],
  ['version 2, IPv4', v2(0x21, 0x11, 203, 0, 113, 7, 192, 0, 2, 1, ...ports), '203.0.113.7', 443],
  ['version 2, IPv6', v2(0x21, 0x21, ...six, ...six, ...ports), '2001:db8::1', 443],
  ['version 2, with what a balancer adds', v2(0x21, 0x11, 203, 0, 113, 7, 192, 0, 2, 1, ...ports, 0xea, 0, 3, 1, 2, 3), '203.0.113.7', 443],
  ['version 2, the balancer itself', v2(0x20, 0), '', 0],
  ['version 2, a Unix socket', v2(0x21, 0x31, ...Array.from({ length: 216 }, () => 0)), '', 0],
  ['version 2, unspecified', v2(0x21, 0), '', 0],
] as const) {
  test(name, () => {
    assert.deepEqual(read(bytes), { length: bytes.length, address, port })
    for (let length = 0; length < bytes.length; length++) assert.equal(readProxyHeader(bytes, 0, length), undefined, `${length} octets`)
    const between = Buffer.concat([Buffer.from('x'), bytes, Buffer.from('GET / HTTP/1.1\r\n')])
    assert.deepEqual(readProxyHeader(between, 1, between.length), { length: bytes.length, address, port })
  })
}

for (const [name, bytes] of [
  ['plain HTTP', Buffer.from('GET / HTTP/1.1\r\n')],
  ['HTTP that begins with P', Buffer.from('POST / HTTP/1.1\r\n')],
  ['TLS', Buffer.from([22, 3, 1, 2, 0])],
  ['another family', Buffer.from('PROXY UDP4 203.0.113.7 192.0.2.1 50000 443\r\n')],
  ['an address of the other family', Buffer.from('PROXY TCP4 ::1 ::1 50000 443\r\n')],
  ['an address with a zone', Buffer.from('PROXY TCP6 fe80::1%eth0 2001:db8::2 50000 443\r\n')],
  ['a port beyond the last', Buffer.from('PROXY TCP4 203.0.113.7 192.0.2.1 50000 65536\r\n')],
  ['a port too few', Buffer.from('PROXY TCP4 203.0.113.7 192.0.2.1 50000\r\n')],
  ['a field too many', Buffer.from('PROXY TCP4 203.0.113.7 192.0.2.1 50000 443 x\r\n')],
  ['two spaces', Buffer.from('PROXY  TCP4 203.0.113.7 192.0.2.1 50000 443\r\n')],
  ['a bare LF', Buffer.from(`PROXY TCP4 203.0.113.7 192.0.2.1 50000 443\n${'x'.repeat(80)}`)],
  ['a line without an end', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(100)}`)],
  ['another version', v2(0x31, 0x11, ...Array.from({ length: 12 }, () => 0))],
  ['another command', v2(0x22, 0x11, ...Array.from({ length: 12 }, () => 0))],
  ['too few addresses', v2(0x21, 0x11, 1, 2, 3)],
  ['too much', Buffer.from([...SIGNATURE, 0x21, 0x11, 0x08, 1])],
] as const) test(`refused: ${name}`, () => assert.equal(read(bytes), 'bad'))

test('any octets: an answer and no exception', () => {
  fc.assert(fc.property(fc.constantFrom(Buffer.from('PROXY '), Buffer.from(SIGNATURE), Buffer.alloc(0)), fc.uint8Array({ maxLength: 300 }), (begin, rest) => void read(Buffer.concat([begin, rest]))), { numRuns: 3000 })
})
