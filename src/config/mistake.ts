// A mistake in the config: where it stands, what was found, what was expected; and how it is printed.

export interface Mistake {
  /** What it stands in: a file as the user named it, `SERAI_…`, or `--flag`. */
  readonly source: string
  /** From 1; 0 where there is no position (variables, flags, a file that cannot be read). */
  readonly line: number
  readonly column: number
  /** `client.head`, `trust.forwarded[1]`; '' when it concerns the whole source. */
  readonly path: string
  /** The value as written, shortened; '' when there is none to show. Never that of a secret. */
  readonly found: string
  /** `is not a duration`. */
  readonly complaint: string
  /** `e.g. 10s, 250ms`; '' when there is nothing to add. */
  readonly expected: string
  /** The known name that was probably meant. */
  readonly suggestion?: string | undefined
}

/** More lines than this are only counted: a binary file given by accident has tens of thousands. */
const MOST_LINES = 100

/** One line for each mistake and one with their number; no newline at the end. */
export function formatMistakes(mistakes: readonly Mistake[]): string {
  const lines = mistakes.slice(0, MOST_LINES).map(formatMistake)
  if (mistakes.length > MOST_LINES) lines.push(`… and ${mistakes.length - MOST_LINES} more`)
  return [...lines, mistakes.length === 1 ? '1 mistake' : `${mistakes.length} mistakes`].join('\n')
}

function formatMistake(mistake: Mistake): string {
  const { source, line, column, path, found, complaint, expected, suggestion } = mistake
  const place = line > 0 ? `${source}:${line}:${column}` : source
  const hint = suggestion !== undefined ? `(did you mean ${suggestion}?)` : expected && `(expected ${expected})`
  const what = [path && `${path}:`, found, complaint, hint].filter((part) => part !== '')
  return `${place}  ${what.join(' ')}`
}

/** In the order of the file, then variables, then flags. */
export function compareMistakes(a: Mistake, b: Mistake): number {
  const rank = ({ source, line }: Mistake): number => (line > 0 ? 0 : source.startsWith('--') ? 2 : 1)
  return rank(a) - rank(b) || a.line - b.line || a.column - b.column || (a.source < b.source ? -1 : a.source > b.source ? 1 : 0)
}

/** A path as it is printed; a name that is not plain is quoted, so that no control character reaches a terminal. */
export function formatPath(path: readonly PropertyKey[]): string {
  const name = (part: PropertyKey): string => (/^[\w*-]+$/.test(String(part)) ? String(part) : shorten(JSON.stringify(String(part))))
  return path.map((part, at) => (typeof part === 'number' ? `[${part}]` : `${at > 0 ? '.' : ''}${name(part)}`)).join('')
}

/** A value as it is printed: shortened, escaped, lists and mappings only by kind. */
export function formatValue(value: unknown): string {
  if (value === undefined) return ''
  if (value === null) return 'nothing'
  if (typeof value === 'string') return shorten(JSON.stringify(value))
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return Array.isArray(value) ? 'a list' : 'a mapping'
}

// DEL and the C1 controls pass JSON.stringify and move the cursor of some terminals.
const shorten = (text: string): string =>
  (text.length > 60 ? `${text.slice(0, 59)}…` : text).replace(/[\x7f-\x9f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
