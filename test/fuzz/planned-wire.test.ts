// A short run between peers that keep the protocol; `npm run fuzz` is the long one. FUZZ_SEED replays what a failure printed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzGrpcWeb } from './grpc-web-wire.ts'
import { fuzzPlanned } from './planned-wire.ts'

test('whatever clients and services of HTTP/1.1 and HTTP/2 do within the rules, with and without TLS, what arrives is what was sent, or an error', async (t) => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  t.diagnostic(`FUZZ_SEED=${seed}`)
  const { exchanges, tunnels, whole, undisturbed, octets } = await fuzzPlanned(seed, 50)
  t.diagnostic(`${exchanges} exchanges and ${tunnels} tunnels, ${whole} of them whole; ${octets} octets`)
  assert.ok(undisturbed > 0 && whole >= undisturbed && whole < exchanges + tunnels)
})

test('whatever the pieces of gRPC-Web, each message arrives as it was sent, or the call fails', async (t) => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  t.diagnostic(`FUZZ_SEED=${seed}`)
  const { calls, whole, messages } = await fuzzGrpcWeb(seed, 150)
  t.diagnostic(`${calls} calls, ${whole} of them whole; ${messages} messages`)
  assert.ok(whole > 0 && whole < calls)
})
