// When the checks of a job's allocations began to pass and to fail, as the Nomad client that runs them says: asked from outside, often.
import { systemClock } from '#src/registry/clock.ts'
import type { NomadClient } from '#test/support/nomad-client.ts'

export interface CheckChange {
  readonly allocation: string
  readonly passing: boolean
  /** The last moment at which it was surely not so yet, by performance.now(): a time measured from there is an upper bound. */
  readonly notBefore: number
}

export interface CheckWatch extends AsyncDisposable {
  readonly changes: readonly CheckChange[]
}

interface Stub { readonly ID: string; readonly DesiredStatus: string; readonly ClientStatus: string }
type Checks = Readonly<Record<string, { readonly Status: string }>> | null

const WAITING_MS = 40
const PASSING_MS = 400

/** Follows the checks of all allocations of a job, those that come later too. */
export function watchChecks(client: NomadClient, job: string): CheckWatch {
  const changes: CheckChange[] = []
  const states = new Map<string, { passing: boolean; asked: number }>()
  const ending = new AbortController()
  const run = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      const { body } = await client.ask<readonly Stub[] | string>(`/v1/job/${job}/allocations`).catch(() => ({ body: [] }))
      const running = typeof body === 'string' ? [] : body.filter(({ DesiredStatus }) => DesiredStatus === 'run')
      await Promise.all(running.map(({ ID }) => look(ID)))
      await systemClock.wait(WAITING_MS, ending.signal)
    }
  }
  const look = async (allocation: string): Promise<void> => {
    const now = performance.now()
    const state = states.get(allocation) ?? { passing: false, asked: now }
    if (states.has(allocation) && state.passing && now < state.asked + PASSING_MS) return
    states.set(allocation, state)
    const { body } = await client.ask<Checks | string>(`/v1/client/allocation/${allocation}/checks`).catch(() => ({ body: null }))
    const results = body === null || typeof body === 'string' ? [] : Object.values(body)
    if (results.length === 0) return
    const passing = results.every(({ Status }) => Status === 'success')
    if (passing !== state.passing) changes.push({ allocation, passing, notBefore: state.asked })
    state.passing = passing
    state.asked = now
  }
  const running = run()
  return {
    changes,
    async [Symbol.asyncDispose]() {
      ending.abort()
      await running
    },
  }
}
