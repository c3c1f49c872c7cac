// The results as an SVG: a bar for each proxy and row, as long as its CPU time per request beside nginx's.
import type { CpuResult, CpuRowResult } from './cpu-rows.ts'

const WIDTH = 820
const MARGIN = 20
const LABEL = 318
const BAR = 13
const GAP = 3
const ROW_GAP = 17
const TOP = 112
/** Where the axis ends: longer bars are cut there, and their number says so. */
const MAX_RATIO = 2.5
const TICKS = [0, 0.5, 1, 1.5, 2, 2.5]
const UNIT = (WIDTH - LABEL - 128) / MAX_RATIO

const shown = ['serai', 'haproxy', 'caddy'] as const
type Shown = (typeof shown)[number]
const names: Readonly<Record<Shown, string>> = { serai: 'Serai', haproxy: 'HAProxy', caddy: 'Caddy' }

/** Rows with a ratio to nginx; void ones are named below it. On a background of its own, readable on light and dark pages. */
export function picture(rows: readonly CpuRowResult[], subtitle: string): string {
  const beside = rows.filter(({ base }) => base?.startsWith('nginx') === true)
  let y = TOP
  const parts: string[] = []
  const values: string[] = []
  for (const row of beside.filter((each) => !each.void)) {
    const bars = row.results.filter(isShown)
    if (bars.length === 0) continue
    const height = bars.length * (BAR + GAP) - GAP
    parts.push(`<text x="${LABEL - 14}" y="${y + height / 2 + 4}" text-anchor="end">${escape(row.title)}</text>`)
    bars.forEach((bar, at) => {
      parts.push(barOf(bar, y + at * (BAR + GAP)))
      values.push(valueOf(bar, y + at * (BAR + GAP)))
    })
    y += height + ROW_GAP
  }
  const bottom = y - ROW_GAP + 8
  const voids = beside.filter((row) => row.void).map(({ row }) => row)
  const notes = [
    'Median of pairs measured in turn; the thin line is the middle half of them. Lower is better.',
    ...(voids.length === 0 ? [] : [`Not shown, because too few measurements counted: ${voids.join(', ')}.`]),
  ]
  const height = bottom + 30 + notes.length * 16
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="CPU time per request beside nginx">
<style>
text { font: 12.5px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #27303b }
.title { font-size: 17px; font-weight: 600 } .value { font-size: 11px; font-weight: 600; paint-order: stroke; stroke: #ffffff; stroke-width: 4px }
.small { font-size: 11px; font-weight: 400; fill: #5d6875 }
.grid { stroke: #e3e7ec } .one { stroke: #27303b; stroke-width: 1.5; stroke-dasharray: 4 3 } .spread { stroke: #10151b; stroke-width: 1.4 }
.serai { fill: #d9601a } .haproxy { fill: #6d9ac4 } .caddy { fill: #a9b4bf }
</style>
<rect width="${WIDTH}" height="${height}" rx="8" fill="#ffffff" stroke="#d5dae0"/>
<text class="title" x="${MARGIN}" y="32">CPU time per request, beside nginx</text>
<text class="small" x="${MARGIN}" y="51">${escape(subtitle)}</text>
${shown.map((name, at) => `<rect class="${name}" x="${MARGIN + at * 86}" y="64" width="11" height="11" rx="2"/><text x="${MARGIN + 17 + at * 86}" y="74">${names[name]}</text>`).join('')}
${TICKS.map((ratio) => tick(ratio, bottom)).join('\n')}
${parts.join('\n')}
<line class="one" x1="${xOf(1)}" y1="${TOP - 12}" x2="${xOf(1)}" y2="${bottom}"/>
${values.join('\n')}
${notes.map((note, at) => `<text class="small" x="${MARGIN}" y="${bottom + 28 + at * 16}">${escape(note)}</text>`).join('\n')}
</svg>
`
}

type WithRatio = CpuResult & { readonly proxy: Shown; readonly ratio: NonNullable<CpuResult['ratio']> }

function isShown(result: CpuResult): result is WithRatio {
  return result.ratio !== undefined && shown.some((name) => name === result.proxy)
}

const xOf = (ratio: number): number => Math.round((LABEL + Math.min(ratio, MAX_RATIO) * UNIT) * 10) / 10

function tick(ratio: number, bottom: number): string {
  const text = ratio === 1 ? 'nginx = 1' : String(ratio)
  return `<line class="grid" x1="${xOf(ratio)}" y1="${TOP - 12}" x2="${xOf(ratio)}" y2="${bottom}"/><text class="small" x="${xOf(ratio)}" y="${TOP - 18}" text-anchor="middle">${text}</text>`
}

function barOf({ proxy, ratio }: WithRatio, y: number): string {
  const middle = y + BAR / 2
  const whisker = ratio.median > MAX_RATIO ? '' : `<line class="spread" x1="${xOf(ratio.low)}" y1="${middle}" x2="${xOf(ratio.high)}" y2="${middle}"/>`
  return `<rect class="${proxy}" x="${LABEL}" y="${y}" width="${Math.round((xOf(ratio.median) - LABEL) * 10) / 10}" height="${BAR}" rx="2"/>${whisker}`
}

/** After the bar and its spread; on the line of the target too, so it is drawn last. */
function valueOf({ ratio, micros }: WithRatio, y: number): string {
  const cut = ratio.median > MAX_RATIO ? ' →' : ''
  return `<text class="value" x="${xOf(Math.max(ratio.median, ratio.high)) + 6}" y="${y + BAR - 2.5}">${ratio.median.toFixed(2)}${cut}<tspan class="small" dx="6">${microsText(micros.median)}</tspan></text>`
}

const microsText = (micros: number): string => `${micros < 100 ? micros.toFixed(1) : micros.toFixed(0)} µs`

const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
