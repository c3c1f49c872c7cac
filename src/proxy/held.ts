// Exchanges that nobody is left to answer, and that wait a moment for the next table: it may name somebody.
import type { RoutingTable } from '#src/routing/table.ts'
import { matchRoute } from '#src/routing/match.ts'
import type { CompiledRoute, CompiledService } from './route.ts'

/** Where all instances are replaced at once, as by a canary's promotion, the old ones may end some milliseconds before the new one is known. */
export const HOLD_MS = 500
/** A service that has not answered for so long is not being replaced, but down: its requests fail at once. */
const LATELY_MS = 1000
const MOST = 1000

export interface Held {
  /** Another table may be in force; false: not for this exchange. */
  tableChanged(): boolean
}

export class HeldExchanges {
  readonly #held = new Set<Held>()

  /** Whether an exchange for the service may wait. `now`: the worker's clock. */
  add(exchange: Held, { lately }: CompiledService, now: number): boolean {
    if (this.#held.size >= MOST || now - lately.answeredAt > LATELY_MS) return false
    this.#held.add(exchange)
    return true
  }

  delete(exchange: Held): void {
    this.#held.delete(exchange)
  }

  /** Tells each; what one of them throws is its own affair. */
  tableChanged(failed: (error: unknown) => void): void {
    for (const exchange of [...this.#held]) {
      try {
        exchange.tableChanged()
      } catch (error) {
        failed(error)
      }
    }
  }
}

/** The route that takes the place of `before` in this table, if it is another one now, of the same service, and speaks the same protocol. */
export function successorOf(before: CompiledRoute, table: RoutingTable<CompiledRoute>, host: string, path: string): CompiledRoute | undefined {
  const route = matchRoute(table, host, path === '*' ? '/' : path)
  return route === before || route?.service.key !== before.service.key || route.service.http2 !== before.service.http2 ? undefined : route
}
