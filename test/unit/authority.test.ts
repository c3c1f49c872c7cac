// Host and port: what every server reads in the same way, and nothing else.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseAuthority } from '#src/http1/authority.ts'

const taken: readonly (readonly [text: string, host: string, port: string])[] = [
  ['a', 'a', ''], ['A.Example.ORG', 'a.example.org', ''], ['a.example.org.', 'a.example.org', ''], ['a:80', 'a', '80'], ['a:', 'a', ''], ['a.:65535', 'a', '65535'], ['1.2.3.4:5', '1.2.3.4', '5'],
  ['a_b-c.d', 'a_b-c.d', ''], ['[::1]', '[::1]', ''], ['[2001:DB8::1]:443', '[2001:db8::1]', '443'], ['[::ffff:1.2.3.4]', '[::ffff:1.2.3.4]', ''], ['xn--bcher-kva.example', 'xn--bcher-kva.example', ''],
]
for (const [text, host, port] of taken) test(`${text} is ${host} and ${port || 'no port'}`, () => { assert.deepEqual(parseAuthority(text), { host, port }) })

const refused = ['', '.', ':80', 'a..b', '.a', 'a..', '-a', '_a', 'a b', ' a', 'a ', 'a,b', 'a/b', 'a?b', 'a#b', 'a@b', 'u:p@a', 'a\\b', '%61', 'a:b', 'a:-1', 'a:65536', 'a:000080', 'a:1:2', '::1', '[::1', '::1]',
  '[::1]a', '[]', '[::g]', '[1.2.3.4]', '[fe80::1%1]', '[v1.a]', '*', '*.a', 'ä', '\xe4', 'a\0', 'a\r\nb', 'a;b', 'a"b', `${'a'.repeat(256)}`]
for (const text of refused) test(`${JSON.stringify(text.slice(0, 40))} is refused`, () => { assert.equal(parseAuthority(text), undefined) })
