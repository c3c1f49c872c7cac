// A short run over the wire; `npm run fuzz` is the long one. FUZZ_SEED replays what a failure printed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzHttp2Wire } from './http2-wire.ts'
import { fuzzWire } from './wire.ts'

test('whatever clients send, the upstream receives as many requests as Serai counts', async (t) => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  t.diagnostic(`FUZZ_SEED=${seed}`)
  const { streams, requests, refused } = await fuzzWire(seed, 600)
  t.diagnostic(`${streams} streams, ${requests} requests forwarded, ${refused} answered by Serai alone`)
  assert.ok(requests > 0 && refused > 0)
})

test('whatever clients and services say in HTTP/2, the other side sees well-formed HTTP/1.1, and just what was said', async (t) => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  t.diagnostic(`FUZZ_SEED=${seed}`)
  const { streams, requests, answers, whole } = await fuzzHttp2Wire(seed, 200)
  t.diagnostic(`${streams} streams, ${requests} requests forwarded; ${answers} answers, ${whole} of them whole`)
  assert.ok(requests > 0 && requests < streams && whole > 0 && whole < answers)
})
