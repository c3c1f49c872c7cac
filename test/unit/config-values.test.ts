// Durations, sizes and suggestions, over many values.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { nearest } from '#src/config/nearest.ts'
import { duration, size } from '#src/config/scalar.ts'

test('durations add up their parts, in milliseconds', () => {
  const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const
  const part = fc.record({ amount: fc.integer({ min: 1, max: 999 }), unit: fc.constantFrom('ms', 's', 'm', 'h') })
  fc.assert(fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
    const written = parts.map(({ amount, unit }) => `${amount}${unit}`).join('')
    const ms = parts.reduce((sum, { amount, unit }) => sum + amount * unitMs[unit], 0)
    assert.equal(duration('0', '10000d').parse(written), ms)
  }))
})

test('bounds belong to the range, and nothing beyond them', () => {
  const head = duration('100ms', '10s')
  assert.deepEqual(['100ms', '10s', '99ms', '10001ms', 0, '0'].map((value) => head.safeParse(value).success), [true, true, false, false, false, false])
  const bytes = size('1KiB', '1MiB')
  assert.deepEqual(['1KiB', '1MiB', 1023, 1048577, '1.5KiB', '0.5B'].map((value) => bytes.safeParse(value).success), [true, true, false, false, true, false])
})

test('any other value is refused and nothing throws', () => {
  const looksRight = /^(0|([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+)$/
  fc.assert(fc.property(fc.anything(), (value) => {
    if (typeof value === 'string' && looksRight.test(value)) return
    if (value !== 0) assert.equal(duration('0', '1d').safeParse(value).success, false)
  }))
})

test('a slip finds its word; another word finds none', () => {
  const words = ['listeners', 'client', 'keepAlive', 'afterRemoval']
  assert.deepEqual(['listner', 'clinet', 'keepalive', 'after-removal', 'upstream', '', 'x'].map((word) => nearest(word, words)),
    ['listeners', 'client', 'keepAlive', 'afterRemoval', undefined, undefined, undefined])
})
