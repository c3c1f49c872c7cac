// Every key of the config as a flat list, read from its JSON schema: for the reference page, environment names and suggestions.
import * as z from 'zod'
import { configSchema, notBuilt } from './schema.ts'

/** What `z.toJSONSchema` makes of our schema: the part that is read here. */
export interface JsonSchema {
  readonly type?: string | readonly string[]
  readonly anyOf?: readonly JsonSchema[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly additionalProperties?: JsonSchema | false
  readonly required?: readonly string[]
  readonly items?: JsonSchema
  readonly default?: unknown
  readonly description?: string
  readonly writeOnly?: boolean
  readonly $comment?: string
}

/** One key; `*` in its path stands for any name. */
export interface Key {
  readonly path: readonly string[]
  readonly schema: JsonSchema
  /** Whether keys of its own stand below it. */
  readonly section: boolean
  /** It stands in the items of a list of sections: only a file can set it. */
  readonly listed: boolean
}

/** The JSON schema of the config as written (before defaults). */
export const jsonSchema = (): JsonSchema => z.toJSONSchema(configSchema, { io: 'input' }) as JsonSchema

/** All keys, sections before what they hold, in the schema's order. */
export const configKeys = (): Key[] => below(jsonSchema(), [], false)

function below(schema: JsonSchema, path: readonly string[], listed: boolean): Key[] {
  const named = Object.entries(schema.properties ?? {})
  const all: [string, JsonSchema][] = schema.additionalProperties ? [...named, ['*', schema.additionalProperties]] : named
  return all.flatMap(([name, child]) => {
    const items = child.items?.properties === undefined ? undefined : child.items
    const section = child.properties !== undefined || typeof child.additionalProperties === 'object' || items !== undefined
    return [{ path: [...path, name], schema: child, section, listed }, ...below(items ?? child, [...path, name], listed || items !== undefined)]
  })
}

/** Whether a path as used is the path of a key, whose `*` stand for any name. */
export const samePath = (key: readonly string[], used: readonly string[]): boolean =>
  key.length === used.length && key.every((name, at) => name === '*' || name === used[at])

/** The path of a key in a list, without the place in it. */
export const withoutPlaces = (path: readonly PropertyKey[]): string[] => path.filter((part) => typeof part !== 'number').map(String)

/** The key that stands at a path as used. */
export const keyAt = (keys: readonly Key[], path: readonly string[]): Key | undefined => keys.find((key) => samePath(key.path, path))

/** Names that may stand right below a path. */
export const namesBelow = (keys: readonly Key[], path: readonly string[]): string[] =>
  keys.filter((key) => samePath(key.path.slice(0, -1), path)).map((key) => key.path.at(-1)!).filter((name) => name !== '*')

/** The part of a path that DESIGN has and this version does not, if there is one. */
export function notBuiltPart(path: readonly string[]): string | undefined {
  const refused = notBuilt.map((name) => name.split('.')).find((name) => samePath(name, path.slice(0, name.length)))
  return refused && path.slice(0, refused.length).join('.')
}

/** How an environment variable writes a path: `client.keepAlive` is `SERAI_CLIENT_KEEP_ALIVE`. */
export const variableOf = (path: readonly string[]): string =>
  `SERAI_${path.map((name) => name.replace(/[A-Z]/g, '_$&').replaceAll('-', '_').toUpperCase()).join('_')}`
