// The messages of gRPC's health service: written as protobuf writes them, and read strictly, whatever the octets are.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bodyFailure, healthRequest, servingStatus } from '#src/catalog/probe/grpc-health.ts'

const hex = (text: string): Buffer => Buffer.from(text.replace(/ /g, ''), 'hex')

test('a request: the prefix, and the service as field 1, which is left out when it is empty', () => {
  assert.equal(healthRequest('').toString('hex'), '0000000000')
  assert.equal(healthRequest('a.B').toString('hex'), '00000000050a03612e42')
  assert.equal(healthRequest('x'.repeat(200)).toString('hex'), `00000000cb0ac801${'78'.repeat(200)}`)
})

test('a status is read as protobuf has it', () => {
  const cases: readonly (readonly [name: string, octets: string, expect: number | undefined])[] = [
    ['nothing: the default', '', 0],
    ['SERVING', '08 01', 1],
    ['a longer way to write it', '08 81 80 00', 1],
    ['the last one counts', '08 02 08 01', 1],
    ['a long tag for the same field', '88 00 01', 1],
    ['fields that are not known: varint, 64 bits, octets, 32 bits', '10 05 19 0102030405060708 22 02 0801 2d 01020304 08 01', 1],
    ['field 1 of another type is another field', '0a 02 0801', 0],
    ['what it means is 2^32 + 1', '08 81 80 80 80 10', 2 ** 32 + 1],
    ['field 0', '00 01', undefined],
    ['a group', '0b 08 01 0c', undefined],
    ['a type that there is not', '0e', undefined],
    ['a tag without its value', '08', undefined],
    ['a value that is cut short', '08 81', undefined],
    ['a value of eleven octets', '08 80 80 80 80 80 80 80 80 80 80 01', undefined],
    ['octets that reach beyond the end', '08 01 12 02 00', undefined],
    ['octets of a length that no message has', '12 ff ff ff ff ff ff ff ff ff 01', undefined],
    ['64 bits that are cut short', '08 01 11 01', undefined],
  ]
  for (const [name, octets, expect] of cases) assert.equal(servingStatus(hex(octets)), expect, name)
})

test('any fields around a status change nothing, and no octets make anything but a number or nothing', () => {
  const varint = (value: number): number[] => (value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))])
  const octets = (length: number): fc.Arbitrary<number[]> => fc.array(fc.nat(255), { minLength: length, maxLength: length })
  const field = fc.integer({ min: 2, max: 2 ** 29 - 1 }).chain((number) => fc.oneof(
    fc.nat().map((value) => [...varint(number * 8), ...varint(value)]),
    octets(8).map((value) => [...varint(number * 8 + 1), ...value]),
    fc.nat(300).chain(octets).map((value) => [...varint(number * 8 + 2), ...varint(value.length), ...value]),
    octets(4).map((value) => [...varint(number * 8 + 5), ...value]),
  ))
  fc.assert(fc.property(fc.array(field, { maxLength: 5 }), fc.nat(3), fc.array(field, { maxLength: 5 }), (before, status, after) => {
    assert.equal(servingStatus(Buffer.from([...before.flat(), 0x08, status, ...after.flat()])), status)
  }))
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (any) => { assert.ok(['number', 'undefined'].includes(typeof servingStatus(Buffer.from(any)))) }), { numRuns: 1000 })
})

test('a body passes only when its first message is whole and says SERVING, however it comes', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 20 }), (any) => {
    const body = Buffer.from(any)
    const passes = bodyFailure(body) === ''
    const length = body.length >= 5 ? body.readUInt32BE(1) : Infinity
    assert.equal(passes, body[0] === 0 && body.length >= 5 + length && servingStatus(body.subarray(5, 5 + length)) === 1)
  }))
  const whole = hex('00 00000002 0801')
  for (let length = 0; length < whole.length; length++) assert.equal(bodyFailure(whole.subarray(0, length)), undefined)
  assert.equal(bodyFailure(whole), '')
})
