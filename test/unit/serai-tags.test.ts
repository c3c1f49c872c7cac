// Properties of the tag reader: order is nothing to it, and no tag can widen or open a route.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readSeraiTags } from '#src/tags/serai.ts'
import { tagKeys } from '#src/tags/keys.ts'

const name = fc.constantFrom(...tagKeys.map(({ name }) => name.replace('*', 'x')), 'wieght', 'router', 'router.b', '')
const value = fc.constantFrom('', 'true', 'false', 'a.example.org', '*.b.example.org, c.example.org', '/api', '=/x, /y/', '~x', '10', '5s', 'https', 'rr', 'websocket', '*', 'ä', '0')
const tag = fc.tuple(fc.constantFrom('serai.', 'serai.router.b.', 'SERAI.', 'other.'), name, fc.constantFrom('=', ' = ', ''), value).map((parts) => parts.join(''))
const tags = fc.array(tag, { maxLength: 8 })
const read = (list: readonly string[]): ReturnType<typeof readSeraiTags> => readSeraiTags(list, 'serai', { defaultHost: '' })

test('the order of tags changes nothing', () => {
  fc.assert(fc.property(tags.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))), ([list, shuffled]) => {
    assert.deepEqual(read(shuffled), read(list))
  }), { numRuns: 3000 })
})

test('one more tag that is not understood opens nothing: what is then served was served before, under the same match and policy', () => {
  const wrong = fc.constantFrom('serai.nonsense=1', 'serai.router.b.nonsense=1', 'serai.host=*', 'serai.path=x', 'serai.host', 'serai.auth.basic=users', 'serai.scheme=nonsense', 'serai.rule=x')
  fc.assert(fc.property(tags, wrong, (list, extra) => {
    const served = (of: readonly string[]): string[] => read(of).routers.filter(({ refuse }) => refuse === '').map((router) => JSON.stringify(router))
    const before = read(list)
    // Where all was refused for a key that names no router, a first tag of the unnamed one tells whose that key is.
    fc.pre(!before.problems.some(({ router }) => router === ''))
    const after = served([...list, extra])
    if (before.enabled) for (const router of after) assert.ok(served(list).includes(router), router)
    else assert.deepEqual(after, [])
  }), { numRuns: 3000 })
})

test('anything at all is read without an exception', () => {
  const any = fc.string({ unit: 'binary', maxLength: 40 }).map((text) => `serai.${text}`)
  fc.assert(fc.property(fc.array(fc.oneof(any, tag), { maxLength: 6 }), (list) => {
    for (const { matches } of read(list).routers) assert.ok(matches.length > 0)
  }), { numRuns: 3000 })
})

test('every router that is not as its tags say has a problem beside it', () => {
  fc.assert(fc.property(tags, (list) => {
    const { routers, problems } = read(list)
    for (const { name: router, refuse } of routers) {
      if (refuse === 'problem') assert.ok(problems.some((problem) => problem.router === router || problem.router === ''), router)
      else assert.ok(!problems.some((problem) => problem.router === router || problem.router === ''), router)
    }
  }), { numRuns: 3000 })
})
