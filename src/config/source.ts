// The config's YAML text: read with bounds, parsed into plain data, with the position of every key and value.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit, type Document, type Node, type YAMLError } from 'yaml'
import type { Mistake } from './mistake.ts'

const MOST_BYTES = 1024 * 1024

export interface Position {
  readonly line: number
  readonly column: number
}

/** A config's text, parsed as far as it can be. */
export interface Source {
  /** What YAML made of it; undefined when nothing is written. */
  readonly tree: unknown
  readonly mistakes: readonly Mistake[]
  /** Where a value stands (or the name of it); of a path that is not written, where the nearest part above it does. */
  locate(path: readonly PropertyKey[], what: 'name' | 'value'): Position
}

const wrong = (source: string, complaint: string, expected = ''): Mistake =>
  ({ source, line: 0, column: 0, path: '', found: '', complaint, expected })

/** The text of a file, or why it cannot be the config. `name` is how mistakes call it. */
export function readText(path: string, name: string): string | Mistake {
  try {
    const file = openSync(path, 'r')
    try {
      if (fstatSync(file).isDirectory()) return wrong(name, 'is a directory', 'a YAML file')
      const bytes = readAtMost(file, MOST_BYTES + 1)
      if (bytes.length > MOST_BYTES) return wrong(name, 'is too large', 'at most 1 MiB')
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    } finally {
      closeSync(file)
    }
  } catch (error) {
    if (error instanceof TypeError) return wrong(name, 'is not UTF-8 text')
    const { code } = error as NodeJS.ErrnoException
    return wrong(name, code === 'ENOENT' ? 'does not exist' : code === 'EACCES' ? 'may not be read' : `cannot be read: ${code ?? String(error)}`)
  }
}

// A pipe (`<(envsubst < serai.yaml)`) has no size to ask for first.
function readAtMost(file: number, most: number): Buffer {
  const bytes = Buffer.alloc(most)
  let length = 0
  for (let read = -1; read !== 0 && length < most; length += read) read = readSync(file, bytes, length, most - length, null)
  return bytes.subarray(0, length)
}

/** Parses a config's text; `name` is how mistakes call it. Never throws. */
export function parseText(text: string, name: string): Source {
  const lines = new LineCounter()
  // Without known tags, as `!!binary` makes of text what no key may hold.
  const document = parseDocument(text, { resolveKnownTags: false, lineCounter: lines, prettyErrors: false, logLevel: 'error' })
  const positionAt = (offset: number): Position => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const mistakes = [...document.errors, ...document.warnings].map((error) => ({ ...wrong(name, ''), ...positionAt(error.pos[0]), ...explain(error, text) }))
  visit(document, {
    Alias: (_, alias) => {
      if (alias.resolve(document) !== undefined) return
      mistakes.push({ ...wrong(name, 'is an alias of nothing', 'its anchor above it'), ...positionAt(alias.range?.[0] ?? 0) })
    },
  })
  const locate = (path: readonly PropertyKey[], what: 'name' | 'value'): Position => positionAt(offsetOf(document, path, what))
  try {
    // Aliases are counted, so that a few lines cannot become gigabytes.
    return { tree: (document.toJS({ maxAliasCount: 100 }) as unknown) ?? undefined, mistakes, locate }
  } catch {
    if (mistakes.length === 0) mistakes.push({ ...wrong(name, 'has aliases of aliases that grow too large'), line: 1, column: 1 })
    return { tree: undefined, mistakes, locate }
  }
}

// What follows a colon in the parser's messages is a piece of the text, which may be a secret.
function explain(error: YAMLError, text: string): Pick<Mistake, 'path' | 'complaint' | 'expected'> {
  if (error.code === 'DUPLICATE_KEY') {
    return { path: /^[\w-]{1,60}/.exec(text.slice(error.pos[0]))?.[0] ?? '', complaint: 'is written twice', expected: 'once' }
  }
  if (error.code === 'MULTIPLE_DOCS') return { path: '', complaint: 'a second document begins', expected: 'one document' }
  return { path: '', complaint: `is not valid YAML: ${error.message.split(/: |\n/)[0]}`, expected: '' }
}

function offsetOf(document: Document.Parsed, path: readonly PropertyKey[], what: 'name' | 'value'): number {
  let node: Node | null | undefined = document.contents
  let offset = node?.range?.[0] ?? 0
  for (const [at, part] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document)
    if (isMap(node)) {
      // Of a name written twice YAML's plain data has the last.
      const pair = node.items.findLast(({ key }) => isScalar(key) && String(key.value) === String(part))
      if (pair === undefined) return offset
      const name = (pair.key as Node).range?.[0] ?? offset
      node = pair.value as Node | null
      // The value of `client:` with nothing behind it stands where its name does.
      const empty = node === null || (isScalar(node) && node.value === null && node.source === '')
      offset = empty || (what === 'name' && at === path.length - 1) ? name : (node?.range?.[0] ?? name)
    } else if (isSeq(node)) {
      node = node.items[Number(part)] as Node | undefined
      offset = node?.range?.[0] ?? offset
    } else return offset
  }
  return offset
}
