// The `priority` field and PRIORITY_UPDATE (RFC 9218): which responses go first when not all can.

/** Urgency 0 (first) to 7, and 8 more for what shares the line with others of its urgency (`i`). */
export type Priority = number

export const DEFAULT_PRIORITY: Priority = 3
const INCREMENTAL = 8

export const urgencyOf = (priority: Priority): number => priority & 7
export const isIncremental = (priority: Priority): boolean => priority >= INCREMENTAL

/** Reads a field value; what is not understood takes the default, as the RFC wants it. */
export function parsePriority(value: string): Priority {
  if (value.length > 64) return DEFAULT_PRIORITY
  const urgency = /(?:^|,)\s*u=([0-7])\s*(?:[,;]|$)/.exec(value)?.[1]
  const incremental = /(?:^|,)\s*i(?:=\?1)?\s*(?:[,;]|$)/.test(value)
  return (urgency === undefined ? DEFAULT_PRIORITY : Number(urgency)) + (incremental ? INCREMENTAL : 0)
}

/** What was said of streams that are not open yet: it applies when they open (RFC 9218 7.1). Whoever uses it bounds how many there are. */
export class EarlyPriorities {
  readonly #said = new Map<number, Priority>()

  get size(): number {
    return this.#said.size
  }

  has(id: number): boolean {
    return this.#said.has(id)
  }

  set(id: number, priority: Priority): void {
    this.#said.set(id, priority)
  }

  /** The stream of this id opens, and those below it never will (RFC 9113 5.1.1): what was said of it, if anything was. */
  take(id: number): Priority | undefined {
    if (this.#said.size === 0) return undefined
    const priority = this.#said.get(id)
    for (const each of this.#said.keys()) if (each <= id) this.#said.delete(each)
    return priority
  }
}
