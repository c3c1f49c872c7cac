// An HTTP server that gives a case's recorded answers, in Nomad's manner: lists that wait for the next step, and an event stream that tells of it.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { recordedBody } from './recordings.ts'

/** A body as it was recorded (`01-register/02-service`), with `set` laid over it or over each of its elements; or a body in the recordings' form. */
export type AnswerSource = { readonly recording: string; readonly set?: Readonly<Record<string, unknown>> } | { readonly body: unknown } | { readonly status: number; readonly text: string }

/** By path with the namespace: `/v1/service/web?namespace=default`. */
export type Answers = Readonly<Record<string, AnswerSource>>

export interface RecordedNomad extends AsyncDisposable {
  /** `host:port`. */
  readonly address: string
  /** From now on these are the answers, beside those of before; every service among them has an event. */
  step(answers: Answers): void
}

const HEARTBEAT = '{}\n'
/** What is said of an allocation of which the case says nothing: a job without checks. */
const ALLOCATION = '11-addresses/allocation'

export async function startRecordedNomad(): Promise<RecordedNomad> {
  const answers = new Map<string, AnswerSource>()
  const waiting = new Set<() => void>()
  const streams = new Set<ServerResponse>()
  let index = 1000
  const give = (response: ServerResponse, path: string): void => {
    const { status, body } = bodyOf(path, answers.get(path))
    const headers = { 'Content-Type': 'application/json', 'X-Nomad-Index': String(index), 'X-Nomad-KnownLeader': 'true', 'X-Nomad-LastContact': '0' }
    if (status === 200) response.writeHead(200, headers).end(JSON.stringify(body))
    else response.writeHead(status, { 'Content-Type': 'text/plain' }).end(String(body))
  }
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://nomad')
    const namespace = url.searchParams.get('namespace')
    const path = namespace === null ? url.pathname : `${url.pathname}?namespace=${namespace}`
    if (url.pathname === '/v1/event/stream') {
      streams.add(response)
      response.writeHead(200, { 'Content-Type': 'application/json' }).write(HEARTBEAT)
      return
    }
    if (Number(url.searchParams.get('index') ?? 0) < index) return give(response, path)
    waiting.add(() => { give(response, path) })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    step(next) {
      index++
      for (const [path, source] of Object.entries(next)) answers.set(path, source)
      const woken = [...waiting]
      waiting.clear()
      for (const wake of woken) wake()
      const events = Object.entries(next).flatMap(([path, source]) => (path.startsWith('/v1/service/') ? registrationsOf(path, source) : []))
        .map((Service) => ({ Topic: 'Service', Type: 'ServiceRegistration', Key: Service['ID'], Namespace: Service['Namespace'], FilterKeys: null, Index: index, Payload: { Service } }))
      for (const stream of streams) stream.write(events.length === 0 ? HEARTBEAT : `${JSON.stringify({ Index: index, Events: events })}\n`)
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function registrationsOf(path: string, source: AnswerSource): readonly Record<string, unknown>[] {
  const { body } = bodyOf(path, source)
  return Array.isArray(body) ? body as Record<string, unknown>[] : []
}

function bodyOf(path: string, source: AnswerSource | undefined): { readonly status: number; readonly body: unknown } {
  if (source === undefined) {
    const [, id] = /^\/v1\/allocation\/([^?]+)/.exec(path) ?? []
    return id === undefined ? { status: 404, body: 'not found' } : { status: 200, body: layOver(recordedBody(ALLOCATION), { ID: id }) }
  }
  if ('text' in source) return { status: source.status, body: source.text }
  return { status: 200, body: 'body' in source ? source.body : layOver(recordedBody(source.recording), source.set ?? {}) }
}

const layOver = (body: unknown, set: Readonly<Record<string, unknown>>): unknown =>
  Array.isArray(body) ? body.map((each: object) => ({ ...each, ...set })) : { ...body as object, ...set }
