// Problems as `serai routes` and `serai explain` list them.
import type { Problem } from '#src/catalog/catalog.ts'
import { columns } from './columns.ts'

/** A table below a blank line; '' when there is none. */
export function problemsText(problems: readonly Problem[]): string {
  if (problems.length === 0) return ''
  return `\n${columns([['PROBLEM', 'TAG', 'REASON', 'WHERE'], ...problems.map(({ service, router, tag, reason, where }) => [router === '' ? service : `${service} (${router})`, tag, reason, where])])}`
}
