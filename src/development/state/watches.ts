// Who waits for a change of what.

/** Keys are paths: `services`, `services/default`, `services/default/web`. */
export class Watches {
  readonly #waiting = new Map<string, Set<() => void>>()

  /** Calls `wake` once, at the next change of the key; the answer takes it back. */
  add(key: string, wake: () => void): () => void {
    const waiting = this.#waiting.get(key) ?? new Set()
    this.#waiting.set(key, waiting)
    waiting.add(wake)
    return () => {
      waiting.delete(wake)
      if (waiting.size === 0 && this.#waiting.get(key) === waiting) this.#waiting.delete(key)
    }
  }

  /** Wakes everybody who waits for one of the keys. */
  fire(keys: Iterable<string>): void {
    for (const key of keys) {
      const waiting = this.#waiting.get(key)
      this.#waiting.delete(key)
      for (const wake of waiting ?? []) wake()
    }
  }

  /** Wakes everybody, as when all of the state was replaced. */
  fireAll(): void {
    this.fire([...this.#waiting.keys()])
  }
}
