// Turns what the schema says of a tree into mistakes: in our words, each at its place in the file, variable or flag.
import type * as z from 'zod'
import { keyAt, namesBelow, notBuiltPart, withoutPlaces, type Key } from './keys.ts'
import { formatPath, formatValue, type Mistake } from './mistake.ts'
import { nearest } from './nearest.ts'
import type { Override } from './overrides.ts'
import type { Source } from './source.ts'

/** What a mistake is told with. */
export interface Context {
  /** What was checked: file, variables and flags in one. */
  readonly tree: unknown
  readonly keys: readonly Key[]
  readonly overrides: readonly Override[]
  readonly file: Source
  /** How mistakes call the file. */
  readonly name: string
}

/** Says one of zod's issues in our words, with its place; several unknown keys are one issue. */
export function explain(issue: z.core.$ZodIssue, context: Context): Mistake[] {
  const { keys, tree } = context
  const at = (path: readonly PropertyKey[], what: 'name' | 'value', found: string, complaint: string, expected: string): Mistake =>
    ({ ...placeOf(path, what, context), path: formatPath(path), found, complaint, expected })
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((name) => {
      const path = [...issue.path, name]
      if (notBuiltPart(withoutPlaces(path)) !== undefined) return at(path, 'name', '', 'is not built yet; leave it out', '')
      const known = namesBelow(keys, withoutPlaces(issue.path))
      return { ...at(path, 'name', '', 'is not a known key', known.join(', ')), suggestion: nearest(name, known) }
    })
  }
  if (issue.code === 'invalid_key') return [at(issue.path, 'name', '', 'is not a name', 'lower-case letters, digits and dashes, up to 32')]
  const value = valueAt(tree, issue.path)
  const key = keyAt(keys, withoutPlaces(issue.path))
  if (issue.code === 'invalid_type' && issue.expected !== 'array') {
    // Not the value: where a section should be, it may hold its secret.
    const names = namesBelow(keys, withoutPlaces(issue.path))
    const found = value === null ? 'nothing' : Array.isArray(value) ? 'a list' : 'a single value'
    return [at(issue.path, 'value', found, 'is not a section', names.length > 0 ? `keys such as ${names.slice(0, 3).join(', ')}` : 'names with keys of their own')]
  }
  if (issue.code === 'invalid_type') return [at(issue.path, 'value', formatValue(value), value === undefined ? 'is missing' : 'is not a list', `[${itemOf(key)}, …]`)]
  if (issue.code === 'too_small') return [at(issue.path, 'value', 'a list', 'is too short', `at least ${issue.minimum}`)]
  if (issue.code === 'too_big') return [at(issue.path, 'value', 'a list', 'is too long', `at most ${issue.maximum}`)]
  const expected = String((issue.code === 'custom' && issue.params?.['expected']) || key?.schema.$comment || '')
  if (value === undefined) return [at(issue.path, 'value', '', 'is missing', expected)]
  const found = key?.section === true ? '' : key?.schema.writeOnly === true ? 'what is set' : formatValue(value)
  return [at(issue.path, 'value', found, issue.message, expected)]
}

const itemOf = (key: Key | undefined): string => {
  const { properties, $comment = '' } = key?.schema.items ?? {}
  return properties === undefined ? $comment : `{ ${Object.keys(properties).join(': …, ')}: … }`
}

/** What stands at a path; undefined when nothing does. */
export const valueAt = (tree: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((value, part) => {
    const holds = typeof value === 'object' && value !== null && Object.hasOwn(value, part)
    return holds ? (value as Record<PropertyKey, unknown>)[part] : undefined
  }, tree)

function placeOf(path: readonly PropertyKey[], what: 'name' | 'value', { overrides, file, name }: Context): Pick<Mistake, 'source' | 'line' | 'column'> {
  const override = overrides.findLast((set) => set.path.every((part, at) => part === path[at]))
  return override === undefined ? { source: name, ...file.locate(path, what) } : { source: override.source, line: 0, column: 0 }
}
