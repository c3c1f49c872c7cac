// Where attacks take place: one running Serai before a raw backend that records every byte, and what each attack came to.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startBackend } from '#test/support/backend.ts'
import type { Backend, BackendOptions, BackendRequest } from '#test/support/backend.ts'
import { connect, get } from '#test/support/client.ts'
import { startSerai } from '#test/support/serai.ts'
import type { Serai, SeraiOptions } from '#test/support/serai.ts'

export const HOST = 'a.example.org'

/** A request that every attack drags behind itself: after a refusal nobody may ever see it. */
export const FOLLOWER = `GET /follower HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`

export interface Attack {
  readonly name: string
  /** What is sent before the follower. */
  readonly send: string
  /** Refused: answered with this status and closed, and the backend saw nothing of it. */
  readonly refused?: number
  /** Taken: what the backend saw of it, as `METHOD target body`. */
  readonly sees?: readonly string[]
  /** Looks at the first request that the backend saw. */
  readonly check?: (request: BackendRequest) => void
}

export interface Outcome {
  /** Statuses of the final responses, in order. */
  readonly statuses: readonly number[]
  /** All that the client got. */
  readonly text: string
  /** What the backend saw, the follower included. */
  readonly requests: readonly BackendRequest[]
}

export interface Arena extends AsyncDisposable {
  readonly serai: Serai
  readonly backend: Backend
  /** Sends these pieces on a connection of their own and waits until Serai closes it. */
  strike(pieces: readonly string[]): Promise<Outcome>
  /** Fails unless the attack comes to what it says. */
  expect(attack: Attack): Promise<void>
}

/** Starts a backend, and Serai with one worker and one route to it. */
export async function openArena(backendOptions: BackendOptions = {}, seraiOptions: SeraiOptions = {}): Promise<Arena> {
  await using starting = new AsyncDisposableStack()
  const backend = starting.use(await startBackend(backendOptions))
  const services = [{ name: 'web', tags: [`serai.host=${HOST}`], instances: [backend.address] }]
  const serai = starting.use(await startSerai({ services, ...seraiOptions, config: { workers: 1, ...seraiOptions.config } }))
  const strike = async (pieces: readonly string[]): Promise<Outcome> => {
    const before = backend.requests.length
    await using client = await connect(serai.port)
    for (const piece of pieces) await client.sendAll(piece)
    const text = (await client.receiveUntilClose()).toString('latin1')
    return { statuses: statusesOf(text), text, requests: backend.requests.slice(before) }
  }
  const running = starting.move()
  return {
    serai,
    backend,
    strike,
    async expect({ send, refused, sees = [], check }) {
      const { statuses, text, requests } = await strike([send + FOLLOWER])
      const seen = requests.map((request) => `${request.method} ${request.target} ${request.text}`.trim())
      const said = `the client got ${JSON.stringify(text.slice(0, 400))}, the backend saw ${JSON.stringify(requests.map(({ raw }) => raw))}`
      assert.deepEqual(seen, refused === undefined ? [...sees, 'GET /follower'] : [], said)
      assert.deepEqual(statuses, refused === undefined ? seen.map(() => 200) : [refused], said)
      if (refused !== undefined) assert.match(text, /\r\nConnection: close\r\n/)
      const [first] = requests
      if (check !== undefined && first !== undefined) check(first)
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

/** One test for each attack of a table, in one arena, and then a request to show that it still stands and saw nothing late. */
export function testAttacks(arena: () => Arena, attacks: readonly Attack[]): void {
  for (const attack of attacks) test(attack.name, () => arena().expect(attack))
  test('after all of them it serves, and nothing came late', async () => {
    const { backend, serai } = arena()
    const before = backend.requests.length
    assert.equal((await get(serai.port, '/after', HOST)).status, 200)
    assert.deepEqual(backend.requests.slice(before).map(({ target }) => target), ['/after'])
    assert.deepEqual(backend.errors, [])
    assert.deepEqual(serai.logs.filter(({ level }) => level === 'error'), [])
  })
}

/** The statuses of responses whose bodies have lengths. */
function statusesOf(text: string): number[] {
  const statuses: number[] = []
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\r\n\r\n', at)
    const head = text.slice(at, end)
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1])
    assert.ok(end > 0 && status >= 100, `not a response: ${JSON.stringify(text.slice(at, at + 200))}`)
    if (status >= 200) statuses.push(status)
    at = end + 4 + Number(/\r\nContent-Length: (\d+)/i.exec(head)?.[1] ?? 0)
  }
  return statuses
}
