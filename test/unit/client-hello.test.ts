// The first thing a TLS client says, read within bounds: whole or in pieces, real ones and hostile ones, and never an exception.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { alertRecord, isHelloFault, MAX_HELLO_BYTES, readClientHello, type ClientHello, type HelloFault } from '#src/tls/hello.ts'
import { realHello } from '#test/support/real-hello.ts'

const read = (bytes: Buffer): ClientHello | HelloFault | undefined => readClientHello(bytes, 0, bytes.length)
const faultOf = (bytes: Buffer): string => {
  const result = read(bytes)
  assert.ok(result !== undefined && isHelloFault(result), 'a fault')
  return result.fault
}

const sized = (size: number, content: Buffer): Buffer => {
  const length = Buffer.alloc(size)
  length.writeUIntBE(content.length, 0, size)
  return Buffer.concat([length, content])
}
const extension = (type: number, content: Buffer): Buffer => Buffer.concat([Buffer.from([type >> 8, type & 255]), sized(2, content)])
const serverName = (...names: string[]): Buffer => extension(0, sized(2, Buffer.concat(names.map((name) => Buffer.concat([Buffer.from([0]), sized(2, Buffer.from(name, 'latin1'))])))))
const alpn = (...names: string[]): Buffer => extension(16, sized(2, Buffer.concat(names.map((name) => sized(1, Buffer.from(name))))))

interface Parts {
  readonly extensions?: readonly Buffer[] | null
  readonly sessionId?: Buffer
  readonly suites?: Buffer
}
const message = ({ extensions = [serverName('a.example.org')], sessionId = Buffer.alloc(32), suites = Buffer.from([0x13, 0x01]) }: Parts): Buffer =>
  Buffer.concat([Buffer.from([1]), sized(3, Buffer.concat([
    Buffer.from([3, 3]), Buffer.alloc(32, 7), sized(1, sessionId), sized(2, suites), sized(1, Buffer.from([0])),
    ...(extensions === null ? [] : [sized(2, Buffer.concat(extensions))]),
  ]))])
/** The message in records of at most `most` octets. */
const records = (content: Buffer, most = 16_384): Buffer =>
  Buffer.concat(Array.from({ length: Math.ceil(content.length / most) }, (_, at) => Buffer.concat([Buffer.from([22, 3, 1]), sized(2, content.subarray(at * most, (at + 1) * most))])))
const hello = (...extensions: Buffer[]): Buffer => records(message({ extensions }))

const real = {
  'TLS 1.3 with a post-quantum key share, more than one packet': await realHello({ servername: 'A.Example.org', ALPNProtocols: ['h2', 'http/1.1'], ecdhCurve: 'X25519MLKEM768' }),
  'TLS 1.2 alone': await realHello({ servername: 'a.example.org', ALPNProtocols: ['h2', 'http/1.1'], maxVersion: 'TLSv1.2' }),
}

for (const [name, bytes] of Object.entries(real)) {
  test(`${name}: names and protocols; at no shorter length is there an answer`, (t) => {
    assert.deepEqual(read(bytes), { serverName: 'a.example.org', protocols: ['h2', 'http/1.1'] })
    for (let length = 0; length < bytes.length; length++) assert.equal(readClientHello(bytes, 0, length), undefined, `${length} octets`)
    assert.deepEqual(read(Buffer.concat([bytes, Buffer.from('early data')])), { serverName: 'a.example.org', protocols: ['h2', 'http/1.1'] })
    t.diagnostic(`${bytes.length} octets`)
  })
}

test('in records of any size, and with octets before it', () => {
  const content = message({ extensions: [serverName('b.example.org'), alpn('http/1.1')] })
  for (let most = Math.ceil(content.length / 32); most <= content.length; most++) {
    const bytes = records(content, most)
    assert.deepEqual(read(bytes), { serverName: 'b.example.org', protocols: ['http/1.1'] }, `records of ${most}`)
    for (let length = 0; length < bytes.length; length++) assert.equal(readClientHello(bytes, 0, length), undefined)
  }
  const behind = Buffer.concat([Buffer.from('PROXY'), hello(serverName('c.test'))])
  assert.deepEqual(readClientHello(behind, 5, behind.length), { serverName: 'c.test', protocols: [] })
})

test('GREASE values (RFC 8701) are passed over, as are extensions that we do not know', () => {
  const grease = [0x0a0a, 0x1a1a, 0xfafa].map((type) => extension(type, Buffer.alloc(1)))
  const suites = Buffer.from([0x2a, 0x2a, 0x13, 0x01, 0xc0, 0x2b])
  assert.deepEqual(read(records(message({ suites, extensions: [grease[0]!, serverName('a.test'), grease[1]!, alpn('\x0a\x0a', 'h2'), grease[2]!] }))), { serverName: 'a.test', protocols: ['\x0a\x0a', 'h2'] })
})

test('without a name: no extension, no extensions at all, an address; one trailing dot says nothing', () => {
  for (const bytes of [hello(alpn('h2')), records(message({ extensions: null })), hello(serverName('192.0.2.1')), hello(serverName('::1'))]) {
    const result = read(bytes)
    assert.ok(result !== undefined && !isHelloFault(result))
    assert.equal(result.serverName, '')
  }
  assert.deepEqual(read(hello(serverName('Www.Example.ORG.'))), { serverName: 'www.example.org', protocols: [] })
})

const malformed: Readonly<Record<string, Buffer>> = {
  'an extension twice': hello(serverName('a.test'), serverName('b.test')),
  'two names': hello(serverName('a.test', 'b.test')),
  'an empty name': hello(serverName('')),
  'a name with NUL': hello(serverName('a.test\0.evil.test')),
  'a name with a space': hello(serverName('a test')),
  'a name that ends in two dots': hello(serverName('a.test..')),
  'a name of 300 octets': hello(serverName(`${'a.'.repeat(150)}test`)),
  'a name of another type': hello(extension(0, sized(2, Buffer.concat([Buffer.from([1]), sized(2, Buffer.from('a.test'))])))),
  'an empty list of protocols': hello(extension(16, sized(2, Buffer.alloc(0)))),
  'an empty protocol': hello(alpn('')),
  'octets behind the list of protocols': hello(extension(16, Buffer.concat([sized(2, Buffer.from([1, 65])), Buffer.from([0])]))),
  'a session id of 33 octets': records(message({ sessionId: Buffer.alloc(33) })),
  'no cipher suites': records(message({ suites: Buffer.alloc(0) })),
  'an odd number of octets of cipher suites': records(message({ suites: Buffer.alloc(3) })),
  'a length beyond its end': records(Buffer.concat([Buffer.from([1]), sized(3, Buffer.alloc(20))])),
  'octets behind the extensions': records(((whole) => Buffer.concat([Buffer.from([1]), sized(3, Buffer.concat([whole.subarray(4), Buffer.from([0])]))]))(message({}))),
  'another handshake message': records(Buffer.concat([Buffer.from([2]), sized(3, Buffer.alloc(40))])),
  'an empty record': Buffer.from([22, 3, 1, 0, 0]),
  'a record longer than records may be': Buffer.from([22, 3, 1, 0x40, 1]),
  'a version of no TLS': Buffer.from([22, 2, 0, 0, 10]),
  'an alert in the middle': Buffer.concat([records(message({}).subarray(0, 20)), Buffer.from([21, 3, 1, 0, 2, 2, 40])]),
}
for (const [name, bytes] of Object.entries(malformed)) test(`malformed: ${name}`, () => assert.equal(faultOf(bytes), 'malformed'))

test('too large is known as soon as the length is, or the records are too many', () => {
  assert.equal(faultOf(Buffer.concat([Buffer.from([22, 3, 1, 0x10, 0, 1, 0, MAX_HELLO_BYTES >> 8, 1])])), 'too_large')
  assert.equal(faultOf(records(message({ extensions: [extension(21, Buffer.alloc(400))] }), 1)), 'too_large')
  assert.equal(read(records(message({ extensions: [extension(21, Buffer.alloc(MAX_HELLO_BYTES - 200))] }), 8000))! instanceof Object, true)
})

test('what is no TLS at all is known from its first octets', () => {
  assert.equal(faultOf(Buffer.from('G')), 'plain_http')
  assert.equal(faultOf(Buffer.from('options * HTTP/1.1\r\n')), 'plain_http')
  assert.equal(faultOf(Buffer.from([0x80, 0x2e, 1, 3, 1])), 'ssl2')
  assert.equal(read(Buffer.from([0x80, 0x2e])), undefined)
  assert.equal(faultOf(Buffer.from([0x80, 0x2e, 4])), 'not_tls')
  assert.equal(faultOf(Buffer.from([0])), 'not_tls')
  assert.equal(faultOf(Buffer.from([21, 3, 1, 0, 2])), 'not_tls')
})

test('any octets: an answer and no exception, the same whatever came before them', () => {
  const whole = real['TLS 1.2 alone']
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 8 }), fc.nat(whole.length), (changes, length) => {
    const bytes = Buffer.from(whole.subarray(0, length))
    for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
    const shifted = Buffer.concat([Buffer.alloc(3), bytes])
    assert.deepEqual(readClientHello(shifted, 3, shifted.length), read(bytes))
  }), { numRuns: 3000 })
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void read(Buffer.from(bytes))), { numRuns: 3000 })
})

test('an alert is one record: fatal, unrecognized_name', () => {
  assert.deepEqual([...alertRecord(112)], [21, 3, 3, 0, 2, 2, 112])
})
