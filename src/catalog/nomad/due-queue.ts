// What is due when, the earliest first: a binary heap. Pure, but for what it holds.

interface Due<T> {
  readonly item: T
  readonly at: number
}

export class DueQueue<T> {
  readonly #heap: Due<T>[] = []

  get size(): number {
    return this.#heap.length
  }

  /** When the earliest is due; undefined: nothing is. */
  get next(): number | undefined {
    return this.#heap[0]?.at
  }

  add(item: T, at: number): void {
    const heap = this.#heap
    let place = heap.length
    heap.push({ item, at })
    while (place > 0) {
      const above = (place - 1) >> 1
      if (heap[above]!.at <= at) break
      heap[place] = heap[above]!
      place = above
    }
    heap[place] = { item, at }
  }

  /** The earliest, if it is due. */
  take(now: number): T | undefined {
    const [first] = this.#heap
    if (first === undefined || first.at > now) return undefined
    const last = this.#heap.pop()!
    if (this.#heap.length > 0) this.#sink(last)
    return first.item
  }

  #sink(moved: Due<T>): void {
    const heap = this.#heap
    let place = 0
    for (let below = 1; below < heap.length; below = 2 * place + 1) {
      if (below + 1 < heap.length && heap[below + 1]!.at < heap[below]!.at) below++
      if (heap[below]!.at >= moved.at) break
      heap[place] = heap[below]!
      place = below
    }
    heap[place] = moved
  }
}
