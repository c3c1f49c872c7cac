// Runs the micro-benchmarks: seconds, to judge a change by before a whole run does.
import { table } from '../table.ts'
import { cases as accounting } from './accounting.ts'
import { cases as heads } from './heads.ts'
import { measure } from './measure.ts'
import { cases as picking } from './picking.ts'
import { cases as routing } from './routing.ts'

/** The table of all cases whose names hold `filter`. */
export function runMicro(filter: string): string {
  const rows = [...heads, ...routing, ...picking, ...accounting]
    .filter(({ name }) => name.includes(filter))
    .map((each) => [each.name, measure(each).toFixed(0)])
  return table(['', 'ns'], rows)
}
