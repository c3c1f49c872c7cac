// Loads the config: file, environment and flags into one checked whole, or every mistake in them at once.
import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { explain, valueAt } from './explain.ts'
import { configKeys } from './keys.ts'
import { compareMistakes, type Mistake } from './mistake.ts'
import { fromEnvironment, fromFlags, type Override } from './overrides.ts'
import { resolvePaths } from './paths.ts'
import { configSchema, type Config } from './schema.ts'
import { parseText, readText } from './source.ts'

export interface LoadInput {
  /** The file as the user named it; without it `SERAI_CONFIG`, `./serai.yaml` if there is one, else no file. */
  readonly file?: string | undefined
  /** The text in place of reading the file, which then only names it. */
  readonly text?: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Values by dotted path, as given on the command line. */
  readonly flags?: Readonly<Record<string, string>>
  /** Values by dotted path that hold where nothing else says so: the defaults of a command (no lame duck on a terminal). */
  readonly defaults?: Readonly<Record<string, string>>
}

export type LoadResult =
  /** `source` is the file that was read, absolute; undefined: there was none. */
  | { readonly ok: true; readonly config: Config; readonly source: string | undefined }
  /** Sorted; never empty. */
  | { readonly ok: false; readonly mistakes: readonly Mistake[] }

/** Loads and checks the config; flags go before variables, those before the file, that before defaults. Reads the file synchronously; never throws. */
export function loadConfig(input: LoadInput): LoadResult {
  const name = input.file ?? (input.env['SERAI_CONFIG'] || undefined) ?? (input.text === undefined && existsSync('serai.yaml') ? 'serai.yaml' : undefined)
  const text = input.text ?? (name === undefined ? '' : readText(resolve(name), name))
  if (typeof text !== 'string') return { ok: false, mistakes: [text] }

  const keys = configKeys()
  const file = parseText(text, name ?? 'config')
  const environment = fromEnvironment(input.env, keys)
  const flags = fromFlags(input.flags ?? {}, keys)
  const fallbacks = fromFlags(input.defaults ?? {}, keys)
  const overrides = [...environment.values, ...flags.values]
  const tree = withDefaultHttps(layer(file.tree, fallbacks.values, overrides))

  const parsed = configSchema.safeParse(tree ?? {})
  const found = parsed.success ? [] : parsed.error.issues.flatMap((issue) => explain(issue, { tree, keys, overrides, file, name: name ?? 'config' }))
  const mistakes = [...file.mistakes, ...afterSyntax(found, file.mistakes), ...environment.mistakes, ...flags.mistakes, ...fallbacks.mistakes]
  if (mistakes.length > 0 || !parsed.success) return { ok: false, mistakes: mistakes.sort(compareMistakes) }
  return { ok: true, config: resolvePaths(parsed.data, name === undefined ? process.cwd() : dirname(resolve(name))), source: name && resolve(name) }
}

// What a broken line was taken for is no second mistake of the user's; a key written twice breaks nothing.
const afterSyntax = (found: readonly Mistake[], syntax: readonly Mistake[]): Mistake[] =>
  found.filter(({ line }) => line === 0 || !syntax.some((broken) => broken.line === line && broken.path === ''))

type Tree = Record<string, unknown>
const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value)

function layer(tree: unknown, fallbacks: readonly Override[], overrides: readonly Override[]): unknown {
  let result = tree
  for (const { path, value } of fallbacks) if (valueAt(result, path) === undefined) result = withValue(result, path, value)
  for (const { path, value } of overrides) result = withValue(result, path, value)
  return result
}

/** Certificates and no word of listeners: both usual ports. */
function withDefaultHttps(tree: unknown): unknown {
  const certificates = valueAt(tree, ['tls', 'certificates'])
  const plain = valueAt(tree, ['listeners']) !== undefined || !Array.isArray(certificates) || certificates.length === 0
  return plain ? tree : withValue(tree, ['listeners'], { http: { address: ':80' }, https: { address: ':443', tls: true } })
}

/** A copy with one value set. What is no mapping stays as it is: it is a mistake to be told. */
function withValue(tree: unknown, [name, ...rest]: readonly string[], value: unknown): unknown {
  if (name === undefined) return value
  if (tree !== undefined && tree !== null && !isTree(tree)) return tree
  return { ...tree, [name]: withValue(tree?.[name], rest, value) }
}
