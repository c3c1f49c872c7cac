// What became of every request, phase by phase: counts, the longest time without an answer, and how soon instances were routed. Pure.

/** One GET of a steady client. Times in milliseconds, of one clock. */
export interface RequestRecord {
  readonly begun: number
  readonly ended: number
  /** A status; `cut`: the response had begun and was cut; `closed`: the connection ended before it began; `timeout`: nothing came in time. */
  readonly outcome: number | 'cut' | 'closed' | 'timeout'
  /** Who answered: allocation and process id; '' when nobody of the service did. */
  readonly allocation: string
  readonly pid: number
  readonly version: string
}

export interface PhaseMark {
  readonly name: string
  readonly from: number
  readonly to: number
}

/** A time that belongs to a phase, such as from a passing check to the first answer. Milliseconds. */
export interface Timing {
  readonly phase: string
  readonly ms: number
}

export interface PhaseFigures {
  readonly name: string
  readonly seconds: number
  readonly requests: number
  /** Everything but 200. */
  readonly failed: number
  /** Of those, what had not begun to be answered: cut responses left out. */
  readonly lost: number
  readonly outcomes: ReadonlyMap<RequestRecord['outcome'], number>
  /** Before the first 200 of all: not counted above. */
  readonly before: ReadonlyMap<RequestRecord['outcome'], number>
  /** The longest time without the end of a 200. */
  readonly longestGapMs: number
  readonly timings: readonly number[]
}

/** The figures of each phase; a request belongs to the phase that it began in, and counting begins with the first 200. */
export function figuresOf(records: readonly RequestRecord[], phases: readonly PhaseMark[], timings: readonly Timing[]): PhaseFigures[] {
  const first = Math.min(...records.filter(({ outcome }) => outcome === 200).map(({ ended }) => ended))
  return phases.map(({ name, from, to }) => {
    const own = records.filter(({ begun }) => begun >= from && begun < to)
    const counted = own.filter(({ begun, ended }) => begun >= first || ended === first)
    const good = counted.filter(({ outcome }) => outcome === 200).map(({ ended }) => ended)
    return {
      name,
      seconds: (to - from) / 1000,
      requests: counted.length,
      failed: counted.length - good.length,
      lost: counted.filter(({ outcome }) => outcome !== 200 && outcome !== 'cut').length,
      outcomes: countBy(counted),
      before: countBy(own.filter((record) => !counted.includes(record) && record.outcome !== 200)),
      longestGapMs: longestGap([Math.max(from, Math.min(first, to)), ...good.filter((ended) => ended < to), to]),
      timings: timings.filter(({ phase }) => phase === name).map(({ ms }) => ms),
    }
  })
}

/** Lines of a Markdown table, one for each phase; milliseconds are rounded up. */
export function describeFigures(figures: readonly PhaseFigures[]): string[] {
  return [
    '| phase | seconds | requests | failed | by status | longest gap | time to route, at most |',
    '|---|---|---|---|---|---|---|',
    ...figures.map(({ name, seconds, requests, failed, outcomes, before, longestGapMs, timings }) => {
      const apart = before.size === 0 ? '' : ` (before: ${describe(before)})`
      return `| ${name} | ${seconds.toFixed(1)} | ${requests} | ${failed} | ${describe(outcomes)}${apart} | ${Math.ceil(longestGapMs)} ms | ${timings.length === 0 ? '' : `${Math.ceil(Math.max(...timings))} ms`} |`
    }),
  ]
}

function countBy(records: readonly RequestRecord[]): Map<RequestRecord['outcome'], number> {
  const counts = new Map<RequestRecord['outcome'], number>()
  for (const { outcome } of records) counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
  return counts
}

const describe = (counts: ReadonlyMap<RequestRecord['outcome'], number>): string => [...counts].map(([outcome, count]) => `${outcome}: ${count}`).join(', ')

function longestGap(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b)
  return sorted.reduce((most, time, at) => Math.max(most, time - (sorted[at - 1] ?? time)), 0)
}
