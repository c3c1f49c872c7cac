// Why a connection failed: there are always words, since '' would be a success.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failureWords } from '#src/catalog/failure-words.ts'

const made = (fields: object, error: Error = new Error('boom')): Error => Object.assign(error, fields)

test('what an operator meets often has words of its own, and the rest those of Node', () => {
  assert.equal(failureWords(made({ code: 'ECONNREFUSED' })), 'connection refused')
  assert.equal(failureWords(made({ code: 'ERR_SSL_WRONG_VERSION_NUMBER', reason: 'wrong version number' })), 'TLS: wrong version number')
  assert.equal(failureWords(made({ code: 'EOTHER' })), 'boom')
})

test('where all addresses of a name failed, Node’s error has no message: it is a failure all the same', () => {
  assert.equal(failureWords(made({ code: 'EHOSTUNREACH' }, new AggregateError([]))), 'no way to the host')
  assert.equal(failureWords(made({ code: 'ETIMEDOUT' }, new AggregateError([]))), 'ETIMEDOUT')
  assert.equal(failureWords(new AggregateError([])), 'failed')
})
