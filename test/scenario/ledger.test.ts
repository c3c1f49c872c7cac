// The arithmetic of the scenario's table.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeFigures, figuresOf } from './ledger.ts'
import type { RequestRecord } from './ledger.ts'

const record = (begun: number, ended: number, outcome: RequestRecord['outcome']): RequestRecord => ({ begun, ended, outcome, allocation: '', pid: 0, version: '' })

test('counting begins with the first 200; what came before stands apart', () => {
  const [first] = figuresOf([record(0, 1, 404), record(10, 11, 503), record(15, 21, 503), record(18, 20, 200), record(22, 23, 503), record(30, 31, 200)], [{ name: 'first', from: 0, to: 100 }], [])
  assert.deepEqual([first?.requests, first?.failed, first?.lost], [3, 1, 1])
  assert.deepEqual([...first?.before ?? []], [[404, 1], [503, 2]])
  assert.equal(first?.longestGapMs, 69, 'to the end of the phase')
})

test('a request belongs to the phase that it began in, and a cut response is a failure but not lost', () => {
  const phases = [{ name: 'a', from: 0, to: 50 }, { name: 'b', from: 50, to: 100 }]
  const [a, b] = figuresOf([record(0, 1, 200), record(49, 60, 'cut'), record(50, 51, 200), record(70, 71, 'closed'), record(80, 99, 200)], phases, [{ phase: 'b', ms: 7.5 }])
  assert.deepEqual([a?.requests, a?.failed, a?.lost, a?.longestGapMs], [2, 1, 0, 49])
  assert.deepEqual([b?.requests, b?.failed, b?.lost, b?.longestGapMs], [3, 1, 1, 48])
  assert.equal(describeFigures([b!])[2], '| b | 0.1 | 3 | 1 | 200: 2, closed: 1 | 48 ms | 8 ms |')
})

test('without any answer nothing is counted', () => {
  const [none] = figuresOf([record(0, 1, 503)], [{ name: 'none', from: 0, to: 10 }], [])
  assert.deepEqual([none?.requests, none?.failed, none?.longestGapMs], [0, 0, 0])
})
