// What real Nomad servers answered, as recorded in test/fixtures/nomad.
import { readFileSync } from 'node:fs'
import type { HttpAnswer } from '#src/registry/http.ts'

interface Exchange {
  readonly request: { readonly path: string }
  readonly response: { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: unknown }
}

const folder = new URL('../fixtures/nomad/', import.meta.url)
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`${name}.json`, folder), 'utf8'))

/** The body of a recorded answer: `01-register/02-services`. */
export const recordedBody = (name: string): unknown => (read(name) as Exchange).response.body

/** A recorded answer as the client sees it. */
export const recordedAnswer = (name: string): HttpAnswer => answerOf((read(name) as Exchange).response)

/** The recorded answers of one token, by path. */
export const recordedAnswers = (name: string): ReadonlyMap<string, HttpAnswer> =>
  new Map((read(`${name}/exchanges`) as readonly Exchange[]).map(({ request, response }) => [request.path, answerOf(response)]))

function answerOf({ status, headers, body }: Exchange['response']): HttpAnswer {
  const lower = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  const isText = lower.get('content-type')?.startsWith('text/') === true
  return { status, header: (name) => lower.get(name), text: isText ? String(body) : JSON.stringify(body) }
}
