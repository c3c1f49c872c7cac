// One answer of the admin or health server, and the header fields that every answer carries.
import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { style } from './style.ts'

export interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

/** No script, no frame, no other origin: what a hostile tag could get past the escaping would still have nothing to use. */
const contentPolicy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
  "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
].join('; ')

const always = {
  'Content-Security-Policy': contentPolicy,
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
}

export function json(status: number, value: unknown, headers: Answer['headers'] = {}): Answer {
  return { status, type: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n`, headers }
}

/** An answer that says what went wrong, and what was expected. */
export function refusal(status: number, error: string, headers: Answer['headers'] = {}): Answer {
  return json(status, { error }, headers)
}

/** Sends it; Node leaves the body out for HEAD. */
export function send(response: ServerResponse, { status, type, body, headers }: Answer): void {
  const bytes = Buffer.from(body)
  response.writeHead(status, { ...always, 'Content-Type': type, 'Content-Length': bytes.length, ...headers }).end(bytes)
}
