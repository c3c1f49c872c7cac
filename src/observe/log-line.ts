// One line of the program's log as a person at a terminal reads it.
import { visible } from './visible-text.ts'

const colours: Readonly<Record<string, string>> = { fatal: '\x1b[31;1m', error: '\x1b[31m', warn: '\x1b[33m', info: '\x1b[32m', debug: '\x1b[2m', trace: '\x1b[2m' }
const DIM = '\x1b[2m'
const PLAIN = '\x1b[0m'

/** `12:34:56.789 warn  message  key=value`, an error's stack below it; a line that is no JSON object stays as it is. */
export function readableLine(json: string): string {
  const record = parse(json)
  if (record === undefined) return json
  const { time, level, msg, error, err, ...rest } = record
  const name = typeof level === 'string' ? level : 'info'
  const clock = typeof time === 'string' ? time.slice(11, 23) : ''
  const pairs = Object.entries(rest).map(([key, value]) => `  ${DIM}${visible(key)}=${PLAIN}${visible(shown(value))}`)
  return `${DIM}${clock}${PLAIN} ${colours[name] ?? ''}${visible(name).padEnd(5)}${PLAIN} ${visible(shown(msg ?? ''))}${pairs.join('')}\n${stackOf(error ?? err)}`
}

function parse(json: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function stackOf(error: unknown): string {
  if (error === undefined) return ''
  const stack = typeof error === 'object' && error !== null && 'stack' in error && typeof error.stack === 'string' ? error.stack : shown(error)
  return stack.split('\n').map((line) => `    ${visible(line.trim())}\n`).join('')
}
