// The source of src/ as the architecture test reads it: syntax trees and imports.
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

export interface Import {
  /** As written. */
  readonly specifier: string
  /** The file within src/ that it names; undefined for packages, node's own modules and data (JSON). */
  readonly target: string | undefined
  /** `import type` and `export type`: nothing is loaded at run time. */
  readonly erased: boolean
  /** `import()`: loaded when it is called. */
  readonly dynamic: boolean
  readonly line: number
}

export interface Source {
  /** Relative to src/, with `/`. */
  readonly path: string
  readonly text: string
  readonly lines: number
  readonly file: ts.SourceFile
  readonly imports: readonly Import[]
}

const root = fileURLToPath(new URL('../../src/', import.meta.url))

/** Every TypeScript file of src/ that runs (declarations of foreign types do not), by its path. */
export function readSources(): ReadonlyMap<string, Source> {
  const paths = globSync('**/*.ts', { cwd: root, exclude: ['**/*.d.ts'] }).map((path) => path.replaceAll('\\', '/')).sort()
  return new Map(paths.map((path) => {
    const text = readFileSync(join(root, path), 'utf8')
    const file = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true)
    return [path, { path, text, lines: text.trimEnd().split('\n').length, file, imports: importsOf(file) }]
  }))
}

function importsOf(file: ts.SourceFile): Import[] {
  const found: Import[] = []
  const add = (name: ts.Node | undefined, erased: boolean, dynamic: boolean): void => {
    if (name === undefined || !ts.isStringLiteralLike(name)) return
    const { line } = file.getLineAndCharacterOfPosition(name.getStart())
    found.push({ specifier: name.text, target: targetOf(name.text, file.fileName), erased, dynamic, line: line + 1 })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword, false)
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly, false)
    else if (ts.isImportTypeNode(node)) add(ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, true, false)
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) add(node.arguments[0], false, true)
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found
}

function targetOf(specifier: string, from: string): string | undefined {
  if (specifier.endsWith('.json')) return undefined
  if (specifier.startsWith('#src/')) return specifier.slice('#src/'.length)
  return specifier.startsWith('.') ? join(dirname(from), specifier).replaceAll('\\', '/') : undefined
}
