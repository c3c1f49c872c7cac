// The program's own log: JSON lines on standard error, short readable lines on a terminal.
import { isatty } from 'node:tty'
import { pino } from 'pino'
import type { Level, Logger } from 'pino'
import { createLineSink } from './line-sink.ts'
import { readableLine } from './log-line.ts'
import { standardOutlet } from './outlet.ts'

export type LogLevel = Level | 'silent'

/** Takes one line of JSON, newline included. */
export interface LogDestination {
  write(line: string): void
  /** Calls back when everything is written, or after a second. */
  flush(done: (error?: Error) => void): void
}

/** Unwritten log that is kept before lines are dropped. */
const MAX_PENDING_BYTES = 1024 * 1024
const FLUSH_MS = 1000

const secrets = ['token', 'authorization', 'Authorization', 'cookie', 'password', 'secret', 'key']
const secretHeaders = ['["proxy-authorization"]', '["x-nomad-token"]', '["x-consul-token"]', '["set-cookie"]']

/**
 * The logger of the main thread; workers have none.
 * The access log has standard output for itself. Nothing is ever waited for: before the process ends, wait for `logger.flush(callback)`.
 */
export function createLogger({ level, destination = standardError() }: { readonly level: LogLevel; readonly destination?: LogDestination }): Logger {
  return pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { error: pino.stdSerializers.err },
    redact: {
      paths: [...secrets.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), ...secretHeaders.flatMap((name) => [name, `*${name}`, `*.*${name}`])],
      censor: '[redacted]',
    },
  }, destination)
}

/** Standard error: JSON lines, or readable ones where a person watches. */
function standardError(): LogDestination {
  const sink = createLineSink(standardOutlet(2), { maxPendingBytes: MAX_PENDING_BYTES })
  const format = isatty(2) ? readableLine : (line: string): string => line
  return {
    write(line) {
      sink.write(format(line), 1)
    },
    flush(done) {
      sink.drained(FLUSH_MS).then(() => { done() }, done)
    },
  }
}
