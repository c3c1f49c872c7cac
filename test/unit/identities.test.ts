// Who we are under a name: exact before wildcard, one of each kind of key, the newest; and what names may share.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Certificate } from '#src/messages.ts'
import type { ClientPolicy } from '#src/snapshot.ts'
import { Identities } from '#src/tls/identities.ts'
import { subjectText } from '#src/tls/subject.ts'

const certificate = (id: string, names: readonly string[], given: Partial<Certificate> = {}): Certificate =>
  ({ id, version: `${id}-1`, names, isDefault: false, kind: 'ec', notBefore: 0, cert: new Uint8Array(), key: new Uint8Array(), ...given })
const policy = (id: string, ...hosts: string[]): ClientPolicy => ({ id, hosts, mode: 'require', ca: '' })
const found = (identities: Identities, name: string): readonly string[] | undefined => identities.find(name)?.certificates.map(({ id }) => id)

test('exact, then the wildcard of one label, then the default; nobody without one', () => {
  const identities = new Identities()
  identities.change([certificate('exact', ['a.example.org']), certificate('wild', ['*.example.org', 'example.org'])], [])
  assert.deepEqual(['a.example.org', 'b.example.org', 'example.org', 'x.a.example.org', 'org', ''].map((name) => found(identities, name)),
    [['exact'], ['wild'], ['wild'], undefined, undefined, undefined])
  identities.change([certificate('default', [], { isDefault: true })], ['exact'])
  assert.deepEqual(['a.example.org', 'x.a.example.org', ''].map((name) => found(identities, name)), [['wild'], ['default'], ['default']])
})

test('one of each kind of key, the one issued last; a renewal changes the key of the context and not the scope', () => {
  const identities = new Identities()
  identities.change([certificate('old', ['a.test'], { notBefore: 1 }), certificate('new', ['a.test'], { notBefore: 2 }), certificate('rsa', ['a.test'], { kind: 'rsa' })], [])
  assert.deepEqual(found(identities, 'a.test'), ['new', 'rsa'])
  const before = identities.find('a.test')!
  identities.change([certificate('new', ['a.test'], { notBefore: 3, version: 'new-2' })], [])
  const after = identities.find('a.test')!
  assert.equal(after.scope, before.scope)
  assert.notEqual(after.key, before.key)
})

test('names share a scope when certificates and policy are the same', () => {
  const identities = new Identities()
  identities.change([certificate('all', ['a.test', 'b.test', 'c.test', 'd.other.test'])], [])
  identities.govern([policy('p', 'a.test', 'b.test'), policy('q', '*.other.test')])
  const scope = (name: string): string | undefined => identities.find(name)?.scope
  assert.equal(scope('a.test'), scope('b.test'))
  assert.equal(new Set(['a.test', 'c.test', 'd.other.test'].map(scope)).size, 3)
  identities.govern([policy('any', '*')])
  assert.equal(scope('a.test'), scope('d.other.test'))
  assert.equal(identities.find('')?.policy, undefined)
})

test('ten thousand certificates: each is found, and a change of one does not take long', (t) => {
  const identities = new Identities()
  const all = Array.from({ length: 10_000 }, (_, at) => certificate(`c${at}`, [`h${at}.example.org`]))
  identities.change(all, [])
  const begun = performance.now()
  identities.change([certificate('c5000', ['h5000.example.org'], { version: 'renewed' })], [])
  const changed = performance.now() - begun
  assert.equal(identities.find('h5000.example.org')?.key, 'renewed')
  assert.deepEqual(found(identities, 'h9999.example.org'), ['c9999'])
  t.diagnostic(`one change: ${changed.toFixed(1)} ms`)
})

test('a subject is one line of visible ASCII', () => {
  assert.equal(subjectText('C=DE\nO=Acme\\, Inc\nCN=Ål 100%'), 'CN=%C3%85l 100%25,O=Acme\\, Inc,C=DE')
  assert.equal(subjectText(undefined), '')
  assert.equal(subjectText(`CN=${'x'.repeat(5000)}`).length, 1024)
})
