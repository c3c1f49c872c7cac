// What the config means to one worker: totals are shared out, the rest is as written.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultPolicy, openFileLimit, toDataPlaneSettings } from '#src/config/data-plane.ts'
import { loadConfig } from '#src/config/load.ts'
import type { Config } from '#src/config/schema.ts'

function config(text: string): Config {
  const loaded = loadConfig({ text, env: {} })
  assert.ok(loaded.ok)
  return loaded.config
}

test('totals are shared out among the workers, limits for one endpoint and worker are not', () => {
  const given = config('limits: { connections: 1000, connectionsPerAddress: 10, exchanges: 50 }\nupstream: { connections: 7 }')
  const { limits, upstream, retryBudget } = toDataPlaneSettings(given, 4, 'serai-1', 1024)
  assert.deepEqual(limits, { headBytes: 32768, headers: 100, connections: 250, connectionsPerAddress: 3, exchanges: 13 })
  assert.equal(upstream.connections, 7)
  assert.deepEqual(retryBudget, { ratio: 0.2, floorPerSecond: 2.5 })
})

for (const { files, workers, expect } of [
  { files: 1024, workers: 1, expect: 409 },
  { files: 65_536, workers: 2, expect: 13_107 },
  { files: 10, workers: 1, expect: 64 },
  { files: Number.MAX_SAFE_INTEGER, workers: 4, expect: 25_000 },
]) {
  test(`connections: auto, with ${files} open files and ${workers} workers, are ${expect} each`, () => {
    const { limits } = toDataPlaneSettings(config(''), workers, 'serai-1', files)
    assert.equal(limits.connections, expect)
    assert.equal(limits.connectionsPerAddress, 0)
  })
}

test('everything else arrives as it was written', () => {
  const given = config([
    'listeners: { web: { address: "[::1]:8080", redirect: "https:8443", proxyProtocol: [10.2.0.0/16] }, all: { address: ":8081" } }', 'trust: { forwarded: [10.0.0.0/8] }', 'log: { access: { target: off, sample: 0.5 } }',
    'client: { head: 1s, body: 2s, keepAlive: 3s, handshake: 4s }', 'tls: { minVersion: 1.3, hsts: { maxAge: 365d, includeSubdomains: true } }', 'upstream: { connect: 4s, keepAlive: 5s, connections: 6, idle: 7, queue: 8, queueTime: 9s, dns: [127.0.0.1:5300], head: 14s, body: 15s }',
    'tunnel: { idle: 10s, afterRemoval: 11s }', 'defaults: { eject: { failures: 2, time: 12s, slowStart: 13s, panic: false, status: [503] }, retry: { attempts: 1, timeout: 16s }, timeout: { total: 17s } }',
  ].join('\n'))
  const { limits, retryBudget, ...settings } = toDataPlaneSettings(given, 1, 'serai-1', 1024)
  assert.deepEqual(structuredClone(settings), {
    listeners: [
      { name: 'web', host: '::1', port: 8080, tls: false, redirectPort: 8443, proxyProtocol: ['10.2.0.0/16'], h2c: false },
      { name: 'all', host: '', port: 8081, tls: false, redirectPort: 0, proxyProtocol: [], h2c: false },
    ],
    trustedPeers: ['10.0.0.0/8'],
    client: { headMs: 1000, bodyMs: 2000, keepAliveMs: 3000 },
    tls: { handshakeMs: 4000, minVersion: 'TLSv1.3', clients: [], hsts: 'max-age=31536000; includeSubDomains', tellFailures: false },
    upstream: { connectMs: 4000, keepAliveMs: 5000, connections: 6, idle: 7, queue: 8, queueMs: 9000, dns: ['127.0.0.1:5300'], allowAddresses: [], ca: '' },
    tunnel: { idleMs: 10_000, afterRemovalMs: 11_000 },
    eject: { failures: 2, timeMs: 12_000, slowStartMs: 13_000, panic: false },
    accessLog: { enabled: false, sample: 0.5 },
    via: 'serai-1',
  })
  assert.deepEqual(defaultPolicy(given), {
    retryAttempts: 1, retryTimeoutMs: 16_000, headTimeoutMs: 14_000, bodyTimeoutMs: 15_000, totalTimeoutMs: 17_000, upgrades: ['websocket'], ejectStatuses: [503],
  })
  assert.ok(limits.connections > 0 && retryBudget.floorPerSecond === 10)
})

test('the limit on open files is read from the system', () => {
  assert.ok(openFileLimit() >= 64)
})
