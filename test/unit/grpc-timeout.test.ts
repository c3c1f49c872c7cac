// The deadline that a gRPC call sets itself: every unit, and what is none.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RequestHead } from '#src/http1/request-head.ts'
import { grpcTimeoutMs } from '#src/proxy/grpc.ts'

const timeoutOf = (value: string): number => grpcTimeoutMs({ fields: `content-type: application/grpc\r\n${value === '' ? '' : `grpc-timeout: ${value}\r\n`}` } as RequestHead)

const cases: readonly (readonly [value: string, ms: number])[] = [
  ['2H', 7_200_000], ['3M', 180_000], ['4S', 4000], ['250m', 250], ['7000u', 7], ['9000000n', 9], ['0m', 0], ['99999999H', 359_999_996_400_000],
  ['1u', 1], ['1n', 1], // never shorter than it was set
]
for (const [value, ms] of cases) test(`${value} is ${ms} ms`, () => assert.equal(timeoutOf(value), ms))

test('none, and what cannot be read, is no deadline', () => {
  for (const value of ['', '5', 'S', '5s', '-5S', '5.5S', '123456789S', '5SS']) assert.equal(timeoutOf(value), Number.POSITIVE_INFINITY, value)
})
