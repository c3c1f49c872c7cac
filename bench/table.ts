// Results as a table on a terminal.
import type { CpuRowResult } from './cpu-rows.ts'
import type { Spread } from './statistics.ts'

/** Columns as wide as their widest cell; the first to the left, numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((name, at) => Math.max(name.length, ...rows.map((row) => (row[at] ?? '').length)))
  const line = (cells: readonly string[]): string => cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  ').trimEnd()
  return [line(head), widths.map((width) => '─'.repeat(width)).join('  '), ...rows.map(line)].join('\n')
}

const percent = (part: number): string => `${Math.round(part * 100)} %`
const digits = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(1))
const spreadText = (value: Spread | undefined, show: (value: number) => string): string =>
  value === undefined ? '' : `${show(value.median)} (${show(value.low)}–${show(value.high)})`

/** One row of the bench: its title and a line for each proxy. */
export function cpuTable({ row, title, pairs, voids, results }: CpuRowResult): string {
  const lines = results.map((result) => [
    result.proxy, spreadText(result.micros, digits), digits(result.userMicros), spreadText(result.ratio, (value) => value.toFixed(2)),
    result.requestsPerSecond.toFixed(0), percent(result.busy), percent(result.own),
  ])
  const complaints = results.flatMap(({ proxy, errors }) => errors.map((error) => `  ${proxy}: ${error}`))
  const count = `${pairs} pairs${voids === 0 ? '' : `, ${voids} void (core < 95 % busy)${pairs * 2 <= pairs + voids ? ': ROW VOID' : ''}`}`
  return [
    `${row}: ${title}; ${count}`,
    table(['proxy', 'CPU µs/request', 'user', 'ratio to nginx', 'requests/s', 'core busy', 'by it'], lines),
    ...complaints,
  ].join('\n')
}
