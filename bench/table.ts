// Results as a table on a terminal.
import type { ChangeResult } from './change/run.ts'
import type { CpuRowResult } from './cpu-rows.ts'
import type { MemoryResult } from './memory.ts'
import type { Spread } from './statistics.ts'
import type { SteadyResult } from './steady/run.ts'

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

/** A row of CPU time: its title and a line for each proxy. */
export function cpuTable({ row, title, base, asked, void: isVoid, pairs, results }: CpuRowResult): string {
  const lines = results.map((result) => [
    result.proxy, spreadText(result.micros, digits), digits(result.userMicros), spreadText(result.ratio, (value) => value.toFixed(2)),
    result.requestsPerSecond.toFixed(0), percent(result.busy), percent(result.own),
  ])
  const complaints = results.flatMap(({ proxy, errors }) => errors.map((error) => `  ${proxy}: ${error}`))
  const voids = pairs.filter((pair) => pair.void).length
  const voidText = voids === 0 ? '' : `, ${voids} void (core not busy enough, or with something else)`
  return [
    `${row}: ${title}; ${pairs.length - voids} of ${asked} pairs${voidText}${isVoid ? ': ROW VOID, no result' : ''}`,
    table(['proxy', 'CPU µs/request', 'user', `ratio to ${base ?? 'nothing'}`, 'requests/s', 'core busy', 'by it'], lines),
    ...complaints,
  ].join('\n')
}

/** Latency at a fixed rate: a line for each subject. */
export function steadyTable({ requestsPerSecond, pairs, subjects, lateP99 }: SteadyResult): string {
  const ms = (value: number): string => value.toFixed(2)
  return [
    `steady: ${requestsPerSecond} requests a second on 64 connections, ${pairs} pairs; ms; the client itself woke up late by ${spreadText(lateP99, ms)} (p99)`,
    table(['', 'p50', 'p99', 'p99.9', 'longest', 'p99 to that without changes', 'failed'], subjects.map((each) => [
      each.subject, ms(each.p50.median), spreadText(each.p99, ms), ms(each.p999.median), ms(each.max.median),
      spreadText(each.ratio, (value) => value.toFixed(2)), String(each.failed),
    ])),
  ].join('\n')
}

/** A change of the table. */
export function changeText({ changes, answerToWorkers, fileToWorkers, logToWorkers, slice }: ChangeResult): string {
  const ms = (value: number): string => value.toFixed(1)
  return [
    `change: one of 5,000 services with 20,000 endpoints, until both workers have it; ${changes} changes; ms`,
    table(['', 'ms', 'worst'], [
      ['from the catalog\'s answer, at rest', spreadText(answerToWorkers.idle, ms), ''],
      ['from the catalog\'s answer, at half of the most requests', spreadText(answerToWorkers.loaded, ms), ms(answerToWorkers.worst)],
      ['from the rename of the services file', spreadText(fileToWorkers, ms), ''],
      ['from the log line after it', spreadText(logToWorkers, ms), ''],
      [`CPU of a worker for one of ${slice.slices} slices; the first table`, `${slice.warmMs.toFixed(2)}; ${slice.coldMs.toFixed(2)}`, ''],
    ]),
  ].join('\n')
}

/** Memory: Serai at rest, then what a connection takes in each proxy. */
export function memoryTable({ restMb, workerMb, thousandMb, connections, proxies }: MemoryResult): string {
  return [
    `memory: RSS of Serai at rest with 2 workers ${restMb.toFixed(0)} MB, a third worker ${workerMb.toFixed(0)} MB more; with 1,000 services ${thousandMb.toFixed(0)} MB`,
    table(
      [`${connections} idle connections, 1 worker`, 'MB before', 'KiB for each', 'KiB for each of 2000 with TLS'],
      proxies.map((each) => [each.proxy, each.restMb.toFixed(0), each.connectionKib.toFixed(1), each.tlsConnectionKib?.toFixed(1) ?? '']),
    ),
  ].join('\n')
}
