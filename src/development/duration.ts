// Durations as Go writes and reads them.

const unitMs: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, 'µs': 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Milliseconds of a text such as `1m30s`; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined
  let total = 0
  for (const [, amount, unit = ''] of text.matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h)/g)) total += Number(amount) * (unitMs[unit] ?? 0)
  return total
}

/** Milliseconds of nanoseconds, as jobs state durations. */
export const toMs = (nanoseconds: number): number => nanoseconds / 1e6

/** As Go prints a duration: `2.5s`, `5m0s`. */
export function formatDuration(ms: number): string {
  const seconds = ms / 1000
  if (seconds < 60) return `${Number(seconds.toFixed(9))}s`
  const minutes = Math.floor(seconds / 60)
  const rest = `${Number((seconds % 60).toFixed(9))}s`
  return minutes < 60 ? `${minutes}m${rest}` : `${Math.floor(minutes / 60)}h${minutes % 60}m${rest}`
}
