// What the environment and the command line say instead of the file: `SERAI_CLIENT_HEAD=5s`, `--client.head=5s`.
import { resolve } from 'node:path'
import { keyAt, notBuiltPart, variableOf, type Key } from './keys.ts'
import { formatPath, type Mistake } from './mistake.ts'
import { nearest } from './nearest.ts'
import { isFilePath } from './paths.ts'

/** One value from outside of the file. */
export interface Override {
  readonly path: readonly string[]
  readonly value: unknown
  /** How mistakes call it: the variable or flag. */
  readonly source: string
}

export interface Overrides {
  readonly values: readonly Override[]
  readonly mistakes: readonly Mistake[]
}

/** Reads every `SERAI_*` variable but `SERAI_CONFIG`, which names the file. */
export function fromEnvironment(env: Readonly<Record<string, string | undefined>>, keys: readonly Key[]): Overrides {
  const settable = keys.filter((key) => !key.section && !key.listed)
  const names = Object.keys(env).filter((name) => name.startsWith('SERAI_') && name !== 'SERAI_CONFIG').sort()
  return collect(names, (name) => {
    const path = pathOfVariable(name, settable)
    if (path !== undefined) return overrideAt(path, env[name] ?? '', name, keys)
    const refused = notBuiltVariable(name)
    if (refused !== undefined) return mistake(name, refused, 'is not built yet; leave it out')
    const suggestion = nearest(name, ['SERAI_CONFIG', ...settable.map((key) => variableOf(key.path))])
    return { ...mistake(name, '', 'is not a known variable'), suggestion }
  })
}

/** Reads flags named by dotted paths, without their dashes. */
export function fromFlags(flags: Readonly<Record<string, string>>, keys: readonly Key[]): Overrides {
  return collect(Object.keys(flags).sort(), (flag) => {
    const path = flag.split('.')
    const source = `--${flag}`
    const key = keyAt(keys, path)
    if (key !== undefined && !key.section && !key.listed) return overrideAt(path, flags[flag] ?? '', source, keys)
    const refused = notBuiltPart(path)
    if (refused !== undefined) return mistake(source, refused, 'is not built yet; leave it out')
    if (key?.listed === true || key?.schema.items?.properties !== undefined) return mistake(source, '', 'is part of a list of sections', 'the config file to hold it')
    if (key !== undefined) {
      const inside = keys.find((below) => isBelow(below, path))?.path.join('.')
      return mistake(source, '', 'names a section', `one of its keys, e.g. --${inside}`)
    }
    const near = nearest(flag, keys.filter((known) => !known.section && !known.listed).map((known) => known.path.join('.')))
    return { ...mistake(source, '', 'is not a known key'), suggestion: near && `--${near}` }
  })
}

const isBelow = (key: Key, path: readonly string[]): boolean => !key.section && !key.listed && path.every((name, at) => key.path[at] === name || key.path[at] === '*')

const mistake = (source: string, path: string, complaint: string, expected = ''): Mistake =>
  ({ source, line: 0, column: 0, path, found: '', complaint, expected })

function collect(names: readonly string[], read: (name: string) => Override | Mistake): Overrides {
  const results = names.map(read)
  return { values: results.filter((result) => 'value' in result), mistakes: results.filter((result) => 'complaint' in result) }
}

/** The path that a variable stands for; a name within (`SERAI_LISTENERS_MY_WEB_ADDRESS`) becomes lower case with dashes. */
function pathOfVariable(variable: string, keys: readonly Key[]): readonly string[] | undefined {
  for (const { path } of keys) {
    const [, name] = new RegExp(`^${variableOf(path).replace('*', '([A-Z][A-Z0-9_]*)')}$`).exec(variable) ?? [undefined, undefined]
    if (name !== undefined) return path.map((part) => (part === '*' ? name.toLowerCase().replaceAll('_', '-') : part))
    if (variableOf(path) === variable) return path
  }
  return undefined
}

function notBuiltVariable(variable: string): string | undefined {
  const words = variable.slice('SERAI_'.length).toLowerCase().split('_')
  const camel = words.slice(2).map((word, at) => (at === 0 ? word : word.slice(0, 1).toUpperCase() + word.slice(1))).join('')
  return notBuiltPart(words) ?? notBuiltPart([...words.slice(0, 2), camel])
}

// Variables and flags are text; what the file would hold as a number, a yes or no, or a list is read as such.
function overrideAt(path: readonly string[], text: string, source: string, keys: readonly Key[]): Override | Mistake {
  const schema = keyAt(keys, path)!.schema
  if (schema.type === 'array') {
    return { path, source, value: text.trim() === '' ? [] : text.split(',').map((item) => plain(item.trim())) }
  }
  if (text === '') return mistake(source, formatPath(path), 'is empty', schema.$comment)
  // On a command line a path is meant from where one stands, in a config from where that lies.
  if (isFilePath(path, text)) return { path, source, value: resolve(text) }
  return { path, source, value: schema.type === 'string' ? text : plain(text) }
}

const plain = (text: string): unknown => (/^-?[0-9]+(\.[0-9]+)?$/.test(text) ? Number(text) : text === 'true' ? true : text === 'false' ? false : text)
