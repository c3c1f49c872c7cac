// Reason phrases: those that node:http has, which workers do not load for them.
import assert from 'node:assert/strict'
import { STATUS_CODES } from 'node:http'
import { test } from 'node:test'
import { REASON_PHRASES } from '#src/http1/reason-phrases.ts'

test('every status that Node knows has its phrase', () => {
  assert.deepEqual(REASON_PHRASES, { ...STATUS_CODES })
})
