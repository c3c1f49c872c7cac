// Field lines: the strict scan, and the few questions that are asked of a block of them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createClassifier, FieldScanner, fieldValue, listMembers, parseLength, withoutFields } from '#src/http1/fields.ts'

function scan(text: string, max = 10): { readonly pairs: readonly string[]; readonly fault: string } {
  const scanner = new FieldScanner(text, 0, max)
  const pairs: string[] = []
  while (scanner.next()) pairs.push(`${scanner.name()}=${scanner.value()}${scanner.unusual ? '!' : ''}`)
  return { pairs, fault: scanner.fault }
}

test('names in lower case, values without the white space around them', () => {
  assert.deepEqual(scan('A: b\r\nX-Y:\t c d \t\r\nEmpty:\r\nBlank: \r\nx_y:1\r\nx.y:1\r\n'), { pairs: ['a=b', 'x-y=c d', 'empty=', 'blank=', 'x_y=1!', 'x.y=1!'], fault: '' })
})

const bad: readonly (readonly [text: string, fault: string])[] = [
  [' A: b\r\n', 'folded line'], ['\tA: b\r\n', 'folded line'], ['A : b\r\n', 'bad field name'], [': b\r\n', 'bad field name'], ['A\r\n', 'bad field name'], ['A', 'bad field name'], ['\r\n', 'bad field name'],
  ['\xc4: b\r\n', 'bad field name'], ['A: b\0\r\n', 'bad field value'], ['A: b\n', 'bad field value'], ['A: b\x7f\r\n', 'bad field value'], ['A: b', 'bad field value'], ['A: b\rC\r\n', 'bare CR'], ['A: b\r', 'bare CR'],
]
for (const [text, fault] of bad) test(`refused: ${JSON.stringify(text)}`, () => { assert.deepEqual(scan(text), { pairs: [], fault }) })

test('no more fields than allowed', () => {
  assert.deepEqual(scan('A: 1\r\nB: 2\r\n', 2).fault, '')
  assert.deepEqual(scan('A: 1\r\nB: 2\r\nC: 3\r\n', 2), { pairs: ['a=1', 'b=2'], fault: 'too many fields' })
})

test('values of a field, and a block without some', () => {
  const block = 'A: 1\r\nBb: 2\r\na: 3\r\n'
  assert.equal(fieldValue(block, 'a'), '1, 3')
  assert.equal(fieldValue(block, 'c'), undefined)
  assert.equal(withoutFields(block, new Set(['a'])), 'Bb: 2\r\n')
})

test('the value of a field is what a scan of all lines finds', () => {
  const name = fc.constantFrom('a', 'A', 'ab', 'aB', 'a-b', 'A-B', 'x', 'b')
  const value = fc.constantFrom('', 'a', 'a: b', 'ab:', ' spaced\t', '\xa0voil\xc3\xa0', '1, 2')
  fc.assert(fc.property(fc.array(fc.tuple(name, fc.constantFrom(':', ': ', ':\t '), value), { maxLength: 6 }), name, (lines, asked) => {
    const block = lines.map(([each, colon, said]) => `${each}${colon}${said}\r\n`).join('')
    const lowerName = asked.toLowerCase()
    const said = scan(block).pairs.filter((pair) => pair.startsWith(`${lowerName}=`)).map((pair) => pair.slice(lowerName.length + 1))
    assert.equal(fieldValue(block, lowerName), said.length === 0 ? undefined : said.join(', '))
  }))
})

test('lengths are decimal digits that a number can hold', () => {
  assert.deepEqual(['0', '007', '999999999999999'].map(parseLength), [0, 7, 999999999999999])
  for (const text of ['', '+1', '-1', '1.0', '1e3', '0x1', ' 1', '1 ', '1,1', '1_0', '٣', '9999999999999999']) assert.equal(parseLength(text), -1, text)
})

test('lists, without their empty members', () => {
  assert.deepEqual(listMembers(' A , ,b,,c '), ['a', 'b', 'c'])
  assert.deepEqual(listMembers(' , '), [])
})

test('known names are told apart whatever their case', () => {
  const classify = createClassifier({ host: 1, hose: 2, 'content-length': 3 })
  const kind = (name: string): number => classify(`--${name}--`, 2, 2 + name.length)
  assert.deepEqual(['HOST', 'host', 'hosE', 'Content-LENGTH', 'most', 'hos', '', 'x'.repeat(50)].map(kind), [1, 1, 2, 3, 0, 0, 0, 0])
})
