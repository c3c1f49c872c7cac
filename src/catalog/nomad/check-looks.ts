// Looks at the results of checks, one call for an allocation: bounded in number, and shared by those who ask at the same time.
import type { Clock } from '#src/registry/clock.ts'
import type { NomadFailure } from '#src/registry/nomad-answer.ts'
import type { NomadClient } from '#src/registry/nomad-client.ts'
import { readChecks } from './check-definition.ts'
import type { CheckResult } from './check-definition.ts'
import { RateWindow } from './rate-window.ts'

/** In any second, for all that wait or fail. */
const PER_SECOND = 10

/** `results` undefined: the client knows none. */
export type Look = { readonly ok: true; readonly results: readonly CheckResult[] | undefined } | NomadFailure

export class CheckLooks {
  readonly #client: NomadClient
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #window = new RateWindow(PER_SECOND)
  readonly #asking = new Map<string, Promise<Look>>()

  constructor(client: NomadClient, clock: Clock, signal: AbortSignal) {
    this.#client = client
    this.#clock = clock
    this.#signal = signal
  }

  /** `unneeded`: nobody waits for it any more; it then resolves with a failure. */
  async look(namespace: string, allocation: string, unneeded: AbortSignal): Promise<Look> {
    const asking = this.#asking.get(allocation)
    if (asking !== undefined) return asking
    for (let ms; !unneeded.aborted && (ms = this.#window.waitMs(this.#clock.now())) > 0;) await this.#clock.wait(ms, unneeded)
    if (unneeded.aborted) return { ok: false, kind: 'unreachable', reason: 'given up' }
    const other = this.#asking.get(allocation)
    if (other !== undefined) return other
    this.#window.note(this.#clock.now())
    const look = this.#ask(namespace, allocation).finally(() => this.#asking.delete(allocation))
    this.#asking.set(allocation, look)
    return look
  }

  async #ask(namespace: string, allocation: string): Promise<Look> {
    const result = await this.#client.get({ call: 'checks', path: `/v1/client/allocation/${encodeURIComponent(allocation)}/checks`, query: { namespace } }, this.#signal)
    return result.ok ? { ok: true, results: readChecks(result.body) } : result
  }
}
