// The reference of every key, made from the schema: config/serai.schema.json, and the table in docs/config.md.
import { configKeys, jsonSchema, variableOf, type Key } from './keys.ts'

const BEGIN = '<!-- keys: made from src/config/schema.ts -->'
const END = '<!-- end of keys -->'

/** The text of config/serai.schema.json. */
export const renderSchema = (): string => `${JSON.stringify({ title: 'Serai config', ...jsonSchema() }, undefined, 2)}\n`

/** A page with the table between its two marks renewed; throws when it has no marks. */
export function renderReference(page: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`the page has no "${BEGIN}" before "${END}"`)
  return `${page.slice(0, begin + BEGIN.length)}\n\n${renderTable(configKeys())}\n\n${page.slice(end)}`
}

function renderTable(keys: readonly Key[]): string {
  const lists = keys.filter(({ schema }) => schema.items?.properties !== undefined).map(({ path }) => path.join('.'))
  const rows = keys.filter((key) => !key.section).map(({ path, schema, listed }) => {
    const holds = schema.items === undefined ? schema.$comment : `list: ${schema.items.$comment}`
    const byDefault = schema.default === undefined ? '' : `\`${JSON.stringify(schema.default).replaceAll('"', '')}\``
    const list = lists.find((name) => path.join('.').startsWith(`${name}.`))
    const name = list === undefined ? path.join('.') : `${list}[]${path.join('.').slice(list.length)}`
    const key = `\`${name.replace('*', 'NAME')}\``
    const variable = listed ? '' : `\`${variableOf(path).replace('*', 'NAME')}\``
    return `| ${key} | ${byDefault} | ${holds ?? ''} | ${schema.description ?? ''} | ${variable} |`
  })
  return ['| key | default | holds | meaning | variable |', '|---|---|---|---|---|', ...rows].join('\n')
}
