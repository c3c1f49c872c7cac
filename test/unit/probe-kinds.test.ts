// Which probe the tags of an instance make.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deriveProbe } from '#src/catalog/nomad/probe-rule.ts'
import type { ProbeSpec } from '#src/catalog/catalog.ts'
import { healthKeys } from '#src/tags/health.ts'

const read = healthKeys('serai')
const shown = (probe: ProbeSpec | undefined): string => {
  switch (probe?.kind) {
    case undefined: return 'none'
    case 'tcp': return 'tcp'
    case 'http': return `${probe.secure ? 'https' : 'http'} ${probe.http2 ? 'HTTP/2' : 'HTTP/1.1'} ${probe.method} ${probe.path}`
    case 'grpc': return `${probe.secure ? 'grpcs' : 'grpc'} '${probe.service}' of '${probe.authority}'`
  }
}

const cases: readonly (readonly [tags: string, expect: string])[] = [
  ['', 'none'],
  ['scheme=grpc', 'none'],
  ['health=probe scheme=grpc', 'none'],
  ['probe.interval=5s', 'tcp'],
  ['probe.type=tcp scheme=grpc', 'tcp'],
  ['probe.path=/health', 'http HTTP/1.1 GET /health'],
  ['probe.type=http', 'http HTTP/1.1 GET /'],
  ['probe.path=/health scheme=https', 'https HTTP/1.1 GET /health'],
  ['probe.path=/health scheme=h2c', 'http HTTP/2 GET /health'],
  ['probe.path=/health scheme=h2', 'https HTTP/2 GET /health'],
  ['probe.path=/health scheme=grpc', 'http HTTP/2 GET /health'],
  ['probe.type=http scheme=grpcs', 'https HTTP/2 GET /'],
  ['probe.path=/health scheme=grpc probe.port=9000', 'http HTTP/1.1 GET /health'],
  ['probe.interval=5s scheme=grpc', "grpc '' of ''"],
  ['probe.interval=5s scheme=grpcs', "grpcs '' of ''"],
  ['probe.interval=5s scheme=h2c', 'tcp'],
  ['probe.service=shop.Cart', "grpc 'shop.Cart' of ''"],
  ['probe.service=shop.Cart scheme=h2', "grpcs 'shop.Cart' of ''"],
  ['probe.type=grpc', "grpc '' of ''"],
  ['probe.type=grpc scheme=https probe.host=a.example.org', "grpcs '' of 'a.example.org'"],
  ['probe.type=grpc scheme=grpc probe.port=9000', "grpc '' of ''"],
]
for (const [tags, expect] of cases) {
  test(tags === '' ? 'no tag' : tags, () => { assert.equal(shown(read(tags.split(' ').map((tag) => `serai.${tag}`)).probe), expect) })
}

test('what stands for a check of the job is HTTP/1.1, as Nomad’s client makes it', () => {
  const check = { name: 'up', kind: 'http', intervalMs: 1000, timeoutMs: 1000, portLabel: '', https: true, method: 'GET', path: '/health', headers: {}, body: '' } as const
  assert.equal(shown(deriveProbe([check])), 'https HTTP/1.1 GET /health')
})
