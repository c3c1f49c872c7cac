// The normal form of paths: its cases, and that it is one.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { normalisePath } from '#src/routing/path.ts'

const cases: readonly (readonly [given: string, expect: string | undefined])[] = [
  ['/', '/'],
  ['/a/b', '/a/b'],
  ['/a/b/', '/a/b/'],
  ["/a;v=1,2!$&'()*+=:@~_-.x", "/a;v=1,2!$&'()*+=:@~_-.x"],
  ['/a|b^c[d]{e}', '/a|b^c[d]{e}'],
  ['/.well-known/x', '/.well-known/x'],
  ['/a.b/...', '/a.b/...'],
  ['//admin', '/admin'],
  ['/a//b///c', '/a/b/c'],
  ['//', '/'],
  ['/./a', '/a'],
  ['/a/.', '/a/'],
  ['/x/../admin', '/admin'],
  ['/a/b/..', '/a/'],
  ['/a/..', '/'],
  ['/a//../b', '/b'],
  ['/..', undefined],
  ['/a/../../b', undefined],
  ['/%61dmin', '/admin'],
  ['/%7euser%2D%5f%2e', '/~user-_.'],
  ['/x/%2e%2E/admin', '/admin'],
  ['/%2e%2e/a', undefined],
  ['/%e4%c3%BC', '/%E4%C3%BC'],
  ['/a%25b', '/a%25b'],
  ['/a%252fb', '/a%252fb'],
  ['/a%20b%3f%23', '/a%20b%3F%23'],
  ['/a%2fb', undefined],
  ['/a%5Cb', undefined],
  ['/a%00', undefined],
  ['/a\\b', undefined],
  ['/%zz', undefined],
  ['/%4', undefined],
  ['/%', undefined],
  ['/%%32%35', undefined],
  ['/a b', undefined],
  ['/a\tb', undefined],
  ['/a\x7fb', undefined],
  ['/ä', undefined],
  ['/€', undefined],
  ['/a?b', undefined],
  ['/a#b', undefined],
  ['a/b', undefined],
  ['*', undefined],
  ['', undefined],
]

for (const [given, expect] of cases) {
  test(`path ${JSON.stringify(given)} becomes ${JSON.stringify(expect)}`, () => {
    assert.equal(normalisePath(given), expect)
  })
}

const piece = fc.constantFrom('/', '/', '.', '..', '%', '%2', '%2e', '%2E', '%61', '%25', '%e4', '%2f', '%3', '35', 'a', 'Z', '~', '\\', ' ', 'ä', '*', ';')

test('a normal form stays as it is, and has nothing that could be read in two ways', () => {
  fc.assert(fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
    const once = normalisePath(`/${pieces.join('')}`)
    if (once === undefined) return
    assert.equal(normalisePath(once), once)
    assert.match(once, /^\/(?!.*(\/\/|\\|%2F|%5C|%00|%[0-9A-F]?[a-f]))/)
    assert.ok(!once.split('/').some((segment) => segment === '.' || segment === '..'), once)
  }), { numRuns: 5000 })
})

test('what is escaped with care comes out as it went in', () => {
  const segment = fc.string({ minLength: 1, maxLength: 8 }).map(encodeURIComponent).filter((text) => !/%(2F|5C|00)|^\.\.?$/.test(text))
  fc.assert(fc.property(fc.array(segment, { maxLength: 5 }), (segments) => {
    const path = `/${segments.join('/')}`
    assert.equal(normalisePath(path), path)
  }))
})
