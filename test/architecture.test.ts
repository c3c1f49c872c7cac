// The shape of src/, held by a test: who may import whom, what a worker loads, sizes, names, and what no file may do.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { basename } from 'node:path'
import ts from 'typescript'
import { readSources } from './support/sources.ts'
import type { Import, Source } from './support/sources.ts'

/** From the top down: a part imports only what stands on a lower line. A part is a folder of src/, or a file that is named. */
const levels: readonly (readonly string[])[] = [
  ['main.ts'],
  ['commands'],
  ['control', 'admin', 'development'],
  ['worker.ts'],
  ['certificates'],
  ['proxy', 'catalog', 'tags'],
  ['downstream', 'upstream', 'routing', 'middleware'],
  ['http2'],
  ['io', 'http1', 'tls', 'observe', 'config', 'registry'],
  ['messages.ts'],
  ['snapshot.ts', 'catalog/catalog.ts'],
]

/** What a data-plane thread must not load: it costs memory in each of them, and none of it belongs to a request. */
const notInWorkers = {
  packages: ['node:http', 'undici', 'zod', 'yaml', 'pino', 'prom-client', 'acme-client'],
  parts: ['config', 'control', 'admin', 'commands', 'catalog', 'certificates', 'tags', 'development'],
} as const

const MAX_LINES = 400
const badNames = ['utils', 'util', 'helpers', 'helper', 'types', 'index', 'common', 'misc']

const sources = readSources()
const all = [...sources.values()]

const partOf = (path: string): string => levels.flat().find((part) => path === part) ?? path.split('/')[0] ?? path
const levelOf = (path: string): number => levels.findIndex((parts) => parts.includes(partOf(path)))

test('every file of src/ belongs to a part with a level', () => {
  assert.deepEqual(all.filter(({ path }) => levelOf(path) < 0).map(({ path }) => path), [])
})

test('imports point down, and siblings do not import each other', () => {
  const wrong = all.flatMap((source) => ownImports(source)
    .filter(({ target }) => partOf(target) !== partOf(source.path) && levelOf(target) <= levelOf(source.path))
    .map(({ target, line }) => `src/${source.path}:${line} imports ${target}`))
  assert.deepEqual(wrong, [])
})

test('imports name files that exist, and cross folders by #src/', () => {
  const wrong = all.flatMap((source) => [
    ...ownImports(source).filter(({ target }) => !sources.has(target)).map(({ specifier, line }) => `src/${source.path}:${line}: no such file: ${specifier}`),
    ...source.imports.filter(({ specifier, target }) => target !== undefined && specifier.startsWith('../')).map(({ specifier, line }) => `src/${source.path}:${line}: ${specifier} should begin with #src/`),
  ])
  assert.deepEqual(wrong, [])
})

test('no cycles, type imports included', () => {
  assert.deepEqual(findCycles(), [])
})

test('a worker loads nothing of the control plane', () => {
  if (!sources.has('worker.ts')) return
  const wrong: string[] = []
  const seen = new Map([['worker.ts', 'worker.ts']])
  for (const [path, way] of seen) {
    if (notInWorkers.parts.some((part) => path.startsWith(`${part}/`))) wrong.push(way)
    for (const { target, specifier, erased, dynamic } of sources.get(path)?.imports ?? []) {
      if (erased || dynamic) continue
      const name = specifier.split('/')[0] ?? ''
      if (target === undefined && notInWorkers.packages.some((each) => each === name)) wrong.push(`${way} → ${specifier}`)
      if (target !== undefined && !seen.has(target)) seen.set(target, `${way} → ${target}`)
    }
  }
  assert.deepEqual(wrong, [])
})

test('files are small', (t) => {
  const sizes = all.map(({ path, lines }) => ({ path, lines })).sort((a, b) => a.lines - b.lines)
  const median = sizes[Math.floor(sizes.length / 2)]?.lines ?? 0
  const largest = sizes.slice(-3).reverse().map(({ path, lines }) => `${lines} ${path}`).join(', ')
  t.diagnostic(`files: ${sizes.length}, lines: ${sizes.reduce((sum, { lines }) => sum + lines, 0)}, median: ${median}, largest: ${largest}`)
  assert.deepEqual(sizes.filter(({ lines }) => lines > MAX_LINES).map(({ path, lines }) => `src/${path} has ${lines} lines (at most ${MAX_LINES})`), [])
})

test('the first line of a file is a comment that says its purpose', () => {
  const wrong = all.filter(({ text }) => !/^\/\/ \S.{15,}/.test(text.replace(/^#!.*\n/, '')))
  assert.deepEqual(wrong.map(({ path }) => `src/${path}`), [])
})

test('files are named by what they are, in kebab-case', () => {
  const wrong = all.filter(({ path }) => {
    const name = basename(path, '.ts')
    return badNames.includes(name) || !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)
  })
  assert.deepEqual(wrong.map(({ path }) => `src/${path}`), [])
})

test('only main.ts ends the process', () => {
  forbid((node, path) => path !== 'main.ts' && ts.isPropertyAccessExpression(node) && node.getText() === 'process.exit')
})

test('no module holds mutable state: no `let` or `var` at the top of a file', () => {
  forbid((node) => ts.isVariableStatement(node) && ts.isSourceFile(node.parent) && (node.declarationList.flags & ts.NodeFlags.Const) === 0)
})

test('no `any`', () => {
  forbid((node) => node.kind === ts.SyntaxKind.AnyKeyword)
})

test('no check is silenced', () => {
  const silencers = /@ts-(ignore|expect-error|nocheck)|eslint-disable/
  assert.deepEqual(all.filter(({ text }) => silencers.test(text)).map(({ path }) => `src/${path}`), [])
})

function ownImports(source: Source): (Import & { readonly target: string })[] {
  return source.imports.filter((each): each is Import & { readonly target: string } => each.target !== undefined)
}

/** Fails with the place of every syntax node of src/ that `isForbidden` finds. */
function forbid(isForbidden: (node: ts.Node, path: string) => boolean): void {
  const found: string[] = []
  for (const { path, file } of all) {
    const visit = (node: ts.Node): void => {
      if (isForbidden(node, path)) found.push(`src/${path}:${file.getLineAndCharacterOfPosition(node.getStart()).line + 1}: ${node.getText().slice(0, 80)}`)
      ts.forEachChild(node, visit)
    }
    visit(file)
  }
  assert.deepEqual(found, [])
}

/** Each cycle once, as the way round it. */
function findCycles(): string[] {
  const cycles: string[] = []
  const done = new Set<string>()
  const walk = (path: string, way: readonly string[]): void => {
    const at = way.indexOf(path)
    if (at >= 0) cycles.push([...way.slice(at), path].join(' → '))
    if (at >= 0 || done.has(path)) return
    for (const target of new Set(sources.get(path)?.imports.flatMap((each) => each.target ?? []))) walk(target, [...way, path])
    done.add(path)
  }
  for (const { path } of all) walk(path, [])
  return cycles
}
