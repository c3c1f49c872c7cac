// Plain text for a terminal: columns that line up, and JSON, both free of control characters.
import { visible } from '#src/observe/visible-text.ts'

/** Lines whose columns line up; the last column keeps its length. */
export function columns(rows: readonly (readonly string[])[]): string {
  const shown = rows.map((row) => row.map(visible))
  const widths = (shown[0] ?? []).map((_, at) => Math.max(...shown.map((row) => row[at]!.length)))
  return shown.map((row) => `${row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at]!))).join('  ').trimEnd()}\n`).join('')
}

/** JSON for people and programs alike. */
export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2).split('\n').map(visible).join('\n')}\n`
}
