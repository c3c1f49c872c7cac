// What a run leaves behind: JSON with the machine and versions, and the picture made of it.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { ChangeResult } from './change/run.ts'
import type { CpuRowResult } from './cpu-rows.ts'
import { describeMachine, type Machine } from './machine.ts'
import type { MemoryResult } from './memory.ts'
import { picture } from './picture.ts'
import type { SteadyResult } from './steady/run.ts'

/** What has been measured so far. */
export interface Results {
  /** µs of CPU per request, and ratios in the same pair; spreads are quartiles. */
  readonly cpu: CpuRowResult[]
  steady?: SteadyResult
  change?: ChangeResult
  memory?: MemoryResult
  readonly failed: { readonly row: string; readonly reason: string }[]
}

export interface Report extends Results {
  /** ISO 8601. */
  readonly at: string
  readonly machine: Machine
}

export function createReport(results: Results): Report {
  return { at: new Date().toISOString(), machine: describeMachine(), ...results }
}

/** Writes what was asked for. */
export function writeReport(report: Report, { json, svg }: { readonly json: string | undefined; readonly svg: string | undefined }): void {
  for (const path of [json, svg]) if (path !== undefined) mkdirSync(dirname(path), { recursive: true })
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(rounded(report), null, 2)}\n`)
  if (svg !== undefined) writeFileSync(svg, picture(report.cpu, subtitle(report)))
}

function subtitle({ at, machine }: Report): string {
  const versions = Object.entries(machine.versions).filter(([name]) => name !== 'wrk').map(([name, version]) => `${name} ${version}`)
  return `${at.slice(0, 10)}, ${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel.split('-')[0]}; ${versions.join(', ')}`
}

/** Three digits say all that such measurements know. */
const rounded = (report: Report): unknown =>
  JSON.parse(JSON.stringify(report, (_, value: unknown) => (typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(3)) : value)))
